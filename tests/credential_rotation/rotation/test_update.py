"""Writing to one connection: what Tableau holds afterwards, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from credential_rotation.rotation.one_connection import Orders, next_step
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.errors import Throttled
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import Content as SandboxContent
from sandbox.tableau import (
    EmptyBody,
    Fault,
    HtmlPage,
    RawAnswer,
    ResetAfter,
    ServerError,
    SessionLost,
    Site,
    TableauCode,
    TableauServer,
    Throttle,
    UpdateAnswer,
    snowflake_connection,
)
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import Exchange
from tests.credential_rotation.rotation.on_the_sandbox import (
    ACCEPTED_WITHOUT_EFFECT,
    CREDENTIAL,
    TOKEN,
    UPDATE,
    find_targets,
    settled,
)
from tests.dags.small_tableau import DeletedJustBefore


@dataclass(frozen=True)
class PublishedAgainJustBefore(Fault):
    """An author publishes the item, a minute after the request before, and Tableau takes a minute more to answer."""

    word = "published"
    site: Site | None = None
    content: SandboxContent | None = None

    def play(self, exchange: Exchange) -> Answer:
        assert self.site is not None
        assert self.content is not None
        self.site.clock.advance(minutes=1)
        self.site.republish(self.content, "old-secret")
        self.site.clock.advance(minutes=1)
        return exchange.answer()


@pytest.fixture
def orders(site: Site) -> SandboxContent:
    return site.add_datasource("Orders", connections=[snowflake_connection("jane", port="443")])


@pytest.fixture
def target(tableau: TableauSite, orders: SandboxContent) -> ConnectionRecord:
    [found] = find_targets(tableau)
    return found


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credential_rotation.tableau.pace.Pace.throttled", lambda self, rest: None)


def update(tableau: TableauSite, target: ConnectionRecord) -> ConnectionRecord:
    orders = Orders()
    while (stage := next_step(tableau, target, CREDENTIAL, orders)).wait == 0.0:
        target = settled(tableau, stage.record)
    return stage.record


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

    @pytest.mark.parametrize("missing", [[1, 0, 0], [1, 1, 0], [1, 1, 1]], ids=str)
    def test_a_404_that_passes_is_no_item_that_is_gone(
        self,
        tableau: TableauSite,
        target: ConnectionRecord,
        server: TableauServer,
        orders: SandboxContent,
        missing: list[int],
    ) -> None:
        """On the update, on its connections, and on these once more: the item is there all the time."""
        not_found = TableauCode("404004", "Not found.")
        server.faults.script(UPDATE, not_found, times=missing[0])
        if more := missing[1] + missing[2]:
            server.faults.script("query_connections", not_found, times=more)
        after = update(tableau, target)
        assert (after.outcome, after.retriable) == (Outcome.FAILED, True)
        assert update(tableau, after).outcome is Outcome.UPDATED
        assert len(orders.connections[0].writes) == 1

    def test_an_item_deleted_after_the_update_is_gone(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer, site: Site, orders: SandboxContent
    ) -> None:
        server.faults.script("query_connections", DeletedJustBefore(site, orders))
        assert update(tableau, target).outcome is Outcome.GONE

    def test_what_is_published_again_before_it_is_read_back_counts_as_changed_since(
        self, tableau: TableauSite, target: ConnectionRecord, server: TableauServer, site: Site, orders: SandboxContent
    ) -> None:
        server.faults.script("query_connections", PublishedAgainJustBefore(site, orders))
        after = update(tableau, target)
        assert after.outcome is Outcome.UPDATED
        assert orders.updated_at - datetime.fromisoformat(str(after.saved_at)) >= timedelta(seconds=59)

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

    @pytest.mark.parametrize("code", ["403004", "404000", "404003"])
    def test_where_virtual_connections_can_not_be_listed_any_more_none_of_them_is_gone(
        self, site: Site, tableau: TableauSite, server: TableauServer, code: str
    ) -> None:
        site.add_virtual_connection(connections=[connection := snowflake_connection()])
        [target] = find_targets(tableau)
        server.faults.script(UPDATE, TableauCode("404000", "No."), times=9)
        server.faults.script("query_connections", TableauCode("404000", "No."), times=9)
        server.faults.script("list_virtual_connections", TableauCode(code, "No."), times=9)
        after = update(tableau, target)
        assert (after.outcome, connection.writes) == (Outcome.FAILED, [])
        assert code in str(after.reason)

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

    @pytest.mark.parametrize("status", [300, 304, 305, 306, 399])
    def test_a_status_that_is_neither_success_nor_refusal_is_no_success(
        self, site: Site, tableau: TableauSite, server: TableauServer, status: int
    ) -> None:
        connection = site.add_datasource("Mine", connections=[snowflake_connection("ETL_USER")]).connections[0]
        [target] = find_targets(tableau)
        server.faults.script(UPDATE, RawAnswer(status, ""), times=99)
        after = update(tableau, target)
        # Whether it was done, nobody knows: it may have been, so another try is due.
        assert (after.outcome, after.retriable, after.touched, after.proof) == (Outcome.FAILED, True, True, None)
        assert f"Tableau answered {status} to PUT" in str(after.reason)
        assert connection.password == "old-secret"

    @pytest.mark.parametrize("answer", [RawAnswer(200, ""), RawAnswer(204, ""), RawAnswer(200, "\r\n")])
    def test_an_empty_answer_is_not_believed_where_reading_back_can_not_show_the_change(
        self, site: Site, tableau: TableauSite, server: TableauServer, answer: Fault
    ) -> None:
        connection = site.add_datasource("Mine", connections=[snowflake_connection("ETL_USER")]).connections[0]
        [target] = find_targets(tableau)
        server.faults.script(UPDATE, answer, times=99)
        after = update(tableau, target)
        assert (after.outcome, after.retriable, after.touched, after.proof) == (Outcome.FAILED, True, True, None)
        assert "the answer is empty" in str(after.reason)
        assert connection.password == "old-secret"

    @pytest.mark.parametrize(("answer", "outcome"), [(EmptyBody(), Outcome.UPDATED), (RawAnswer(200), Outcome.FAILED)])
    def test_an_empty_answer_is_read_back_where_that_shows_the_change(
        self, site: Site, tableau: TableauSite, server: TableauServer, answer: Fault, outcome: Outcome
    ) -> None:
        contents = [
            site.add_datasource("Another user", connections=[snowflake_connection("jane")]),
            site.add_workbook("Not embedded", connections=[snowflake_connection("ETL_USER", embedded=False)]),
        ]
        server.faults.script(UPDATE, answer, times=99)
        for target in find_targets(tableau):
            after = update(tableau, target)
            assert (after.outcome, after.touched) == (outcome, True)
        assert {content.connections[0].password == TOKEN for content in contents} == {outcome is Outcome.UPDATED}

    def test_an_update_that_is_an_error_in_a_200_fails_with_its_words(
        self, site: Site, tableau: TableauSite, server: TableauServer
    ) -> None:
        site.add_datasource("Mine", connections=[snowflake_connection("ETL_USER")])
        [target] = find_targets(tableau)
        error = '<error code="403004"><summary>Forbidden</summary><detail>Not yours.</detail></error>'
        server.faults.script(UPDATE, RawAnswer(200, f"<tsResponse>{error}</tsResponse>", "application/xml"))
        after = update(tableau, target)
        assert (after.outcome, after.retriable) == (Outcome.FAILED, False)
        assert "Not yours." in str(after.reason)

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
