"""What counts as success, for each operation: a 2xx that holds what Tableau answers to it, and nothing else."""

from __future__ import annotations

import pytest

from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.errors import (
    BadAnswer,
    EmptyAnswer,
    NotAllowed,
    RandomRefusal,
    RequestRefused,
    ServerFault,
    SessionKeepsEnding,
    TableauError,
    Throttled,
)
from credential_rotation.tableau.tableau_data import NoDataHere
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox import tableau as sandbox
from sandbox.tableau import Fault, Pass, RawAnswer, Site, TableauServer
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.tableau.operations import (
    DATABASE,
    EVERY_OPERATION,
    MAY_BE_EMPTY,
    SIGNING_IN,
    Operations,
)

XML, JSON = "application/xml", "application/json"
REDIRECTS = (301, 302, 303, 307, 308)
NEITHER_DONE_NOR_REFUSED = (101, 199, 300, 304, 305, 306, 309, 350, 399)
ERROR = '<tsResponse><error code="{}"><summary>No</summary><detail>not now</detail></error></tsResponse>'


@pytest.mark.parametrize("operation", EVERY_OPERATION)
def test_each_operation_is_done_where_nothing_is_wrong(do: Operations, server: TableauServer, operation: str) -> None:
    server.faults.script(operation, Pass(), times=2)
    do(operation)
    assert server.faults.consumed


@pytest.mark.parametrize("operation", EVERY_OPERATION)
@pytest.mark.parametrize("status", NEITHER_DONE_NOR_REFUSED)
def test_a_status_that_is_neither_success_nor_refusal_is_a_bad_answer(
    do: Operations, server: TableauServer, operation: str, status: int
) -> None:
    server.faults.script(operation, RawAnswer(status, "", XML), times=99)
    with pytest.raises(BadAnswer) as raised:
        do(operation)
    if operation != "server_info":  # that one tells what to do about it instead
        assert f"Tableau answered {status} to" in str(raised.value)
        assert raised.value.status == status


@pytest.mark.parametrize("operation", EVERY_OPERATION)
@pytest.mark.parametrize("status", REDIRECTS)
def test_a_redirect_that_does_not_say_where_to_is_no_success(
    do: Operations, server: TableauServer, operation: str, status: int
) -> None:
    server.faults.script(operation, RawAnswer(status, "", XML), times=99)
    with pytest.raises((TableauError, NoDataHere)):
        do(operation)


@pytest.mark.parametrize("operation", [each for each in EVERY_OPERATION if each not in (*MAY_BE_EMPTY, *DATABASE)])
@pytest.mark.parametrize("answer", [RawAnswer(200, "", XML), RawAnswer(204, "", XML), RawAnswer(202, " \r\n", XML)])
def test_a_2xx_that_says_nothing_is_no_success(
    do: Operations, server: TableauServer, operation: str, answer: Fault
) -> None:
    server.faults.script(operation, answer, times=99)
    with pytest.raises(BadAnswer) as raised:
        do(operation)
    assert isinstance(raised.value, EmptyAnswer) or operation == "server_info"


@pytest.mark.parametrize("operation", MAY_BE_EMPTY)
@pytest.mark.parametrize("status", [200, 202, 204])
def test_what_tableau_answers_with_nothing_is_a_success_then(
    do: Operations, server: TableauServer, operation: str, status: int
) -> None:
    server.faults.script(operation, RawAnswer(status, "", XML))
    do(operation)
    assert server.requests.count(operation) == 1


# What an update shows is compared afterwards, in rotation/update.py.
@pytest.mark.parametrize(
    "operation",
    [each for each in EVERY_OPERATION if each not in (*MAY_BE_EMPTY, *DATABASE, "update_connection")],
)
@pytest.mark.parametrize("body", ["<tsResponse/>", "<tsResponse><other/></tsResponse>"])
def test_an_answer_without_what_was_asked_for_is_a_bad_answer(
    do: Operations, server: TableauServer, operation: str, body: str
) -> None:
    server.faults.script(operation, RawAnswer(200, body, XML), times=99)
    with pytest.raises(BadAnswer):
        do(operation)


@pytest.mark.parametrize("operation", [each for each in EVERY_OPERATION if each not in (*DATABASE, *SIGNING_IN)])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("400033", RandomRefusal),
        ("401002", SessionKeepsEnding),
        ("429000", Throttled),
        ("500000", ServerFault),
        ("", BadAnswer),
        ("x", BadAnswer),
    ],
)
def test_an_error_of_tableau_s_is_a_refusal_whatever_its_status_says(
    do: Operations, server: TableauServer, operation: str, code: str, kind: type[TableauError]
) -> None:
    server.faults.script(operation, RawAnswer(200, ERROR.format(code), XML), times=999)
    if operation == "sign_out" and code == "401002":
        assert do(operation) is False  # it has ended already
        return
    with pytest.raises(kind, match="not now") if kind is not SessionKeepsEnding else pytest.raises(kind):
        do(operation)


@pytest.mark.parametrize("status", [200, 304])
def test_an_update_that_is_forbidden_in_words_is_not_done(do: Operations, server: TableauServer, status: int) -> None:
    body = "" if status == 304 else ERROR.format("403004")
    server.faults.script("update_connection", RawAnswer(status, body, XML), times=99)
    with pytest.raises(NotAllowed if status == 200 else BadAnswer):
        do("update_connection")
    assert server.requests.count("update_connection") == (1 if status == 200 else 4)


@pytest.mark.parametrize("operation", ["read_metadata", "query_datasource"])
@pytest.mark.parametrize(
    "body",
    [
        '{"errorCode": "400803", "message": "Validation failed."}',
        '{"tab-error-code": "400803", "errorCode": "400803", "message": "Validation failed.", "data": []}',
        '{"error": {"code": "400000", "detail": "Validation failed."}}',
    ],
)
def test_an_error_in_json_is_a_refusal_whatever_its_status_says(
    do: Operations, server: TableauServer, operation: str, body: str
) -> None:
    server.faults.script(operation, RawAnswer(200, body, JSON), times=99)
    with pytest.raises((RequestRefused, NoDataHere), match=r"Validation failed\."):
        do(operation)


@pytest.mark.parametrize("body", ["{}", "[]", "7", "null", '{"data": {}}', '{"rows": [1]}', "[" * 100_000])
def test_a_query_that_is_answered_without_data_shows_nothing(do: Operations, server: TableauServer, body: str) -> None:
    server.faults.script("query_datasource", RawAnswer(200, body, JSON), times=99)
    with pytest.raises(BadAnswer, match=r"lacks what Tableau answers to that \(data\)|no JSON"):
        do("query_datasource")


@pytest.mark.parametrize("items", ["<datasources/>", '<pagination totalAvailable="0"/>'])
def test_a_list_with_nothing_in_it_is_a_list(connect: Connect, server: TableauServer, items: str) -> None:
    server.faults.script("list_datasources", RawAnswer(200, f"<tsResponse>{items}</tsResponse>", XML))
    assert TableauSite(connect()).content(ContentType.DATASOURCE) == []


@pytest.mark.parametrize("kind", [sandbox.ContentType.DATASOURCE, sandbox.ContentType.VIRTUAL_CONNECTION])
def test_an_item_without_connections_is_one(connect: Connect, site: Site, kind: sandbox.ContentType) -> None:
    (site.add_datasource if kind is sandbox.ContentType.DATASOURCE else site.add_virtual_connection)(
        "It", connections=[]
    )
    tableau = TableauSite(connect())
    (found,) = tableau.content(ContentType(kind.value))
    assert tableau.connections(found) == []
