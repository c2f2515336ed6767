"""The tries of `discover` where one is not enough: each reads only what those before it have not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from credential_rotation import rotate_tasks, unfinished_reading
from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.rotation import inventory
from credential_rotation.rotation.inventory import Item
from credential_rotation.run_folder import RunFolder
from credential_rotation.settings import Settings
from credential_rotation.site_files import read_inventory
from credential_rotation.tableau.errors import TableauError, Throttled
from credential_rotation.unfinished_reading import UnfinishedReading
from sandbox.tableau import ServerError, Site, TableauCode, TableauServer, TableauState, snowflake_connection
from sandbox.tableau.answers import Answer
from sandbox.tableau.errors import throttled
from sandbox.tableau.faults import Exchange, Fault
from tests.builders import rotation_params
from tests.credential_rotation.hooks.connecting import CONN_ID, Connect

# More than a quota of 20, of which lists and a sign-in take a part.
ITEMS = 40


@dataclass(frozen=True)
class HourlyQuota(Fault):
    """Tableau refuses what is above the quota, for the rest of the hour."""

    word = "quota"
    left: list[None] = field(default_factory=list)

    def next_hour(self, requests: int) -> None:
        """An hour begins, with so many requests."""
        self.left[:] = [None] * requests

    def play(self, exchange: Exchange) -> Answer:
        try:
            self.left.pop()
        except IndexError:
            return throttled("1800")
        return exchange.answer()


class Discover:
    """The tries of one `discover`, as Airflow would start them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, connect: Connect, tmp_path: Path) -> None:
        self.generation, self.in_flight, self.environment = "now", 1, dict[str, str]()
        self.reports = f"file://{tmp_path}/reports"
        self.folder = RunFolder("a_dag", "a_run", self.reports)
        self._connect = connect
        monkeypatch.setattr(rotate_tasks, "ThisTask", self._task)

    def __call__(self) -> None:
        """One try."""
        rotate_tasks.discover(CONN_ID)

    def until_it_ends_well(self, quota: HourlyQuota, requests: int = 20) -> int:
        """One try an hour; how many it took."""
        for tries in range(1, 10):
            quota.next_hour(requests)
            try:
                self()
            except Throttled:
                continue
            return tries
        raise AssertionError("discover never ends")

    def items(self) -> dict[str, Item]:
        """What was found, by LUID."""
        found = read_inventory(self.folder, CONN_ID, generation=self.generation).inventory.items
        return {item.content.id: item for item in found}

    def kept(self) -> list[str]:
        """The files in which the next try will find what was read."""
        return self.folder.names(f"work/reading/{CONN_ID}")

    def _task(self) -> Any:
        settings = {"CREDENTIAL_ROTATION_REPORTS": self.reports, **self.environment}
        settings["CREDENTIAL_ROTATION_REQUESTS_IN_FLIGHT"] = str(self.in_flight)

        @contextmanager
        def tableau(conn_id: str, **_: object) -> Iterator[TableauHook]:
            yield self._connect()

        return SimpleNamespace(
            folder=self.folder,
            generation=self.generation,
            settings=Settings.from_environment(settings),
            params=rotation_params(),
            fingerprints=SimpleNamespace(of=str),
            credential=lambda conn_id: SimpleNamespace(token="a token"),
            is_last_try=False,
            tableau=tableau,
            forget_plan=lambda: None,
            telling_problems=nullcontext,
        )


@pytest.fixture(autouse=True)
def content(site: Site, state: TableauState) -> None:
    for number in range(ITEMS):
        add = site.add_workbook if number % 2 else site.add_datasource
        add(f"Item {number}", connections=[snowflake_connection()])
    # The newest item is never settled; so it is one that is read last.
    site.republish(site.add_virtual_connection("Newest", connections=[snowflake_connection()]), "a password")


@pytest.fixture
def discover(monkeypatch: pytest.MonkeyPatch, connect: Connect, tmp_path: Path) -> Discover:
    return Discover(monkeypatch, connect, tmp_path)


@pytest.fixture
def quota(server: TableauServer) -> HourlyQuota:
    quota = HourlyQuota()
    server.faults.script("*", quota, times=10_000)
    return quota


def times_read(server: TableauServer) -> Counter[str]:
    """How often Tableau has told the connections of each item."""
    return Counter(each.parameters["content_id"] for each in server.requests.all("query_connections", status=200))


def test_with_a_quota_below_the_number_of_items_it_ends_and_reads_each_item_once(
    discover: Discover, quota: HourlyQuota, server: TableauServer, site: Site
) -> None:
    assert discover.until_it_ends_well(quota) <= 4
    assert set(times_read(server).values()) == {1}
    found = {connection.id for item in discover.items().values() for connection in item.connections}
    assert found == {connection.id for _, connection in site.connections()}
    assert discover.kept() == []


def test_with_many_requests_in_flight_only_those_are_sent_again(
    discover: Discover, quota: HourlyQuota, server: TableauServer, site: Site
) -> None:
    discover.in_flight = 4
    tries = discover.until_it_ends_well(quota)
    assert tries <= 5
    assert len(discover.items()) == len(site.contents)
    assert times_read(server).total() - len(site.contents) <= (tries - 1) * discover.in_flight


def test_an_item_published_between_two_tries_is_read_again(
    discover: Discover, quota: HourlyQuota, server: TableauServer, state: TableauState
) -> None:
    quota.next_hour(20)
    with pytest.raises(Throttled):
        discover()
    again = next(content for content in state.site.contents if times_read(server)[content.id])
    state.clock.advance(minutes=30)
    state.site.republish(again, "a password", new_ids=True)
    state.clock.advance(minutes=1)
    state.site.republish(state.site.content("Newest"), "a password")
    discover.until_it_ends_well(quota)
    assert times_read(server)[again.id] == 2
    assert [connection.id for connection in discover.items()[again.id].connections] == [again.connections[0].id]


def test_an_item_that_may_have_changed_within_the_same_second_is_read_again(
    discover: Discover, quota: HourlyQuota, server: TableauServer, state: TableauState
) -> None:
    just_now = state.site.contents[0]
    state.clock.advance(minutes=1)
    state.site.republish(just_now, "a password")
    quota.next_hour(20)
    with pytest.raises(Throttled):
        discover()
    assert times_read(server)[just_now.id] == 1
    # Without another time: it is the same second.
    added = state.site.add_connection(just_now, snowflake_connection("LATER"))
    discover.until_it_ends_well(quota)
    assert added.id in {connection.id for connection in discover.items()[just_now.id].connections}


def test_what_was_read_counts_for_the_same_start_of_the_run_alone(
    discover: Discover, quota: HourlyQuota, server: TableauServer
) -> None:
    quota.next_hour(20)
    with pytest.raises(Throttled):
        discover()
    read = set(times_read(server))
    discover.generation = "after a person cleared it"
    discover.until_it_ends_well(quota)
    assert {times_read(server)[luid] for luid in read} == {2}
    assert discover.kept() == []


def test_what_was_read_of_another_site_does_not_count(
    discover: Discover, quota: HourlyQuota, server: TableauServer, connect: Connect
) -> None:
    quota.next_hour(20)
    with pytest.raises(Throttled):
        discover()
    for name in discover.kept():
        discover.folder.write(name, discover.folder.read(name) | {"site_key": "https://elsewhere.example/#/site/acme"})
    before = set(times_read(server))
    discover.until_it_ends_well(quota)
    assert {times_read(server)[luid] for luid in before} == {2}


def test_what_could_not_be_read_is_read_again(
    discover: Discover, quota: HourlyQuota, server: TableauServer, site: Site
) -> None:
    first = site.contents[0]
    # The scripts are tried in order, so this one takes the place of the quota.
    server.faults.clear()
    server.faults.script("query_connections", TableauCode("403004", "No."), {"content_id": first.id})
    server.faults.script("*", quota, times=10_000)
    discover.until_it_ends_well(quota)
    assert discover.items()[first.id].unreadable is None


@pytest.mark.parametrize("ended", [AirflowTaskTimeout, KeyboardInterrupt])
def test_what_was_read_before_a_time_limit_counts(
    discover: Discover,
    server: TableauServer,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    ended: type[BaseException],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(inventory._Progress, "one_more", _raises_at(15, ended))
        with pytest.raises(ended):
            discover()
    discover()
    assert len(discover.items()) == len(site.contents)
    # One was in flight, and the newest is never settled.
    assert times_read(server).total() - len(site.contents) <= 2


def test_a_kill_loses_one_piece(
    discover: Discover, quota: HourlyQuota, server: TableauServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished_reading, "_ITEMS_IN_A_PIECE", 4)
    quota.next_hour(30)
    with monkeypatch.context() as patch:
        # Whatever a process does in its end, one that is killed does not do.
        patch.setattr(UnfinishedReading, "__exit__", lambda *_: None)
        with pytest.raises(Throttled):
            discover()
    assert times_read(server).total() > 8
    discover.until_it_ends_well(quota, 60)
    assert 0 <= times_read(server).total() - len(site.contents) < 4


def test_a_reading_that_fails_for_another_reason_goes_on_as_well(
    discover: Discover, server: TableauServer, site: Site
) -> None:
    last = site.contents[ITEMS - 1]
    server.faults.script("query_connections", ServerError(), {"content_id": last.id}, times=4)
    with pytest.raises(TableauError):
        discover()
    assert server.faults.left() == 0
    discover()
    # The newest may have been in flight.
    assert times_read(server).total() - len(site.contents) <= 1


@pytest.mark.parametrize("text", ["half a fi", "[]", "{}", "null"])
def test_a_file_that_says_nothing_is_no_obstacle(
    discover: Discover, quota: HourlyQuota, server: TableauServer, text: str
) -> None:
    quota.next_hour(20)
    with pytest.raises(Throttled):
        discover()
    [name] = discover.kept()
    discover.folder.write_text(name, text)
    discover.until_it_ends_well(quota)
    assert discover.kept() == []


def test_a_file_of_another_version_is_no_obstacle(discover: Discover, quota: HourlyQuota) -> None:
    quota.next_hour(20)
    with pytest.raises(Throttled):
        discover()
    [name] = discover.kept()
    values = discover.folder.read(name)
    values["items"] = {luid: {"something": "else"} for luid in values["items"]}
    discover.folder.write(name, values)
    discover.until_it_ends_well(quota)


def test_where_it_can_not_be_kept_the_failure_is_still_the_quota(
    discover: Discover, quota: HourlyQuota, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    quota.next_hour(20)
    monkeypatch.setattr(discover.folder, "write", full)
    with pytest.raises(Throttled):
        discover()


def test_what_earlier_runs_know_is_not_read_either(
    discover: Discover, quota: HourlyQuota, server: TableauServer, state: TableauState
) -> None:
    discover.environment = {"CREDENTIAL_ROTATION_FULL_SWEEP_EVERY": "7"}
    discover.until_it_ends_well(quota, 100)
    state.clock.advance(minutes=30)
    for content in state.site.contents[:ITEMS:2]:
        state.site.republish(content, "a password")
    state.clock.advance(minutes=30)
    state.site.republish(state.site.content("Newest"), "a password")
    server.requests.clear()
    assert discover.until_it_ends_well(quota, 15) > 1
    assert times_read(server) == dict.fromkeys(
        [*(content.id for content in state.site.contents[:ITEMS:2]), state.site.content("Newest").id], 1
    )
    server.requests.clear()
    discover.until_it_ends_well(quota, 100)
    assert set(times_read(server)) == {state.site.content("Newest").id}


def _raises_at(number: int, ended: type[BaseException]) -> Callable[[object], None]:
    left = [None] * (number - 1)

    def one_more(_: object) -> None:
        if not left:
            raise ended
        left.pop()

    return one_more
