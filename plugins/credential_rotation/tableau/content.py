"""The content types of Tableau that embed connections, and what Tableau says of each item and connection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from credential_rotation.tableau.errors import BadAnswer
from credential_rotation.tableau.versions import OLDEST, VIRTUAL_CONNECTIONS, ApiVersion


class ContentType(StrEnum):
    """What can embed a connection."""

    DATASOURCE = "datasource"
    WORKBOOK = "workbook"
    FLOW = "flow"
    VIRTUAL_CONNECTION = "virtual_connection"

    @property
    def words(self) -> str:
        """For people: "data source"."""
        return {"datasource": "data source", "virtual_connection": "virtual connection"}.get(self.value, self.value)


@dataclass(frozen=True)
class Endpoint:
    """Where the REST API keeps a content type, and from which version on."""

    path: str
    element: str
    connection_element: str
    since: ApiVersion
    # Flows and virtual connections may be missing from a site or its version: then there are none.
    optional: bool
    # Without the Data Management licence, virtual connections may be refused where others would be not found: whether
    # there are any is not known then.
    licensed: bool = False
    connections_are_paged: bool = False
    # What a list leaves out unless it is asked for it: the workbooks that a data source feeds.
    fields: str = ""


ENDPOINTS: dict[ContentType, Endpoint] = {
    ContentType.DATASOURCE: Endpoint("datasources", "datasource", "connection", OLDEST, optional=False, fields="_all_"),
    ContentType.WORKBOOK: Endpoint("workbooks", "workbook", "connection", OLDEST, optional=False),
    ContentType.FLOW: Endpoint("flows", "flow", "connection", OLDEST, optional=True),
    ContentType.VIRTUAL_CONNECTION: Endpoint(
        "virtualConnections",
        "virtualConnection",
        "connection",
        VIRTUAL_CONNECTIONS,
        optional=True,
        licensed=True,
        connections_are_paged=True,
    ),
}


@dataclass(frozen=True)
class Content:
    """A data source, workbook, flow or virtual connection. ``owner`` is a name where Tableau gave one, else a LUID.

    ``has_extracts``, ``size`` (MB), ``connected_workbooks`` and ``connection_count`` are None where that is not known.
    ``url`` is the page on which a person sees it.
    """

    type: ContentType
    id: str
    name: str
    project: str = ""
    owner_id: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    updated_at: str = ""
    has_extracts: bool | None = None
    size: int | None = None
    connected_workbooks: int | None = None
    connection_count: int | None = None
    url: str | None = None


@dataclass(frozen=True)
class Connection:
    """A connection within a content item. None means that Tableau did not say.

    Tableau is "inconsistent about which fields it emits": only ``id`` can be relied on.
    """

    id: str
    type: str = ""
    server_address: str = ""
    server_port: str = ""
    username: str = ""
    embed_password: bool | None = None
    authentication_type: str = ""
    oauth_keychain: bool = False


def read_content(element: Element, content_type: ContentType, host: str) -> Content:
    """A content item out of a list.

    :param host: where this Tableau is
    """
    project, owner = element.find("project"), element.find("owner")
    return Content(
        type=content_type,
        id=_id(element, "id"),
        name=element.get("name", ""),
        project=project.get("name", "") if project is not None else "",
        owner_id=owner.get("id", "") if owner is not None else "",
        owner=owner.get("name", "") if owner is not None else "",
        tags=tuple(tag.get("label", "") for tag in element.iterfind("tags/tag")),
        updated_at=element.get("updatedAt", ""),
        has_extracts=_boolean(element.get("hasExtracts")),
        size=_number(element.get("size")),
        connected_workbooks=_number(element.get("connectedWorkbooksCount")),
        url=_page(element.get("webpageUrl", ""), host),
    )


def read_connection(element: Element) -> Connection:
    """A connection, in the shape of the first three content types or in either shape of virtual connections.

    Virtual connections say ``connectionId dbClass server port username`` (server-client-python PR #1628).
    """
    return Connection(
        id=_id(element, "id", "connectionId"),
        type=_first(element, "type", "dbClass"),
        server_address=_first(element, "serverAddress", "server"),
        server_port=_first(element, "serverPort", "port"),
        username=_first(element, "userName", "username"),
        embed_password=_boolean(element.get("embedPassword")),
        authentication_type=element.get("authenticationType", ""),
        oauth_keychain=_boolean(element.get("useOAuthManagedKeychain")) or False,
    )


def _page(url: str, host: str) -> str | None:
    """A page of this very Tableau; None for anything else: people will be shown it as a link, and trust it."""
    try:
        parts = urlsplit(url)
        is_ours = parts.scheme in ("http", "https") and parts.hostname == host
    except ValueError:
        return None
    # Browsers take a backslash for a slash, so another host may stand before it; and a name before an @ is no host.
    return url if is_ours and url.isprintable() and not set(url) & set("\\@ ") else None


def _first(element: Element, *names: str) -> str:
    return next((value for name in names if (value := element.get(name))), "")


def _id(element: Element, *names: str) -> str:
    if value := _first(element, *names):
        return value
    raise BadAnswer(f"Tableau's answer holds a <{element.tag}> without an id.")


def _boolean(value: str | None) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower()) if value else None


def _number(value: str | None) -> int | None:
    return int(value) if value and value.strip().isdecimal() else None
