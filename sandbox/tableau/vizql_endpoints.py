"""VizQL Data Service: one query against a published data source, with what it embeds. JSON in and out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from sandbox.tableau.answers import JSON_TYPE, Answer
from sandbox.tableau.call import Call
from sandbox.tableau.clock import iso
from sandbox.tableau.content import Content, ContentType
from sandbox.tableau.data_access import failure_of
from sandbox.tableau.errors import TableauError, forbidden, not_found

FIELDS = ("Region", "Amount")


def simple_request(call: Call) -> Answer:
    """The health check."""
    _refuse_if_off(call)
    return _answer("ok")


def read_metadata(call: Call) -> Answer:
    """The fields of a data source; whether this asks the database is not known, here it does not."""
    _datasource(call, _request(call))
    data = [
        {"fieldName": name, "fieldCaption": name, "dataType": kind, "logicalTableId": "orders"}
        for name, kind in zip(FIELDS, ("STRING", "INTEGER"), strict=True)
    ]
    return _answer({"data": data})


def query_datasource(call: Call) -> Answer:
    """Run a query; a live data source signs in with what it embeds, an extract answers from the extract."""
    request = _request(call)
    content = _datasource(call, request)
    query = request.get("query")
    wanted = query.get("fields") if isinstance(query, dict) else None
    if not isinstance(wanted, list) or not wanted:
        raise TableauError("400803", "Validation failed: a query needs at least one field.")
    names = [field.get("fieldCaption") for field in wanted if isinstance(field, dict)]
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise TableauError("404934", f"Unknown field: {unknown[0]}.")
    if request["datasource"].get("connections"):
        # credentials in the request bypass what is embedded: such a query says nothing about it
        call.state.credentials_seen_in_queries += 1
        raise TableauError("400803", "Validation failed: this sandbox takes no credentials in a query.")
    failure = None if content.has_extracts else failure_of(call.state, content)
    if failure is not None:
        status, code = call.state.query_failure
        raise TableauError(code, failure, status=status)
    row = {"Region": "North", "Amount": 1}
    return _answer({"data": [{name: row[name] for name in names if name in row}]})


def with_own_error(call: Call, answer: Answer) -> Answer:
    """The answer, an error in it in this service's own form (tableau-mcp vizqlDataServiceApi.ts)."""
    if not answer.elements or answer.elements[0].name != "error":
        return answer
    error = answer.elements[0]
    body: dict[str, Any] = {
        "errorCode": error.attributes["code"],
        "message": next(child.text for child in error.children if child.name == "detail"),
        "datetime": iso(call.state.clock.now()),
        "debug": {},
        "tab-error-code": error.attributes["code"],
    }
    return replace(answer, body=json.dumps(body).encode(), content_type=JSON_TYPE)


def named_in_body(body: bytes) -> dict[str, str]:
    """The data source that a request is about, as a path would name it: so that scripts and counts can, too."""
    try:
        luid = json.loads(body)["datasource"]["datasourceLuid"]
    except (ValueError, TypeError, KeyError):
        return {}
    return {"content_type": ContentType.DATASOURCE.value, "content_id": str(luid)}


def _refuse_if_off(call: Call) -> None:
    if not call.state.vizql_enabled:
        raise TableauError("403157", "Feature disabled: VizQL Data Service.")


def _request(call: Call) -> dict[str, Any]:
    _refuse_if_off(call)
    try:
        request = json.loads(call.body)
    except ValueError as error:
        raise TableauError("400000", "The content of the request body is invalid.") from error
    if not isinstance(request, dict) or not isinstance(request.get("datasource"), dict):
        raise TableauError("400802", "The incoming request is not valid per the OpenAPI specification.")
    unknown = set(request) - {"datasource", "query", "options"}
    if unknown:
        raise TableauError("400802", f"Unknown property: {min(unknown)}.")
    return request


def _datasource(call: Call, request: dict[str, Any]) -> Content:
    luid = str(request["datasource"].get("datasourceLuid", ""))
    try:
        content = call.site.content(luid)
    except KeyError as error:
        raise not_found("datasource", luid) from error
    if content.content_type is not ContentType.DATASOURCE:
        raise not_found("datasource", luid)
    if call.live.user.name in content.denied_to:
        raise forbidden()
    if not content.can_be_queried:
        raise TableauError("403800", "API access permission denied for this data source.")
    return content


def _answer(value: Any) -> Answer:
    return Answer(body=json.dumps(value).encode(), content_type=JSON_TYPE)
