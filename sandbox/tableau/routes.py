"""Every URL, once: which operation it is, since which API version, and what may stand in its query."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sandbox.tableau import (
    connection_endpoints,
    listing_endpoints,
    refresh_endpoints,
    sign_in_endpoints,
    view_endpoints,
    vizql_endpoints,
)
from sandbox.tableau.answers import Answer
from sandbox.tableau.call import Call

Endpoint = Callable[[Call], Answer]
Version = tuple[int, ...]

PAGES = frozenset({"pageSize", "pageNumber"})
LISTS = PAGES | {"filter", "sort", "fields"}
LUID = r"[^/]+"
VIZQL = "vizql-data-service"


@dataclass(frozen=True)
class Route:
    """One method on one path, below /api/<version>/."""

    operation: str
    method: str
    path: re.Pattern[str]
    endpoint: Endpoint
    since: Version = (2, 0)
    query: frozenset[str] = frozenset()
    parameters: dict[str, str] = field(default_factory=dict)  # what the path says without a LUID: content_type
    needs_session: bool = True
    any_version: bool = False  # answers whatever version the path has
    vizql: bool = False


def _pattern(template: str) -> re.Pattern[str]:
    # `{content_id}` matches one segment
    return re.compile("^" + re.sub(r"\{(\w+)\}", rf"(?P<\1>{LUID})", template) + "$")


def _content_routes() -> Iterator[Route]:
    connections = connection_endpoints
    for name, path, since, connections_since in (
        ("datasource", "datasources", (2, 0), (2, 3)),
        ("workbook", "workbooks", (2, 0), (2, 0)),
        ("flow", "flows", (3, 3), (3, 3)),
        ("virtual_connection", "virtual[cC]onnections", (3, 18), (3, 18)),  # both spellings are in use
    ):
        said = {"content_type": name}
        items = f"sites/{{site_id}}/{path}"
        one = f"{items}/{{content_id}}"
        listing = f"list_{name}s"
        yield Route(listing, "GET", _pattern(items), listing_endpoints.list_content, since, LISTS, said)
        yield Route(f"get_{name}", "GET", _pattern(one), listing_endpoints.get_content, since, parameters=said)
        query, update = connections.query_connections, connections.update_connection
        pages: frozenset[str] = frozenset()
        tail = ""
        if name == "virtual_connection":
            query, update = connections.query_virtual_connections, connections.update_virtual_connection
            pages = PAGES
            tail = "(?:/modify)?"  # TSC and PSTableauREST have it, Tableau's Postman collection does not
        yield Route("query_connections", "GET", _pattern(f"{one}/connections"), query, connections_since, pages, said)
        yield Route(
            "update_connection",
            "PUT",
            _pattern(f"{one}/connections/{{connection_id}}{tail}"),
            update,
            connections_since,
            parameters=said,
        )
        if name in {"datasource", "workbook"}:
            bulk = connections.update_connections
            yield Route("update_connections", "PUT", _pattern(f"{one}/connections"), bulk, (3, 26), parameters=said)
            again = refresh_endpoints.refresh
            yield Route("refresh", "POST", _pattern(f"{one}/refresh"), again, (2, 8), parameters=said)


def _routes() -> Iterator[Route]:
    sign = sign_in_endpoints
    yield Route("sign_in", "POST", _pattern("auth/signin"), sign.sign_in, needs_session=False)
    yield Route("sign_out", "POST", _pattern("auth/signout"), sign.sign_out)
    yield Route("switch_site", "POST", _pattern("auth/switchSite"), sign.switch_site, (2, 6))
    yield Route("current_session", "GET", _pattern("sessions/current"), sign.current_session, (3, 1))
    info = listing_endpoints.server_info
    yield Route("server_info", "GET", _pattern("server[iI]nfo"), info, needs_session=False, any_version=True)
    yield from _content_routes()
    yield Route("list_users", "GET", _pattern("sites/{site_id}/users"), listing_endpoints.list_users, query=LISTS)
    projects = listing_endpoints.list_projects
    yield Route("list_projects", "GET", _pattern("sites/{site_id}/projects"), projects, query=LISTS)
    every_job = _pattern("sites/{site_id}/jobs")
    yield Route("list_jobs", "GET", every_job, refresh_endpoints.list_jobs, (3, 1), LISTS)
    job = _pattern("sites/{site_id}/jobs/{job_id}")
    yield Route("get_job", "GET", job, refresh_endpoints.get_job, (2, 6))
    yield Route("cancel_job", "PUT", job, refresh_endpoints.cancel_job, (3, 1))
    views = _pattern("sites/{site_id}/workbooks/{content_id}/views")
    said = {"content_type": "workbook"}
    yield Route("list_views", "GET", views, view_endpoints.list_views, parameters=said)
    data = _pattern("sites/{site_id}/views/{view_id}/data")
    yield Route("view_data", "GET", data, view_endpoints.view_data, (2, 8), frozenset({"maxAge"}))
    for operation, method, endpoint in (
        ("query_datasource", "POST", vizql_endpoints.query_datasource),
        ("read_metadata", "POST", vizql_endpoints.read_metadata),
        ("simple_request", "GET", vizql_endpoints.simple_request),
    ):
        path = _pattern(f"{VIZQL}/{operation.replace('_', '-')}")
        yield Route(operation, method, path, endpoint, any_version=True, vizql=True)


ROUTES = tuple(_routes())
OPERATIONS = frozenset(route.operation for route in ROUTES)


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | set[str]:
    """The route of a path below /api/<version>/ with its parameters; else the methods that the path would take."""
    methods: set[str] = set()
    for route in ROUTES:
        match = route.path.match(path)
        if match is None:
            continue
        if route.method == method:
            return route, route.parameters | match.groupdict()
        methods.add(route.method)
    return methods


def version_tuple(text: str) -> Version | None:
    """'3.10' as (3, 10), so that it is newer than 3.9; None if it is no version."""
    parts = text.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else None
