"""Reading every connection of a site."""

from __future__ import annotations

import logging
import re

import pytest

from credential_rotation.rotation import inventory
from credential_rotation.rotation.inventory import Inventory, Item, take_inventory
from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.errors import NotAllowed, ServerFault, TableauError
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import (
    EmptyBody,
    Fault,
    HalfBody,
    HtmlPage,
    OtherFormat,
    Pass,
    RawAnswer,
    Redirect,
    ResetAfter,
    ResetBefore,
    ServerError,
    Silence,
    Site,
    Slow,
    TableauCode,
    TableauServer,
    TableauState,
    Throttle,
    snowflake_connection,
)
from tests.credential_rotation.hooks.connecting import Connect
from tests.dags.small_tableau import DeletedJustBefore

EVERYTHING = list(ContentType)


@pytest.fixture(autouse=True)
def content(site: Site) -> None:
    for number in range(6):
        site.add_datasource(f"Orders {number}", owner=f"owner {number % 2}", connections=[snowflake_connection()])
    for number in range(4):
        site.add_workbook(f"Overview {number}", connections=[snowflake_connection(), snowflake_connection("OTHER")])
    site.add_flow("Load", connections=[snowflake_connection()])
    site.add_virtual_connection("Warehouse", connections=[snowflake_connection()])


def _take(tableau: TableauSite, in_flight: int = 4) -> Inventory:
    return take_inventory(tableau, EVERYTHING, in_flight)


def _item(taken: Inventory, name: str) -> Item:
    [found] = [item for item in taken.items if item.content.name == name]
    return found


def _luids(taken: Inventory) -> set[str]:
    return {connection.id for item in taken.items for connection in item.connections}


def test_every_connection_of_every_type_is_found(tableau: TableauSite, site: Site) -> None:
    taken = _take(tableau)
    assert _luids(taken) == {connection.id for _, connection in site.connections()}
    assert [item.content.type for item in taken.items] == ["datasource"] * 6 + ["workbook"] * 4 + [
        "flow",
        "virtual_connection",
    ]
    assert taken.missing_types == {}


def test_every_page_of_a_list_is_read(tableau: TableauSite, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credential_rotation.tableau.tableau_site.PAGE_SIZE", 4)
    assert _luids(_take(tableau)) == {connection.id for _, connection in site.connections()}


def test_only_the_types_that_were_asked_for_are_read(tableau: TableauSite, server: TableauServer) -> None:
    taken = take_inventory(tableau, [ContentType.FLOW], 4)
    assert [item.content.name for item in taken.items] == ["Load"]
    assert server.requests.count("query_connections") == 1


def test_owners_have_names(tableau: TableauSite) -> None:
    taken = _take(tableau)
    assert _item(taken, "Orders 3").content.owner == "owner 1"
    # The list of these says the LUID only.
    assert _item(taken, "Overview 1").content.owner == "Ann"


def test_an_empty_site_is_an_empty_inventory(tableau: TableauSite, site: Site) -> None:
    site.contents.clear()
    assert _take(tableau) == Inventory((), {})


def test_the_order_does_not_depend_on_which_answer_comes_first(
    tableau: TableauSite, server: TableauServer, site: Site
) -> None:
    first = _take(tableau)
    for number in (0, 2):
        where = {"content_id": site.content(f"Orders {number}").id}
        server.faults.script("query_connections", Slow(0.15), where)
    assert _take(tableau) == first
    assert server.faults.left() == 0


@pytest.mark.parametrize("in_flight", [1, 3])
def test_no_more_requests_are_in_flight_than_allowed(
    tableau: TableauSite, server: TableauServer, state: TableauState, in_flight: int
) -> None:
    state.latency.read_seconds = 0.02
    _take(tableau, in_flight)
    assert server.requests.most_in_flight == in_flight


def test_progress_is_told_with_counts_and_the_time_left(
    tableau: TableauSite, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_SECONDS_BETWEEN_PROGRESS", 0.0)
    caplog.set_level(logging.INFO)
    _take(tableau)
    told = [re.fullmatch(r"Read the connections of (\d+) of 12 items; about \d+ s left\.", m) for m in caplog.messages]
    assert [int(match[1]) for match in told if match] == list(range(1, 13))


def test_the_time_left_is_that_of_the_rest_at_the_pace_so_far(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    progress = inventory._Progress(4000, clock=lambda: now[0])
    caplog.set_level(logging.INFO)
    for _ in range(1280):
        now[0] += 1 / 64
        progress.one_more()
    assert caplog.messages == [
        "Read the connections of 640 of 4000 items; about 52 s left.",
        "Read the connections of 1280 of 4000 items; about 42 s left.",
    ]


def test_a_quick_reading_is_told_once(tableau: TableauSite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    _take(tableau)
    told = [message for message in caplog.messages if message.startswith("Read the connections")]
    assert told == ["Read the connections of 12 of 12 items; about 0 s left."]


def test_an_item_that_vanishes_meanwhile_is_gone_and_the_others_are_read(
    tableau: TableauSite, server: TableauServer, site: Site
) -> None:
    victim = site.content("Orders 2")
    server.faults.script("query_connections", DeletedJustBefore(site, victim), {"content_id": victim.id})
    taken = _take(tableau)
    item = _item(taken, "Orders 2")
    assert (item.gone, item.connections, item.unreadable) == (True, (), None)
    assert _luids(taken) == {connection.id for _, connection in site.connections()}


@pytest.mark.parametrize("name", ["Orders 2", "Load"])
def test_an_item_whose_connections_are_not_found_once_is_read(
    tableau: TableauSite, server: TableauServer, site: Site, name: str
) -> None:
    server.faults.script("query_connections", TableauCode("404000", "No."), {"content_id": site.content(name).id})
    taken = _take(tableau)
    assert _luids(taken) == {connection.id for _, connection in site.connections()}
    assert not [item for item in taken.items if item.gone or item.unreadable]


def test_an_item_that_is_there_without_its_connections_is_unreadable_and_not_gone(
    tableau: TableauSite, server: TableauServer, site: Site
) -> None:
    where = {"content_id": site.content("Orders 2").id}
    server.faults.script("query_connections", TableauCode("404000", "No."), where, times=9)
    item = _item(_take(tableau), "Orders 2")
    assert (item.gone, item.connections) == (False, ())
    assert "can't be read" in str(item.unreadable)


@pytest.mark.parametrize("code", ["403004", "404000", "404003"])
def test_a_virtual_connection_of_which_it_can_not_be_told_whether_it_is_there_is_unreadable_and_not_gone(
    tableau: TableauSite, server: TableauServer, site: Site, code: str
) -> None:
    where = {"content_id": site.content("Warehouse").id}
    server.faults.script("query_connections", TableauCode("404000", "No."), where, times=9)
    server.faults.script("list_virtual_connections", [Pass(), *[TableauCode(code, "No.")] * 9])
    taken = _take(tableau)
    assert taken.missing_types == {}
    item = _item(taken, "Warehouse")
    assert (item.gone, item.connections) == (False, ())
    assert "can't be read" in str(item.unreadable)
    assert code in str(item.unreadable)
    assert len([item for item in taken.items if item.connections]) == 11


@pytest.mark.parametrize("content_type", [ContentType.FLOW, ContentType.VIRTUAL_CONNECTION])
@pytest.mark.parametrize("times", [1, 2])
def test_a_list_that_is_not_found_once_or_twice_is_not_missing(
    tableau: TableauSite, server: TableauServer, content_type: ContentType, times: int
) -> None:
    server.faults.script(f"list_{content_type}s", TableauCode("404003", "No."), times=times)
    taken = _take(tableau)
    assert taken.missing_types == {}
    assert len(taken.items) == 12


@pytest.mark.parametrize("code", ["403004", "400000"])
def test_an_item_that_may_not_be_read_says_why_and_the_others_are_read(
    tableau: TableauSite, server: TableauServer, site: Site, code: str
) -> None:
    server.faults.script("query_connections", TableauCode(code, "No."), {"content_id": site.content("Load").id})
    taken = _take(tableau)
    item = _item(taken, "Load")
    assert (item.gone, item.connections) == (False, ())
    assert "can't be read" in str(item.unreadable)
    assert code in str(item.unreadable)
    assert len([item for item in taken.items if item.connections]) == 11


def test_a_version_without_virtual_connections_has_none(tableau: TableauSite, state: TableauState) -> None:
    state.rest_api_version = "3.17"
    taken = _take(tableau)
    assert "3.17" in taken.missing_types[ContentType.VIRTUAL_CONNECTION]
    assert len(taken.items) == 11


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        (ContentType.FLOW, "404003"),
        (ContentType.VIRTUAL_CONNECTION, "404003"),
    ],
)
def test_a_site_that_lacks_an_optional_type_has_none_of_it(
    tableau: TableauSite, server: TableauServer, code: str, content_type: ContentType
) -> None:
    server.faults.script(f"list_{content_type}s", TableauCode(code, "Not licensed."), times=3)
    taken = _take(tableau)
    assert "Not licensed." in taken.missing_types[content_type]
    assert len(taken.items) == 11


def test_of_virtual_connections_that_may_not_be_listed_it_is_not_known_whether_there_are_any(
    tableau: TableauSite, server: TableauServer
) -> None:
    server.faults.script("list_virtual_connections", TableauCode("403004", "No."))
    taken = _take(tableau)
    assert list(taken.unknown_types) == [ContentType.VIRTUAL_CONNECTION]
    why = taken.unknown_types[ContentType.VIRTUAL_CONNECTION]
    assert "extra 'without' of its Airflow connection: [\"virtual_connection\"]" in why
    assert (taken.missing_types, taken.refused_types) == ({}, {})


def test_flows_that_may_not_be_listed_keep_nothing_else_from_being_read_but_are_told(
    tableau: TableauSite, server: TableauServer
) -> None:
    server.faults.script("list_flows", TableauCode("403004", "No."))
    taken = _take(tableau)
    assert "take 'flow' out of content_types" in taken.refused_types[ContentType.FLOW]
    assert ContentType.FLOW not in taken.missing_types
    assert len(taken.items) == 11


@pytest.mark.parametrize("operation", ["list_datasources", "list_workbooks"])
def test_a_list_that_every_site_has_must_be_readable(
    tableau: TableauSite, server: TableauServer, operation: str
) -> None:
    server.faults.script(operation, TableauCode("403004", "No."))
    with pytest.raises(NotAllowed):
        _take(tableau)


@pytest.mark.parametrize("operation", ["list_datasources", "list_flows", "query_connections"])
def test_half_an_inventory_is_none(tableau: TableauSite, server: TableauServer, operation: str) -> None:
    server.faults.script(operation, ServerError(500), times=40)
    with pytest.raises(ServerFault):
        _take(tableau)


def test_a_list_that_fails_for_a_moment_is_read_all_the_same(tableau: TableauSite, server: TableauServer) -> None:
    server.faults.script("list_workbooks", [ServerError(500), ServerError(503)])
    assert len(_take(tableau).items) == 12
    assert server.faults.left() == 0


NO_USERS = [
    TableauCode("403004", "No."),
    TableauCode("404000", "No."),
    TableauCode("404003", "No."),
    TableauCode("400000", "No."),
    ServerError(500),
    ServerError(503),
    HtmlPage(),
    Throttle("7200"),
    ResetBefore(),
    ResetAfter(),
    HalfBody(),
    EmptyBody(),
    OtherFormat(),
    Redirect(),
    RawAnswer(418, "a teapot", "text/plain"),
    RawAnswer(200, '<tsResponse xmlns="http://tableau.com/api"><pagination/></tsResponse>', "application/xml"),
    RawAnswer(200, '<tsResponse xmlns="http://tableau.com/api"><user name="Ann"/></tsResponse>', "application/xml"),
]


@pytest.mark.parametrize("fault", NO_USERS, ids=str)
def test_where_users_can_not_be_listed_owners_are_shown_by_luid(
    tableau: TableauSite, server: TableauServer, site: Site, fault: Fault
) -> None:
    server.faults.script("list_users", fault, times=40)
    taken = _take(tableau)
    assert _item(taken, "Overview 1").content.owner == site.user("Ann").id
    assert _luids(taken) == {connection.id for _, connection in site.connections()}


def test_where_the_list_of_users_times_out_owners_are_shown_by_luid(
    connect: Connect, server: TableauServer, site: Site
) -> None:
    server.faults.script("list_users", Silence(0.5), times=40)
    taken = _take(TableauSite(connect(timeout=0.2)))
    assert _item(taken, "Overview 1").content.owner == site.user("Ann").id


def test_an_owner_without_a_name_is_shown_by_luid(tableau: TableauSite, server: TableauServer, site: Site) -> None:
    nameless = (
        f'<tsResponse xmlns="http://tableau.com/api"><users><user id="{site.user("Ann").id}"/></users></tsResponse>'
    )
    server.faults.script("list_users", RawAnswer(200, nameless, "application/xml"))
    assert _item(_take(tableau), "Overview 1").content.owner == site.user("Ann").id


@pytest.mark.parametrize("fault", NO_USERS, ids=str)
def test_where_owners_must_have_names_the_reading_ends_when_users_can_not_be_listed(
    tableau: TableauSite, server: TableauServer, fault: Fault
) -> None:
    server.faults.script("list_users", fault, times=40)
    with pytest.raises(TableauError):
        take_inventory(tableau, EVERYTHING, 4, owners_must_have_names=True)


def test_where_owners_must_have_names_nobody_is_asked_for_long_when_users_may_not_be_listed(
    tableau: TableauSite, server: TableauServer
) -> None:
    server.faults.script("list_users", TableauCode("403004", "No."))
    with pytest.raises(NotAllowed):
        take_inventory(tableau, EVERYTHING, 1, owners_must_have_names=True)
    assert server.requests.count("query_connections") < 12  # of as many items
