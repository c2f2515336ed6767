"""Writing to many connections: some at a time, and what is told of each."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from credential_rotation.rotation.budget import BUDGET_SPENT, Hold
from credential_rotation.rotation.one_connection import Orders
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.update_batch import HELD_UP, PATIENCE, BatchResult, update_batch
from credential_rotation.tableau.content import Connection, Content
from credential_rotation.tableau.errors import SignInRefused
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.snowflake_accounts import SnowflakeUser
from sandbox.tableau import (
    Fault,
    JobOutcome,
    JobStatus,
    Pass,
    ServerError,
    SessionLost,
    Site,
    Slow,
    TableauCode,
    TableauServer,
    TableauState,
    Throttle,
    jobs,
    snowflake_connection,
)
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import Exchange
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.hooks.session_stores import MemoryStore
from tests.credential_rotation.rotation.on_the_sandbox import CREDENTIAL, TOKEN, UPDATE, find_targets
from tests.credential_rotation.rotation.proving import Proofs
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
        hold: Callable[[ConnectionRecord], Hold | None] = lambda _: None,
        orders: Orders | None = None,
    ) -> BatchResult:
        return update_batch(
            self.tableau,
            targets,
            {CREDENTIAL.conn_id: CREDENTIAL},
            in_flight=in_flight,
            done=self.told.append,
            hold=hold,
            orders=orders,
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

    def has(self, content: Content) -> bool:
        return self._site.has(content)

    def embed(self, content: Content, connection: Connection, username: str, password: str) -> Connection | None:
        with self._lock:
            if content.id in self.now:
                self.twice.append(content.name)
            self.now.append(content.id)
            self.most = max(self.most, len(self.now))
        time.sleep(0.02)
        answer = self._site.embed(content, connection, username, password)
        with self._lock:
            self.now.remove(content.id)
        return answer

    def updated_at(self, contents: Collection[Content]) -> dict[str, str]:
        return self._site.updated_at(contents)


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

    def test_it_is_known_how_long_each_update_took_over_all_its_tries(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer
    ) -> None:
        server.faults.script(UPDATE, Slow(0.3), {"content_id": many[0].content_id})
        tried_before = replace(many[1], seconds=100.0)
        first, second, third = batch([many[0], tried_before, many[2]]).records
        assert 0.3 <= (first.seconds or 0) < 100 < (second.seconds or 0) < 200
        assert 0 < (third.seconds or 0) < 100

    def test_what_was_held_back_took_no_time(self, batch: Batch, many: list[ConnectionRecord]) -> None:
        result = batch(many, hold=lambda _: Hold(BUDGET_SPENT, retriable=True))
        assert {record.seconds for record in result.records} == {None}

    def test_an_update_that_failed_took_its_time(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer
    ) -> None:
        server.faults.script(UPDATE, Throttle("120"))
        [failed] = batch(many[:1]).records
        assert failed.outcome is Outcome.FAILED
        assert (failed.seconds or 0) > 0

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
        allowed = iter(range(4))
        spent = Hold(BUDGET_SPENT, retriable)
        result = batch(many, in_flight=1, hold=lambda _: None if next(allowed, None) is not None else spent)
        assert server.requests.count(UPDATE) == 4
        assert {(record.outcome, record.reason, record.retriable) for record in result.records[4:]} == {
            (Outcome.NOT_ATTEMPTED, BUDGET_SPENT, retriable)
        }

    def test_new_updates_may_be_held_back_by_what_they_are(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer
    ) -> None:
        held = many[2]
        asked: list[str] = []

        def hold(target: ConnectionRecord) -> Hold | None:
            asked.append(target.key)
            return Hold("refused elsewhere", retriable=False) if target.key == held.key else None

        result = batch(many, hold=hold)
        bad = [(each.key, each.outcome, each.reason) for each in result.records if each.outcome is not Outcome.UPDATED]
        assert bad == [(held.key, Outcome.NOT_ATTEMPTED, "refused elsewhere")]
        assert sorted(asked) == sorted(each.key for each in many)
        assert server.requests.count(UPDATE) == len(many) - 1

    def test_what_failed_before_is_tried_again_though_new_updates_are_held_back(
        self, batch: Batch, many: list[ConnectionRecord], server: TableauServer
    ) -> None:
        server.faults.script(UPDATE, ServerError(500), times=4)
        failed = batch(many[:1]).records[0]
        after = batch([failed, many[1]], in_flight=1, hold=lambda _: Hold(BUDGET_SPENT, retriable=True)).records
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
        # The one that was written to can't be looked at any more, either.
        assert (first, second, *rest) == (Outcome.FAILED, *[Outcome.NOT_ATTEMPTED] * (len(many) - 2), Outcome.FAILED)
        assert all("401001" in str(record.reason) for record in batch.told)

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


class _SandboxTime:
    """Sleeping makes the sandbox's time pass."""

    def __init__(self, state: TableauState) -> None:
        self._state = state
        self.slept: list[float] = []

    def time(self) -> float:
        return self._state.clock.now().timestamp()

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._state.clock.advance(seconds=seconds)


@pytest.fixture
def sandbox_time(monkeypatch: pytest.MonkeyPatch, state: TableauState) -> _SandboxTime:
    sandbox_time = _SandboxTime(state)
    monkeypatch.setattr("credential_rotation.rotation.update_batch.time", sandbox_time)
    return sandbox_time


@pytest.fixture
def user(state: TableauState) -> SnowflakeUser:
    """Whose old secret is dead already, as after a rotation in an emergency."""
    return state.accounts.add_account("acme-prod").add_user("ETL_USER", secrets=[TOKEN])


@pytest.fixture
def proofs(state: TableauState, connect: Connect, user: SnowflakeUser) -> Proofs:
    return Proofs(state, connect())


class ProvingBatch:
    """Updates and proves whatever is a target; each call knows only what was kept of the one before."""

    def __init__(self, proofs: Proofs, sandbox_time: _SandboxTime) -> None:
        self.proofs = proofs
        self.sandbox_time = sandbox_time
        self.batch = Batch(proofs.tableau)
        self.orders = Orders(prover=proofs.prover())

    def __call__(
        self, records: Sequence[ConnectionRecord] | None = None, in_flight: int = 4, hold: Hold | None = None
    ) -> BatchResult:
        records = find_targets(self.proofs.tableau) if records is None else records
        kept = json.loads(json.dumps([record.as_dict() for record in records]))
        targets = [ConnectionRecord.from_dict(values) for values in kept]
        return self.batch(targets, in_flight, lambda _: hold, self.orders)


@pytest.fixture
def prove(proofs: Proofs, sandbox_time: _SandboxTime) -> ProvingBatch:
    return ProvingBatch(proofs, sandbox_time)


def by_name(result: BatchResult) -> dict[str, tuple[Outcome | None, Proof | None]]:
    return {record.content_name: (record.outcome, record.proof) for record in result.records}


def add_items_with_two_connections(site: Site) -> None:
    connections = [snowflake_connection(), snowflake_connection("etl_user")]
    site.add_datasource("Orders", connections=connections, has_extracts=True)
    site.add_workbook("Live", connections=[snowflake_connection(), snowflake_connection()])


REFRESHED = (Outcome.UPDATED, Proof.REFRESH_JOB)


@dataclass(frozen=True)
class _JobsStartJustBefore(Fault):
    """Whatever waits in Tableau's queue starts just before this request, with what is embedded by then."""

    word = "jobs_start"
    state: TableauState | None = None

    def play(self, exchange: Exchange) -> Answer:
        assert self.state is not None
        for job in self.state.jobs.values():
            jobs.start_if_due(self.state, job)
        return exchange.answer()


class TestProofs:
    """Proofs that are there soon are waited for, all together; for others the task makes way."""

    @pytest.mark.parametrize("in_flight", [1, 4])
    def test_many_extracts_are_refreshed_at_a_time(
        self, prove: ProvingBatch, site: Site, state: TableauState, in_flight: int
    ) -> None:
        for number in range(6):
            site.add_datasource(f"Orders {number}", connections=[snowflake_connection()], has_extracts=True)
        state.job_seconds = 8
        result = prove(in_flight=in_flight)
        assert set(by_name(result).values()) == {REFRESHED}
        assert (result.proof_in, result.retry_after) == (None, None)
        assert max(job.created_at for job in state.jobs.values()) < min(
            job.completed_at for job in state.jobs.values() if job.completed_at
        )
        assert sum(prove.sandbox_time.slept) <= 8 * 1.5 + 2

    def test_one_that_takes_long_does_not_hold_up_the_others(
        self, prove: ProvingBatch, site: Site, state: TableauState
    ) -> None:
        for number in range(3):
            site.add_datasource(f"Orders {number}", connections=[snowflake_connection()], has_extracts=True)
        site.add_datasource("Live", connections=[snowflake_connection()])
        site.content("Orders 0").job_outcome = JobOutcome.NEVER_ENDS
        result = prove(in_flight=1)
        assert by_name(result) == {
            "Orders 0": (None, None),
            "Orders 1": REFRESHED,
            "Orders 2": REFRESHED,
            "Live": (Outcome.UPDATED, Proof.QUERY),
        }

    def test_what_is_not_there_within_patience_is_kept_and_the_next_call_goes_on_with_it(
        self, prove: ProvingBatch, site: Site, state: TableauState, server: TableauServer
    ) -> None:
        for number in range(2):
            site.add_datasource(f"Orders {number}", connections=[snowflake_connection()], has_extracts=True)
        state.job_seconds = 100
        result = prove()
        assert set(by_name(result).values()) == {(None, None)}
        assert all(record.proving and record.proving.job_id for record in result.records)
        assert result.proof_in is not None
        assert sum(prove.sandbox_time.slept) <= PATIENCE < sum(prove.sandbox_time.slept) + result.proof_in
        calls = 1
        while result.proof_in is not None:
            state.clock.advance(seconds=result.proof_in)
            result = prove(result.records)
            calls += 1
        assert set(by_name(result).values()) == {REFRESHED}
        assert calls > 1
        assert (server.requests.count(UPDATE), server.requests.count("refresh")) == (2, 2)
        assert {record.attempts for record in result.records} == {1}
        # It is the wait for the refresh that takes long, and not the looks.
        assert all(100 <= (record.seconds or 0) < 200 for record in result.records)

    def test_all_connections_of_an_item_are_embedded_before_one_of_them_is_proved(
        self, prove: ProvingBatch, site: Site, server: TableauServer
    ) -> None:
        add_items_with_two_connections(site)
        result = prove()
        assert set(by_name(result).values()) == {(Outcome.UPDATED, Proof.SNOWFLAKE_LOGIN)}
        for name in ("Orders", "Live"):
            told = [record for record in prove.batch.told if record.content_name == name]
            assert [record.outcome for record in told] == [None, Outcome.UPDATED, None, Outcome.UPDATED]
        assert {len(connection.writes) for _, connection in site.connections()} == {1}
        # Tableau shows whether an item gets at its data, not by which of its connections.
        asked = ("refresh", "list_views", "view_data", "read_metadata", "query_datasource")
        assert sum(server.requests.count(operation) for operation in asked) == 0

    def test_where_nobody_knows_how_many_there_are_all_of_an_item_are_embedded_before_it_is_refreshed_or_looked_at(
        self, prove: ProvingBatch, site: Site, state: TableauState, server: TableauServer
    ) -> None:
        # A refresh signs in with each of them, and the old secret is dead.
        add_items_with_two_connections(site)
        server.faults.script(UPDATE, _JobsStartJustBefore(state), times=4)
        result = prove([replace(target, connections_in_item=None) for target in find_targets(prove.proofs.tableau)])
        while result.proof_in is not None:
            state.clock.advance(seconds=result.proof_in)
            result = prove([record for record in result.records if record.outcome is None])
        proved = [record for record in prove.batch.told if record.outcome is not None]
        assert [(record.content_name, record.outcome, record.proof) for record in proved] == [
            ("Orders", *REFRESHED),
            ("Orders", *REFRESHED),
            ("Live", Outcome.UPDATED, Proof.VIEW_DATA),
            ("Live", Outcome.UPDATED, Proof.VIEW_DATA),
        ]
        assert {job.status for job in state.jobs.values()} == {JobStatus.SUCCESS}
        assert {len(connection.writes) for _, connection in site.connections()} == {1}

    def test_a_429_while_something_is_proved_is_a_wait_and_no_failure(
        self, prove: ProvingBatch, site: Site, state: TableauState, server: TableauServer
    ) -> None:
        site.add_datasource("Live", connections=[snowflake_connection()])
        server.faults.script("query_datasource", Throttle("40"))
        result = prove()
        assert by_name(result) == {"Live": (None, None)}
        assert (result.proof_in, result.retry_after) == (40, None)
        state.clock.advance(seconds=40)
        assert by_name(prove(result.records)) == {"Live": (Outcome.UPDATED, Proof.QUERY)}
        assert server.requests.count(UPDATE) == 1

    def test_the_looks_at_one_do_not_use_up_the_tries_of_another(
        self, prove: ProvingBatch, site: Site, state: TableauState, server: TableauServer
    ) -> None:
        site.add_datasource("Extract", connections=[snowflake_connection()], has_extracts=True)
        site.add_datasource("Live", connections=[snowflake_connection()])
        state.job_seconds = 6
        server.faults.script("query_datasource", ServerError(500), times=3)
        result = prove()
        assert by_name(result) == {"Extract": REFRESHED, "Live": (None, None)}
        assert server.requests.count("get_job") > 3
        assert server.requests.count("query_datasource") == 1

    def test_what_is_under_way_goes_on_though_new_updates_are_held_back(
        self, prove: ProvingBatch, site: Site, state: TableauState, server: TableauServer
    ) -> None:
        site.add_datasource("Orders", connections=[snowflake_connection()], has_extracts=True)
        state.job_seconds = 60
        under_way = prove().records
        site.add_datasource("New", connections=[snowflake_connection()])
        [new] = [target for target in find_targets(prove.proofs.tableau) if target.content_name == "New"]
        state.clock.advance(seconds=60)
        result = prove([*under_way, new], hold=Hold(BUDGET_SPENT, retriable=True))
        assert by_name(result) == {"Orders": REFRESHED, "New": (Outcome.NOT_ATTEMPTED, None)}

    def test_what_is_under_way_goes_on_though_tableau_wants_no_new_updates(
        self, prove: ProvingBatch, site: Site, state: TableauState, server: TableauServer
    ) -> None:
        site.add_datasource("Orders", connections=[snowflake_connection()], has_extracts=True)
        throttled = site.add_datasource("Other", connections=[snowflake_connection()])
        site.add_datasource("Third", connections=[snowflake_connection()])
        server.faults.script(UPDATE, Throttle("120"), {"content_id": throttled.id})
        result = prove(in_flight=1)
        assert by_name(result) == {
            "Orders": REFRESHED,
            "Other": (Outcome.FAILED, None),
            "Third": (Outcome.NOT_ATTEMPTED, None),
        }
        assert (result.retry_after, result.proof_in) == (120, None)

    def test_a_sign_in_that_is_refused_while_something_is_proved_leaves_it_under_way(
        self, prove: ProvingBatch, site: Site, state: TableauState, server: TableauServer
    ) -> None:
        for number in range(3):
            site.add_datasource(f"Orders {number}", connections=[snowflake_connection()], has_extracts=True)
        server.faults.script("get_job", SessionLost())
        targets = find_targets(prove.proofs.tableau)
        state.passwords = dict.fromkeys(state.passwords, "changed meanwhile")
        server.requests.clear()
        with pytest.raises(SignInRefused):
            prove(targets, in_flight=1)
        latest = {record.key: record for record in prove.batch.told}
        assert [(record.outcome, bool(record.proving)) for record in latest.values()] == [(None, True)] * 3
        assert server.requests.count("sign_in") == 1

    def test_that_a_canary_is_put_back_is_told_before_it_is_and_done_in_the_same_call(
        self, prove: ProvingBatch, site: Site, user: SnowflakeUser
    ) -> None:
        content = site.add_datasource("Live", connections=[snowflake_connection(password="before")])
        user.secrets.clear()
        user.secrets.add("before")
        prove.orders = replace(prove.orders, is_canary=True)
        [after] = prove().records
        assert (after.outcome, content.connections[0].password) == (Outcome.ROLLED_BACK, "before")
        steps = [(record.outcome, bool(record.undoing), record.attempts) for record in prove.batch.told]
        assert steps == [
            (None, False, 1),
            (None, True, 1),
            (None, True, 2),
            (Outcome.ROLLED_BACK, False, 2),
        ]

    def test_a_sign_in_that_is_refused_while_a_canary_is_put_back_is_told_in_capital_letters_and_kept_in_mind(
        self, prove: ProvingBatch, site: Site, user: SnowflakeUser, connect: Connect
    ) -> None:
        state = prove.proofs.state
        content = site.add_datasource("Live", connections=[snowflake_connection(password="before")])
        user.secrets.clear()
        user.secrets.add("before")
        prove.orders = replace(prove.orders, is_canary=True)
        targets = find_targets(prove.proofs.tableau)
        state.faults.script(UPDATE, [Pass(), SessionLost()])
        state.passwords = dict.fromkeys(state.passwords, "changed meanwhile")
        with pytest.raises(SignInRefused):
            prove(targets)
        left = prove.batch.told[-1]
        assert (left.outcome, left.retriable, content.connections[0].password) == (Outcome.FAILED, False, TOKEN)
        assert str(left.reason).startswith("DEFAULT › LIVE NOW HOLDS A TOKEN THAT DID NOT CONNECT: ")
        later = ProvingBatch(Proofs(state, connect("pat", store=MemoryStore())), prove.sandbox_time)
        later.orders = replace(later.orders, is_canary=True)
        [after] = later([left]).records
        assert (after.outcome, content.connections[0].password) == (Outcome.ROLLED_BACK, "before")
        assert len(content.connections[0].writes) == 2
