"""Endpoints that list and show content, users and projects, and the server's own description."""

from __future__ import annotations

from collections import Counter

from sandbox.tableau import filters
from sandbox.tableau.answers import Answer, Element, listing
from sandbox.tableau.call import Call
from sandbox.tableau.clock import iso
from sandbox.tableau.connections import Auth
from sandbox.tableau.content import Content, ContentType
from sandbox.tableau.errors import forbidden
from sandbox.tableau.paging import page
from sandbox.tableau.site import Site


def server_info(call: Call) -> Answer:
    """What the server is; needs no session, and any API version will do."""
    info = Element(
        "serverInfo",
        children=[
            Element("productVersion", {"build": "20253.25.0901.1015"}, text=call.state.product_version),
            Element("prepConductorVersion", text="20253.25.0901.1015"),
            Element("restApiVersion", text=call.state.rest_api_version),
        ],
    )
    return Answer(elements=[info])


def list_content(call: Call) -> Answer:
    """All data sources, workbooks, flows or virtual connections of the site that match."""
    kind = call.content_type
    found = filters.select(call.site.of_type(kind), call.query, filters.FIELDS[kind])
    pagination, shown = page(found, call.query)
    workbooks = None
    if "_all_" in call.query.get("fields", "").split(","):
        workbooks = connected_workbooks(call.site)
    return Answer(
        elements=[pagination, listing(kind.plural, [content_element(call, each, workbooks) for each in shown])]
    )


def get_content(call: Call) -> Answer:
    """One data source, workbook, flow or virtual connection."""
    return Answer(elements=[content_element(call, call.content())])


def list_users(call: Call) -> Answer:
    """The users of the site; for administrators alone, as in the real one."""
    if not call.live.user.is_admin:
        raise forbidden()
    pagination, shown = page(filters.select(call.site.users, call.query, filters.USER_FIELDS), call.query)
    users = [
        Element(
            "user", {"id": user.id, "name": user.name, "siteRole": user.site_role, "fullName": user.full_name or None}
        )
        for user in shown
    ]
    return Answer(elements=[pagination, listing("users", users)])


def list_projects(call: Call) -> Answer:
    """The projects of the site."""
    pagination, shown = page(call.site.projects, call.query)
    projects = [
        Element("project", {"id": project.id, "name": project.name, "parentProjectId": project.parent_id})
        for project in shown
    ]
    return Answer(elements=[pagination, listing("projects", projects)])


def connected_workbooks(site: Site) -> Counter[str]:
    """How many workbooks of the site have a link to each published data source, by its LUID."""
    return Counter(
        luid
        for workbook in site.of_type(ContentType.WORKBOOK)
        for luid in {
            connection.published.id
            for connection in workbook.connections
            if connection.auth is Auth.PUBLISHED and connection.published is not None
        }
    )


def content_element(call: Call, content: Content, workbooks: Counter[str] | None = None) -> Element:
    """A content as lists show it: the owner by id alone, as in TSC's assets; names come from the users list.

    With the connected workbooks, all fields are shown.
    """
    all_fields = workbooks is not None
    kind = content.content_type
    attributes: dict[str, str | int | bool | None] = {"id": content.id, "name": content.name}
    if kind in {ContentType.DATASOURCE, ContentType.WORKBOOK}:
        attributes["contentUrl"] = content.content_url
    if content.description:
        attributes["description"] = content.description
    if kind is ContentType.DATASOURCE:
        attributes |= {"type": content.type, "isCertified": False}
        if workbooks is not None:  # TSC's asset datasource_get_all_fields.xml has them, those of plain lists do not
            attributes |= {"size": content.size, "connectedWorkbooksCount": workbooks[content.id]}
            if content.connections:
                attributes["serverName"] = content.connections[0].server_address
    if kind is ContentType.WORKBOOK:
        attributes |= {"showTabs": "false", "size": content.size}
    if kind is ContentType.FLOW:
        attributes["fileType"] = "tflx"
    else:
        attributes["hasExtracts"] = content.has_extracts
    attributes["webpageUrl"] = _webpage_url(call, content)
    attributes |= {"createdAt": iso(content.created_at), "updatedAt": iso(content.updated_at)}
    children = [
        Element("project", {"id": content.project.id, "name": content.project.name}),
        # TSC's *_all_fields assets name the owner, the others do not
        Element("owner", {"id": content.owner.id, "name": content.owner.name if all_fields else None}),
        listing("tags", [Element("tag", {"label": tag}) for tag in content.tags]),
    ]
    return Element(kind.element, attributes, children)


def _webpage_url(call: Call, content: Content) -> str:
    """Where a browser shows it. The real one has numbers of its own in there, which no answer gives away otherwise."""
    site = f"site/{call.site.content_url}/" if call.site.content_url else ""
    return f"{call.base_url}/#/{site}{content.content_type.plural.lower()}/{int(content.id[:6], 16)}"
