"""Which updates are read back by a request of their own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from credential_rotation.rotation.one_connection import Orders
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.read_back import ReadBack
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.update_batch import update_batch
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import RawAnswer, Site, TableauServer, UpdateAnswer, snowflake_connection
from tests.credential_rotation.rotation.on_the_sandbox import ACCEPTED_WITHOUT_EFFECT, CREDENTIAL, UPDATE, find_targets

ECHO = '<tsResponse xmlns="http://tableau.com/api"><connection id="{id}" userName="etl_user"/></tsResponse>'


def update(
    tableau: TableauSite, targets: Sequence[ConnectionRecord], orders: Orders | None = None
) -> tuple[ConnectionRecord, ...]:
    """One after the other, so that there is a first."""
    return update_batch(
        tableau,
        targets,
        {CREDENTIAL.conn_id: CREDENTIAL},
        in_flight=1,
        done=lambda record: None,
        hold=lambda record: None,
        orders=orders,
    ).records


def read_back(server: TableauServer, targets: Sequence[ConnectionRecord]) -> list[str]:
    """The names of the items that were asked for their connections."""
    names = {target.content_id: target.content_name for target in targets}
    return [names[entry.parameters["content_id"]] for entry in server.requests.all("query_connections")]


@pytest.fixture
def alike(site: Site, tableau: TableauSite, server: TableauServer) -> list[ConnectionRecord]:
    """Three data sources and two workbooks which embed the user already, and one of either which embeds another."""
    for name in "abc":
        site.add_datasource(name, connections=[snowflake_connection("ETL_USER")])
    for name in "de":
        site.add_workbook(name, connections=[snowflake_connection("etl_user")])
    site.add_datasource("f", connections=[snowflake_connection("jane")])
    site.add_workbook("g", connections=[snowflake_connection("jane")])
    targets = sorted(find_targets(tableau), key=lambda target: target.content_name)
    server.requests.clear()
    return targets


def test_the_first_of_each_type_and_what_is_to_be_seen_to_change(
    tableau: TableauSite, alike: list[ConnectionRecord], server: TableauServer
) -> None:
    records = update(tableau, alike)
    assert {record.outcome for record in records} == {Outcome.UPDATED}
    assert read_back(server, alike) == ["a", "d", "f", "g"]


def test_a_canary_is_always_read_back(
    tableau: TableauSite, alike: list[ConnectionRecord], server: TableauServer
) -> None:
    update(tableau, alike, Orders(read_back=ReadBack(always=True)))
    assert read_back(server, alike) == list("abcdefg")


@pytest.mark.parametrize("answer", [UpdateAnswer.NONE, UpdateAnswer.ALL, UpdateAnswer.ONE])
def test_what_the_answer_does_not_show_is_read_back(
    site: Site, tableau: TableauSite, alike: list[ConnectionRecord], server: TableauServer, answer: UpdateAnswer
) -> None:
    for content in site.contents:
        content.update_answer = answer
    update(tableau, alike)
    assert ("b" in read_back(server, alike)) == (answer is UpdateAnswer.NONE)


@pytest.mark.parametrize(
    "shown",
    [
        ECHO.replace("{id}", "another"),
        ECHO.replace("etl_user", "jane"),
        ECHO.replace("/>", ' embedPassword="false"/>'),
        ECHO.replace("connection", "connections"),
    ],
    ids=["another connection", "another user", "not embedded", "another element"],
)
def test_an_answer_that_says_something_else_is_not_believed(
    tableau: TableauSite, alike: list[ConnectionRecord], server: TableauServer, shown: str
) -> None:
    body = shown.replace("{id}", alike[1].connection_id)
    server.faults.script(UPDATE, RawAnswer(200, body, "application/xml"), {"content_id": alike[1].content_id})
    update(tableau, alike)
    assert "b" in read_back(server, alike)
    assert server.faults.left() == 0


def test_while_none_was_seen_to_be_there_no_answer_is_believed(
    tableau: TableauSite, alike: list[ConnectionRecord], server: TableauServer
) -> None:
    """It is accepted without effect, and another user shows: the next is read back, too."""
    first = alike[5]
    server.faults.script(UPDATE, ACCEPTED_WITHOUT_EFFECT, {"content_id": first.content_id})
    records = update(tableau, [first, *alike[:3]])
    assert [record.outcome for record in records] == [Outcome.FAILED, *[Outcome.UPDATED] * 3]
    assert read_back(server, alike) == ["f", "a"]


def test_what_people_were_asked_for_is_seen_to_be_embedded(
    site: Site, tableau: TableauSite, alike: list[ConnectionRecord], server: TableauServer
) -> None:
    site.add_datasource("h", connections=[snowflake_connection("ETL_USER", embedded=False)])
    targets = sorted(find_targets(tableau), key=lambda target: target.content_name)
    server.requests.clear()
    server.faults.script(UPDATE, ACCEPTED_WITHOUT_EFFECT, {"content_id": targets[-1].content_id})
    records = update(tableau, targets)
    assert (records[-1].outcome, records[-1].retriable) == (Outcome.FAILED, True)
    assert "not embedded" in str(records[-1].reason)
