"""Writing to many connections: some at a time, and what is told of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from credential_rotation.rotation.budget import BUDGET_SPENT, Hold
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.update_batch import HELD_UP, BatchResult, update_batch
from credential_rotation.tableau.content import Connection, Content
from credential_rotation.tableau.errors import SignInRefused
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import (
    Pass,
    ServerError,
    SessionLost,
    Site,
    Slow,
    TableauCode,
    TableauServer,
    TableauState,
    Throttle,
    snowflake_connection,
)
from tests.credential_rotation.rotation.on_the_sandbox import CREDENTIAL, TOKEN, UPDATE, find_targets
from tests.dags.small_tableau import DeletedJustBefore


class Batch:
    """Updates a batch, and keeps what is told meanwhile."""

    def __init__(self, tableau: Any) -> None:
        self.tableau = tableau
        self.told: list[ConnectionRecord] = []

    def __call__(
        self,
        targets: list[ConnectionRecord],
        in_flight: int = 4,
        hold: Callable[[], Hold | None] = lambda: None,
    ) -> BatchResult:
        return update_batch(
            self.tableau,
            targets,
            {CREDENTIAL.conn_id: CREDENTIAL},
            in_flight=in_flight,
            done=self.told.append,
            hold=hold,
        )


@pytest.fixture
def batch(tableau: TableauSite) -> Batch:
    return Batch(tableau)


@pytest.fixture
def many(site: Site, tableau: TableauSite) -> list[ConnectionRecord]:
    for number in range(6):
        site.add_datasource(f"Orders {number}", connections=[snowflake_connection()])
    for number in range(2):
        connections = [snowflake_connection(), snowflake_connection("jane"), snowflake_connection("etl_user")]
        site.add_workbook(f"Overview {number}", connections=connections)
    return find_targets(tableau)


def tokens(site: Site) -> list[bool]:
    return [connection.password == TOKEN for _, connection in site.connections()]


class _Watching:
    """A site that sees which items are written to at the same time."""

    def __init__(self, site: TableauSite) -> None:
        self._site = site
        self._lock = threading.Lock()
        self.now: list[str] = []
        self.most = 0
        self.twice: list[str] = []

    def connections(self, content: Content) -> list[Connection]:
        return self._site.connections(content)

    def embed(self, content: Content, connection: Connection, username: str, password: str) -> None:
        with self._lock:
            if content.id in self.now:
                self.twice.append(content.name)
            self.now.append(content.id)
            self.most = max(self.most, len(self.now))
        time.sleep(0.02)
        self._site.embed(content, connection, username, password)
        with self._lock:
            self.now.remove(content.id)

    def clock(self) -> datetime:
        return self._site.clock()


class TestBatch:
    """Several connections."""

    def test_every_target_is_written_once_and_told_once(
        self, batch: Batch, many: list[ConnectionRecord], site: Site
    ) -> None:
        result = batch(many)
        assert all(tokens(site))
        assert {len(connection.writes) for _, connection in site.connections()} == {1}
        assert {record.outcome for record in result.records} == {Outcome.UPDATED}
        keys = sorted(record.key for record in many)
        assert sorted(record.key for record in result.records) == keys
        assert sorted(record.key for record in batch.told) == keys
        assert result.retry_after is None

    def test_connections_of_one_item_are_written_one_after_the_other(
        self, tableau: TableauSite, many: list[ConnectionRecord]
    ) -> None:
        watching = _Watching(tableau)
        Batch(watching)(many, in_flight=4)
        assert watching.twice == []
        assert 1 < watching.most <= 4

    @pytest.mark.parametrize("in_flight", [1, 3])
    def test_no_more_requests_are_in_flight_than_allowed(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer, state: TableauState, in_flight: int
    ) -> None:
        state.latency.write_seconds = 0.02
        server.requests.clear()
        batch(many, in_flight)
        assert server.requests.most_in_flight == in_flight

    def test_one_that_fails_does_not_stop_the_others(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer, site: Site
    ) -> None:
        server.faults.script(UPDATE, TableauCode("403004", "No."), {"content_id": many[1].content_id})
        result = batch(many)
        assert [record.key for record in result.records if record.outcome is Outcome.FAILED] == [many[1].key]
        assert tokens(site).count(False) == 1

    def test_of_an_item_deleted_meanwhile_all_connections_are_gone(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer, site: Site
    ) -> None:
        overview = site.content("Overview 0")
        server.faults.script(UPDATE, DeletedJustBefore(site, overview), {"content_id": overview.id})
        gone = [record for record in batch(many).records if record.outcome is Outcome.GONE]
        assert [record.content_id for record in gone] == [overview.id] * 3

    def test_when_tableau_asks_for_a_long_wait_the_rest_is_held_up(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer
    ) -> None:
        server.faults.script(UPDATE, [Pass(), Pass(), Throttle("120")])
        result = batch(many, in_flight=1)
        assert result.retry_after == 120
        assert server.requests.count(UPDATE) == 3
        assert [record.outcome for record in result.records[:3]] == [Outcome.UPDATED, Outcome.UPDATED, Outcome.FAILED]
        assert {(record.outcome, record.reason) for record in result.records[3:]} == {(Outcome.NOT_ATTEMPTED, HELD_UP)}
        assert all(record.retriable for record in result.records[2:])
        assert len(batch.told) == len(many)

    def test_a_429_that_names_no_time_is_waited_out_for_a_minute(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer
    ) -> None:
        server.faults.script(UPDATE, Throttle(None), times=4)
        assert batch(many, in_flight=1).retry_after == 60

    @pytest.mark.parametrize("retriable", [False, True])
    def test_once_too_many_failed_no_new_update_is_sent(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer, retriable: bool
    ) -> None:
        result = batch(many, in_flight=1, hold=lambda: None if len(batch.told) < 4 else Hold(BUDGET_SPENT, retriable))
        assert server.requests.count(UPDATE) == 4
        assert {(record.outcome, record.reason, record.retriable) for record in result.records[4:]} == {
            (Outcome.NOT_ATTEMPTED, BUDGET_SPENT, retriable)
        }

    def test_what_failed_before_is_tried_again_though_new_updates_are_held_back(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer
    ) -> None:
        server.faults.script(UPDATE, ServerError(500), times=4)
        failed = batch(many[:1]).records[0]
        after = batch([failed, many[1]], in_flight=1, hold=lambda: Hold(BUDGET_SPENT, retriable=True)).records
        assert [record.outcome for record in after] == [Outcome.UPDATED, Outcome.NOT_ATTEMPTED]
        assert after[0].attempts == 2

    def test_what_failed_before_stays_failed_when_its_turn_does_not_come_again(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer
    ) -> None:
        server.faults.script(UPDATE, ServerError(500), times=4)
        failed = batch(many[1:2]).records[0]
        server.faults.script(UPDATE, Throttle("120"))
        _, after = batch([many[0], failed], in_flight=1).records
        assert (after.outcome, after.reason, after.attempts) == (Outcome.FAILED, failed.reason, 1)
        assert after.retriable

    def test_a_sign_in_that_is_refused_ends_the_batch_and_is_not_tried_by_every_connection(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer, state: TableauState
    ) -> None:
        server.faults.script(UPDATE, [Pass(), SessionLost()])
        state.passwords = dict.fromkeys(state.passwords, "changed meanwhile")
        server.requests.clear()
        with pytest.raises(SignInRefused):
            batch(many, in_flight=1)
        assert server.requests.count("sign_in") == 1
        first, second, *rest = [record.outcome for record in batch.told]
        assert (first, second, set(rest)) == (Outcome.UPDATED, Outcome.FAILED, {Outcome.NOT_ATTEMPTED})
        assert all("401001" in str(record.reason) for record in batch.told[1:])

    def test_a_sign_in_that_is_refused_while_another_update_is_slow_stops_the_rest_at_once(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer, state: TableauState
    ) -> None:
        server.faults.script(UPDATE, Slow(0.5), {"content_id": many[0].content_id})
        server.faults.script(UPDATE, SessionLost(), {"content_id": many[1].content_id})
        state.passwords = dict.fromkeys(state.passwords, "changed meanwhile")
        server.requests.clear()
        with pytest.raises(SignInRefused):
            batch(many, in_flight=2)
        assert server.requests.count(UPDATE) == 2

    def test_a_sign_in_that_is_refused_to_many_threads_is_not_tried_by_each(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer, state: TableauState
    ) -> None:
        # Each further refused sign-in brings the account nearer to being locked.
        server.faults.script(UPDATE, SessionLost())
        state.passwords = dict.fromkeys(state.passwords, "changed meanwhile")
        server.requests.clear()
        with pytest.raises(SignInRefused):
            batch(many, in_flight=4)
        assert server.requests.count("sign_in") <= 4
