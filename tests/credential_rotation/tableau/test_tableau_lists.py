"""Lists are read whole, though items come and go while their pages are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from credential_rotation.tableau import tableau_site as site_module
from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.errors import BadAnswer, ListKeptChanging, NotAllowed, ServerFault, TableauUnwell
from credential_rotation.tableau.tableau_site import NotOnThisSite, TableauSite
from sandbox.tableau import (
    Fault,
    Pass,
    RawAnswer,
    ServerError,
    SessionLost,
    Site,
    TableauCode,
    TableauServer,
    TableauState,
    Throttle,
    snowflake_connection,
)
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import Exchange
from tests.credential_rotation.hooks.connecting import Connect

XML = "application/xml"


@dataclass(frozen=True)
class Then(Fault):
    """Answers, and after that something happens on the site."""

    word: ClassVar[str] = "then"
    happens: Callable[[], object] = field(default=lambda: None)

    def play(self, exchange: Exchange) -> Answer:
        answer = exchange.answer()
        self.happens()
        return answer


@pytest.fixture
def pages_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "PAGE_SIZE", 2)


def flows(site: Site, *names: str) -> None:
    for name in names:
        site.add_flow(name)


def names(connect: Connect) -> set[str]:
    found = TableauSite(connect()).content(ContentType.FLOW)
    assert len({each.id for each in found}) == len(found)
    return {each.name for each in found}


def deletes(site: Site, name: str) -> Then:
    return Then(happens=lambda: site.remove(site.content(name)))


def test_more_than_a_page_of_the_largest_size_is_read(connect: Connect, server: TableauServer, site: Site) -> None:
    for number in range(1001):
        site.add_datasource(f"Item {number}", connections=[])
    found = TableauSite(connect()).content(ContentType.DATASOURCE)
    assert {each.id for each in found} == {each.id for each in site.contents}
    pages = [request.query for request in server.requests.all("list_datasources")]
    # A plain list of data sources tells neither their sizes nor which workbooks use them.
    assert pages[:2] == [{"pageSize": "1000", "pageNumber": number, "fields": "_all_"} for number in ("1", "2")]


def test_only_data_sources_are_asked_for_all_fields(connect: Connect, server: TableauServer) -> None:
    tableau = TableauSite(connect())
    for kind in ContentType:
        tableau.content(kind)
    asked = {request.operation: request.query.get("fields") for request in server.requests if request.query}
    assert asked == {
        "list_datasources": "_all_", "list_workbooks": None, "list_flows": None, "list_virtual_connections": None,
    }  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_any_number_of_items_is_read_whole(connect: Connect, site: Site, pages_of_two: None, count: int) -> None:
    flows(site, *"ABCDE"[:count])
    assert names(connect) == set("ABCDE"[:count])


def test_one_page_is_read_once(connect: Connect, server: TableauServer, site: Site) -> None:
    flows(site, "A", "B")
    assert names(connect) == {"A", "B"}
    assert server.requests.count("list_flows") == 1


def test_every_list_is_paged(connect: Connect, site: Site, pages_of_two: None) -> None:
    reader = TableauSite(connect())
    for number in range(5):
        site.add_datasource(f"D{number}")
        site.add_workbook(f"W{number}")
        site.add_flow(f"F{number}")
        site.add_virtual_connection(f"V{number}", connections=[snowflake_connection(f"U{n}") for n in range(5)])
        site.add_user(f"Person {number}")
    for content_type in ContentType:
        assert len(reader.content(content_type)) == 5
    assert set(reader.user_names().values()) == {user.name for user in site.users}
    for content in reader.content(ContentType.VIRTUAL_CONNECTION):
        assert {each.username for each in reader.connections(content)} == {f"U{n}" for n in range(5)}


def test_a_deletion_before_the_next_page_hides_no_other_item(
    connect: Connect, server: TableauServer, site: Site, pages_of_two: None
) -> None:
    flows(site, *"ABCDE")
    server.faults.script("list_flows", deletes(site, "A"))
    assert names(connect) >= set("BCDE")


def test_a_deletion_that_empties_the_last_page_hides_no_other_item(
    connect: Connect, server: TableauServer, site: Site, pages_of_two: None
) -> None:
    flows(site, *"ABC")
    server.faults.script("list_flows", deletes(site, "A"))
    assert names(connect) >= set("BC")


def test_a_deletion_and_a_creation_at_once_hide_no_item(
    connect: Connect, server: TableauServer, site: Site, pages_of_two: None
) -> None:
    flows(site, *"ABCD")

    def swap() -> None:
        site.remove(site.content("A"))
        site.add_flow("E")

    server.faults.script("list_flows", Then(happens=swap))
    assert names(connect) >= set("BCDE")


def test_an_item_that_is_created_meanwhile_is_found(
    connect: Connect, server: TableauServer, site: Site, pages_of_two: None
) -> None:
    flows(site, *"ABCD")
    server.faults.script("list_flows", [Pass(), Then(happens=lambda: site.add_flow("E"))])
    assert names(connect) >= set("ABCD")


def test_an_item_that_moves_to_the_front_hides_no_other(
    connect: Connect, server: TableauServer, site: Site, pages_of_two: None
) -> None:
    flows(site, *"ABCDE")

    def last_comes_first() -> None:
        site.contents.insert(0, site.contents.pop())

    server.faults.script("list_flows", Then(happens=last_comes_first))
    assert names(connect) == set("ABCDE")


def test_a_list_that_never_stands_still_is_an_error_and_no_half_list(
    connect: Connect, server: TableauServer, site: Site, pages_of_two: None
) -> None:
    flows(site, *"ABCDE")
    server.faults.script("list_flows", Then(happens=lambda: site.add_flow("New")), times=999)
    with pytest.raises(ListKeptChanging, match="flows changed each of the 5 times") as caught:
        names(connect)
    assert isinstance(caught.value, TableauUnwell)


def test_a_list_that_only_ever_loses_items_is_read_in_the_end(
    connect: Connect, server: TableauServer, site: Site, pages_of_two: None
) -> None:
    flows(site, *"ABCDEFGH")
    server.faults.script("list_flows", [deletes(site, "A"), deletes(site, "B"), deletes(site, "C")])
    assert names(connect) >= set("DEFGH")


@pytest.mark.parametrize("page", [0, 1, 2])
def test_a_fault_on_any_page_loses_nothing(
    connect: Connect, server: TableauServer, site: Site, pages_of_two: None, page: int
) -> None:
    flows(site, *"ABCDE")
    server.faults.script("list_flows", [*[Pass()] * page, ServerError(), Throttle("0"), SessionLost()])
    assert names(connect) == set("ABCDE")


def test_a_page_that_stays_broken_is_an_error_and_no_half_list(
    connect: Connect, server: TableauServer, site: Site, pages_of_two: None
) -> None:
    flows(site, *"ABCDE")
    server.faults.script("list_flows", [Pass(), *[ServerError()] * 99])
    with pytest.raises(ServerFault):
        names(connect)


def test_a_list_without_paging_is_all_there_is(connect: Connect, server: TableauServer) -> None:
    body = '<tsResponse><flows><flow id="1" name="A"/><flow id="2" name="B"/></flows></tsResponse>'
    server.faults.script("list_flows", RawAnswer(200, body, XML))
    assert names(connect) == {"A", "B"}


@pytest.mark.parametrize("total", ["", "many", None])
def test_a_list_that_does_not_say_how_long_it_is_is_a_bad_answer(
    connect: Connect, server: TableauServer, total: str | None
) -> None:
    said = "" if total is None else f'totalAvailable="{total}"'
    body = f'<tsResponse><pagination pageNumber="1" pageSize="2" {said}/><flows><flow id="1"/></flows></tsResponse>'
    server.faults.script("list_flows", RawAnswer(200, body, XML))
    with pytest.raises(BadAnswer, match="how many there are"):
        names(connect)


def test_smaller_pages_than_asked_for_are_read_on(connect: Connect, server: TableauServer) -> None:
    def page(number: int) -> RawAnswer:
        items = f'<flow id="{number}" name="F{number}"/>'
        pagination = f'<pagination pageNumber="{number}" pageSize="1" totalAvailable="3"/>'
        return RawAnswer(200, f"<tsResponse>{pagination}<flows>{items}</flows></tsResponse>", XML)

    server.faults.script("list_flows", [page(1), page(2), page(3)], times=2)
    assert names(connect) == {"F1", "F2", "F3"}


@pytest.mark.parametrize("body", ['<flow name="A"/>', '<flow id="1" name="A"/><flow name="B"/>'])
@pytest.mark.parametrize("paged", [True, False], ids=["paged", "not paged"])
def test_an_item_without_an_id_is_not_dropped_in_silence(
    connect: Connect, server: TableauServer, body: str, paged: bool
) -> None:
    pagination = f'<pagination totalAvailable="{body.count("<flow")}"/>' if paged else ""
    answer = RawAnswer(200, f"<tsResponse>{pagination}<flows>{body}</flows></tsResponse>", XML)
    server.faults.script("list_flows", answer, times=99)
    with pytest.raises(TableauUnwell):
        names(connect)


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        (ContentType.FLOW, "404000"),
        (ContentType.FLOW, "404003"),
        (ContentType.VIRTUAL_CONNECTION, "404000"),
        (ContentType.VIRTUAL_CONNECTION, "404003"),
    ],
)
def test_a_site_may_have_no_flows_and_no_virtual_connections(
    connect: Connect, server: TableauServer, content_type: ContentType, code: str
) -> None:
    server.faults.script(f"list_{content_type}s", TableauCode(code, "not licensed"), times=3)
    with pytest.raises(NotOnThisSite, match="not licensed"):
        TableauSite(connect()).content(content_type)


@pytest.mark.parametrize("content_type", [ContentType.DATASOURCE, ContentType.WORKBOOK])
def test_every_site_has_data_sources_and_workbooks(
    connect: Connect, server: TableauServer, content_type: ContentType
) -> None:
    server.faults.script(f"list_{content_type}s", TableauCode("403004", "no"))
    with pytest.raises(NotAllowed):
        TableauSite(connect()).content(content_type)


def test_an_old_site_is_not_asked_for_virtual_connections(
    connect: Connect, server: TableauServer, state: TableauState
) -> None:
    state.rest_api_version = "3.17"
    with pytest.raises(NotOnThisSite, match=r"REST API 3.17 has no virtual connections \(3.18 has\)"):
        TableauSite(connect()).content(ContentType.VIRTUAL_CONNECTION)
    assert server.requests.count("list_virtual_connections") == 0


@pytest.mark.parametrize("items", ["", '<flow id="1" name="A"/>'])
def test_a_page_that_lacks_what_the_total_promises_is_no_whole_list(
    connect: Connect, server: TableauServer, items: str
) -> None:
    body = f'<tsResponse><pagination totalAvailable="3"/><flows>{items}</flows></tsResponse>'
    server.faults.script("list_flows", RawAnswer(200, body, XML), times=999)
    with pytest.raises(ListKeptChanging):
        names(connect)


def test_changes_that_hide_the_same_item_twice_hide_it_no_longer_than_that(
    connect: Connect, server: TableauServer, site: Site, pages_of_two: None
) -> None:
    flows(site, *"ABCDGH")

    def first_goes_and_last_comes(first: str, last: str) -> Then:
        return Then(happens=lambda: (site.remove(site.content(first)), site.add_flow(last)))

    def one_comes_in_front() -> None:
        site.add_flow("X")
        site.contents.insert(0, site.contents.pop())

    # Each time C slips from the second page to the first, and neither the total nor a double tells.
    first_reading = [first_goes_and_last_comes("A", "E"), Pass(), Then(happens=one_comes_in_front)]
    server.faults.script("list_flows", [*first_reading, first_goes_and_last_comes("X", "F")])
    assert names(connect) >= set("BCDGHEF")
