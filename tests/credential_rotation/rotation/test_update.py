"""Writing: what Tableau holds afterwards, and what is told of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from credential_rotation.rotation.budget import BUDGET_SPENT, Hold
from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.filters import Filters
from credential_rotation.rotation.inventory import take_inventory
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SiteInventory, select
from credential_rotation.rotation.update import HELD_UP, BatchResult, update_batch, update_one
from credential_rotation.tableau.content import Connection, Content, ContentType
from credential_rotation.tableau.errors import SignInRefused, Throttled
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import Content as SandboxContent
from sandbox.tableau import (
    EmptyBody,
    Fault,
    HtmlPage,
    Pass,
    RawAnswer,
    ResetAfter,
    ServerError,
    SessionLost,
    Site,
    Slow,
    TableauCode,
    TableauServer,
    TableauState,
    Throttle,
    UpdateAnswer,
    snowflake_connection,
)
from tests.builders import snowflake_credential
from tests.dags.small_tableau import DeletedJustBefore

TOKEN = 'today\'s <token> & "more"'
CREDENTIAL = snowflake_credential(token=TOKEN, tableau_usernames=["jane"])
ACCEPTED_WITHOUT_EFFECT = RawAnswer(200, '<tsResponse xmlns="http://tableau.com/api"/>', "application/xml")
UPDATE = "update_connection"


def find_targets(tableau: TableauSite, credential: SnowflakeCredential = CREDENTIAL) -> list[ConnectionRecord]:
    """As a run finds them."""
    taken = SiteInventory("tableau_default", "acme", take_inventory(tableau, list(ContentType), 4))
    selected = select([taken], [credential], Filters(), embed_where_prompting=True)
    return [record for record in selected if record.is_target]


@pytest.fixture
def orders(site: Site) -> SandboxContent:
    return site.add_datasource("Orders", connections=[snowflake_connection("jane", port="443")])


@pytest.fixture
def target(tableau: TableauSite, orders: SandboxContent) -> ConnectionRecord:
    [found] = find_targets(tableau)
    return found


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credential_rotation.tableau.pace.Pace.rest", lambda self, seconds: None)


def update(tableau: TableauSite, target: ConnectionRecord) -> ConnectionRecord:
    return update_one(tableau, target, CREDENTIAL)


class TestOne:
    """One connection."""

    @pytest.mark.parametrize("kind", ["datasource", "workbook", "flow", "virtual_connection"])
    def test_each_type_of_content_embeds_the_token_afterwards(
        self, site: Site, tableau: TableauSite, kind: str
    ) -> None:
        connection = snowflake_connection("jane", address="Acme-Prod.snowflakecomputing.com", port="443")
        getattr(site, f"add_{kind}")(connections=[connection])
        [target] = find_targets(tableau)
        after = update(tableau, target)
        assert (after.outcome, after.proof, after.attempts) == (Outcome.UPDATED, Proof.SAVED, 1)
        assert (connection.username, connection.password, connection.embedded) == ("ETL_USER", TOKEN, True)
        assert (connection.server_address, connection.server_port) == ("Acme-Prod.snowflakecomputing.com", "443")
        assert len(connection.writes) == 1

    def test_an_address_without_a_port_stays_without(self, site: Site, tableau: TableauSite) -> None:
        site.add_datasource(connections=[connection := snowflake_connection()])
        [target] = find_targets(tableau)
        assert update(tableau, target).outcome is Outcome.UPDATED
        assert connection.server_port == ""

    @pytest.mark.parametrize("answer", list(UpdateAnswer))
    def test_whatever_the_answer_shows_what_counts_is_what_is_read_afterwards(
        self, tableau: TableauSite, target: ConnectionRecord, orders: SandboxContent, answer: UpdateAnswer
    ) -> None:
        orders.update_answer = answer
        assert update(tableau, target).outcome is Outcome.UPDATED
        assert orders.connections[0].password == TOKEN

    def test_where_people_were_asked_the_password_is_embedded_afterwards(
        self, site: Site, tableau: TableauSite
    ) -> None:
        site.add_workbook(connections=[connection := snowflake_connection(embedded=False)])
        [target] = find_targets(tableau)
        assert update(tableau, target).outcome is Outcome.UPDATED
        assert (connection.embedded, connection.password) == (True, TOKEN)

    def test_a_neighbour_in_the_same_item_is_not_touched(
        self, tableau: TableauSite, target: ConnectionRecord, site: Site, orders: SandboxContent
    ) -> None:
        neighbour = site.add_connection(orders, snowflake_connection("SOMEBODY", "theirs"))
        assert update(tableau, target).outcome is Outcome.UPDATED
        assert (neighbour.password, neighbour.writes) == ("theirs", [])

    @pytest.mark.parametrize("code", ["403004", "403000"])
    def test_without_the_right_it_fails_for_good_and_says_so(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer, code: str
    ) -> None:
        server.faults.script(UPDATE, TableauCode(code, "Not yours."))
        after = update(tableau, target)
        assert (after.outcome, after.retriable, after.attempts, after.proof) == (Outcome.FAILED, False, 1, None)
        assert "Not yours." in str(after.reason)
        assert server.requests.count(UPDATE) == 1

    def test_an_item_deleted_meanwhile_is_gone(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer, site: Site, orders: SandboxContent
    ) -> None:
        server.faults.script(UPDATE, DeletedJustBefore(site, orders))
        after = update(tableau, target)
        assert (after.outcome, after.retriable) == (Outcome.GONE, False)

    def test_an_item_deleted_after_the_update_is_gone(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer, site: Site, orders: SandboxContent
    ) -> None:
        server.faults.script("query_connections", DeletedJustBefore(site, orders))
        assert update(tableau, target).outcome is Outcome.GONE

    def test_an_item_published_again_with_new_luids_fails_for_good_and_points_to_the_next_run(
        self, tableau: TableauSite, target: ConnectionRecord, orders: SandboxContent
    ) -> None:
        orders.connections[0].id = "a-new-luid"
        after = update(tableau, target)
        assert (after.outcome, after.retriable) == (Outcome.FAILED, False)
        assert "published again" in str(after.reason)
        assert orders.connections[0].writes == []

    def test_a_connection_that_is_listed_and_yet_not_found_is_worth_another_try(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer
    ) -> None:
        server.faults.script(UPDATE, TableauCode("404026", "Not found."))
        after = update(tableau, target)
        assert (after.outcome, after.retriable) == (Outcome.FAILED, True)

    @pytest.mark.parametrize(("fault", "retriable"), [(TableauCode("403004", "No."), False), (ServerError(500), True)])
    def test_where_it_can_not_be_told_whether_a_missing_item_is_gone_it_fails(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer, fault: Fault, retriable: bool
    ) -> None:
        server.faults.script(UPDATE, TableauCode("404004", "Not found."))
        server.faults.script("query_connections", fault, times=4)
        after = update(tableau, target)
        assert (after.outcome, after.retriable) == (Outcome.FAILED, retriable)

    @pytest.mark.parametrize(
        "faults",
        [
            [TableauCode("400033")] * 2,
            [ServerError(500), HtmlPage(503)],
            [ResetAfter()],
            [Throttle("1")],
            [SessionLost()],
            [EmptyBody()],
            [TableauCode("400039", "There was a problem. Try again.")],
        ],
    )
    def test_what_passes_is_overcome_at_once(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer, faults: list[Fault], no_rest: None
    ) -> None:
        server.faults.script(UPDATE, faults)
        after = update(tableau, target)
        assert (after.outcome, after.attempts) == (Outcome.UPDATED, 1)
        assert server.state.site.connection(str(target.connection_id)).password == TOKEN
        assert server.faults.left() == 0

    @pytest.mark.parametrize("fault", [TableauCode("400033"), ServerError(502), HtmlPage(503)])
    def test_what_does_not_pass_is_left_to_the_task_s_retry(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer, fault: Fault
    ) -> None:
        server.faults.script(UPDATE, fault, times=20)
        after = update(tableau, target)
        assert (after.outcome, after.retriable) == (Outcome.FAILED, True)
        assert server.requests.count(UPDATE) <= 5

    @pytest.mark.parametrize(
        "detail", ["The connection is not editable (errorCode=60004).", "Authentication update is not allowed."]
    )
    def test_what_tableau_never_lets_be_edited_is_asked_once_and_fails_with_its_words(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer, detail: str
    ) -> None:
        server.faults.script(UPDATE, TableauCode("400039", detail), times=5)
        after = update(tableau, target)
        assert (after.outcome, after.retriable) == (Outcome.FAILED, False)
        assert detail in str(after.reason)
        assert server.requests.count(UPDATE) == 1

    def test_an_update_that_is_accepted_and_not_saved_is_no_success(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer, orders: SandboxContent
    ) -> None:
        server.faults.script(UPDATE, ACCEPTED_WITHOUT_EFFECT)
        after = update(tableau, target)
        assert orders.connections[0].username == "jane"
        assert (after.outcome, after.retriable, after.proof) == (Outcome.FAILED, True, None)
        assert "shows user jane" in str(after.reason)

    def test_a_password_that_is_not_embedded_afterwards_is_no_success(
        self, site: Site, tableau: TableauSite, server: TableauServer
    ) -> None:
        site.add_workbook(connections=[snowflake_connection(embedded=False)])
        [target] = find_targets(tableau)
        server.faults.script(UPDATE, ACCEPTED_WITHOUT_EFFECT)
        after = update(tableau, target)
        assert (after.outcome, after.retriable) == (Outcome.FAILED, True)
        assert "not embedded" in str(after.reason)

    def test_a_long_wait_is_left_to_the_caller(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer
    ) -> None:
        server.faults.script(UPDATE, Throttle("120"))
        with pytest.raises(Throttled) as raised:
            update(tableau, target)
        assert raised.value.retry_after == 120

    def test_a_success_after_a_failure_forgets_the_failure(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer
    ) -> None:
        server.faults.script(UPDATE, ServerError(500), times=4)
        failed = update(tableau, target)
        after = update(tableau, failed)
        assert (after.outcome, after.reason, after.retriable, after.attempts) == (Outcome.UPDATED, None, False, 2)


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
