"""The query language of lists: `filter=field:operator:value,...` and `sort=field:asc,...`.

Fields outside the allow-list of a type are answered with 400 (tableau-mcp, live-verified at 3.30). A comma means AND;
there is no OR, and no `&`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sandbox.tableau.clock import iso
from sandbox.tableau.content import Content, ContentType, User
from sandbox.tableau.errors import bad_request
from sandbox.tableau.jobs import JOB_TYPE, PRIORITY, Job

Values = list[str]
EQ = frozenset({"eq"})
EQ_IN = frozenset({"eq", "in"})
EQ_HAS = frozenset({"eq", "has"})
COMPARE = frozenset({"eq", "gt", "gte", "lt", "lte"})


def _flag(value: bool) -> Values:
    return ["true" if value else "false"]


def _moment(value: datetime | None) -> Values:
    return [iso(value)] if value else []


def _any_connection(attribute: str) -> Callable[[Content], Values]:
    return lambda content: [getattr(connection, attribute) or "" for connection in content.connections]


COMMON: dict[str, tuple[frozenset[str], Callable[[Content], Values]]] = {
    "name": (EQ_IN, lambda content: [content.name]),
    "projectName": (EQ_IN, lambda content: [content.project.name]),
    "ownerName": (EQ_IN, lambda content: [content.owner.name]),
    "ownerDomain": (EQ_IN, lambda _: ["local"]),
    "ownerEmail": (EQ, lambda content: [content.owner.name]),
    "contentUrl": (EQ_IN, lambda content: [content.content_url]),
    "tags": (EQ_IN, lambda content: content.tags),
    "createdAt": (COMPARE, lambda content: [iso(content.created_at)]),
    "updatedAt": (COMPARE, lambda content: [iso(content.updated_at)]),
    "hasExtracts": (EQ, lambda content: _flag(content.has_extracts)),
    "size": (COMPARE, lambda content: [str(content.size)]),
    "favoritesTotal": (COMPARE, lambda _: ["0"]),
}
DATASOURCE = COMMON | {
    # what a connection signs in with is known by its attribute alone, and that is often absent
    "authenticationType": (EQ_IN, _any_connection("authentication_type")),
    "connectionType": (EQ_IN, lambda content: [content.type]),  # the listed type: an extract is not `snowflake`
    "type": (EQ, lambda content: [content.type]),
    "connectionTo": (EQ_IN, _any_connection("server_address")),
    "serverName": (EQ_IN, _any_connection("server_address")),
    "serverPort": (EQ, _any_connection("server_port")),
    "databaseUserName": (EQ_IN, _any_connection("username")),
    "hasEmbeddedPassword": (EQ, lambda content: _flag(any(each.embedded for each in content.connections))),
    "description": (EQ_IN, lambda content: [content.description]),
    "isCertified": (EQ, lambda _: _flag(value=False)),
    "isPublished": (EQ, lambda _: _flag(value=True)),
    "isConnectable": (EQ, lambda _: _flag(value=True)),
}
WORKBOOK = COMMON | {  # and no connectionType
    "sheetCount": (COMPARE, lambda content: [str(len(content.views))]),
    "displayTabs": (EQ, lambda _: _flag(value=False)),
    "hasAlerts": (EQ, lambda _: _flag(value=False)),
    "subscriptionTotal": (COMPARE, lambda _: ["0"]),
    "subscriptionsTotal": (COMPARE, lambda _: ["0"]),
}
FLOW = {
    **{name: COMMON[name] for name in ("createdAt", "updatedAt", "name", "projectName")},
    "ownerName": (EQ, COMMON["ownerName"][1]),
    "projectId": (EQ, lambda content: [content.project.id]),
}
VIRTUAL_CONNECTION = {name: COMMON[name] for name in ("createdAt", "updatedAt", "name", "projectName", "ownerName")}
FIELDS = {
    ContentType.DATASOURCE: DATASOURCE,
    ContentType.WORKBOOK: WORKBOOK,
    ContentType.FLOW: FLOW,
    ContentType.VIRTUAL_CONNECTION: VIRTUAL_CONNECTION,
}
USER_FIELDS: dict[str, tuple[frozenset[str], Callable[[User], Values]]] = {
    "name": (EQ_IN | {"cieq"}, lambda user: [user.name]),
    "friendlyName": (EQ_IN, lambda user: [user.full_name]),
    "luid": (EQ_IN, lambda user: [user.id]),
    "siteRole": (EQ_IN, lambda user: [user.site_role]),
}

# Fields and operators that TSC's Jobs.filter and tableau-mcp's list-jobs agree on: status takes nothing but eq. Both
# also name args and subtitle, whose values for a refresh are not known: they are refused here.
JOB_FIELDS: dict[str, tuple[frozenset[str], Callable[[Job], Values]]] = {
    "jobType": (EQ_IN, lambda _: [JOB_TYPE]),
    "status": (EQ, lambda job: [job.status.value]),
    "title": (EQ_HAS, lambda job: [job.content.name]),
    "notes": (frozenset({"has"}), lambda job: [job.notes]),
    "priority": (COMPARE, lambda _: [str(PRIORITY)]),
    "progress": (COMPARE, lambda job: [str(job.progress)]),
    "createdAt": (COMPARE, lambda job: [iso(job.created_at)]),
    "startedAt": (COMPARE, lambda job: _moment(job.started_at)),
    "completedAt": (COMPARE, lambda job: _moment(job.completed_at)),  # which answers call endedAt
}

Fields = dict[str, tuple[frozenset[str], Callable[[Any], Values]]]


def select(items: Sequence[Any], query: dict[str, str], fields: Fields) -> list[Any]:
    """The items that the filter lets through, in the order of the sort."""
    kept = list(items)
    for part in _split(query.get("filter", "")):
        field, operator, wanted = _parse(part, fields)
        getter = fields[field][1]
        kept = [item for item in kept if any(_holds(value, operator, wanted) for value in getter(item))]
    for part in reversed(_split(query.get("sort", ""))):
        field, _, direction = part.partition(":")
        if field not in fields or direction not in {"asc", "desc"}:
            raise bad_request(f"The sort expression '{part}' is not valid.")
        getter = fields[field][1]
        kept.sort(key=lambda item, getter=getter: getter(item), reverse=direction == "desc")  # type: ignore[misc]
    return kept


def _split(expression: str) -> list[str]:
    return [part for part in re.split(r",(?![^\[]*\])", expression) if part]  # not at commas between brackets


def _parse(part: str, fields: Fields) -> tuple[str, str, Values]:
    field, _, rest = part.partition(":")
    operator, found, value = rest.partition(":")
    if not found:
        raise bad_request(f"The filter expression '{part}' is not of the form field:operator:value.")
    if field not in fields:
        raise bad_request(f"The filter field '{field}' is not supported for this list.")
    if operator not in fields[field][0]:
        raise bad_request(f"The filter operator '{operator}' is not supported for the field '{field}'.")
    if operator == "in":
        if not (value.startswith("[") and value.endswith("]")):
            raise bad_request(f"The filter value '{value}' is not a list in brackets.")
        return field, operator, value[1:-1].split(",")
    return field, operator, [value]


def _holds(value: str, operator: str, wanted: Values) -> bool:
    if operator in {"eq", "in"}:
        return value in wanted
    if operator == "has":
        return wanted[0] in value
    if operator == "cieq":
        return value.casefold() == wanted[0].casefold()
    left, right = _comparable(value), _comparable(wanted[0])
    if type(left) is not type(right):
        raise bad_request(f"The filter value '{wanted[0]}' cannot be compared.")
    if operator in {"gt", "gte"}:
        return bool(left > right or (operator == "gte" and left == right))
    return bool(left < right or (operator == "lte" and left == right))


def _comparable(text: str) -> Any:
    if text.isdigit():
        return int(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text
