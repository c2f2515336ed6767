"""One connection from the update to its proof, and a canary that fails back to where it was.

Between any two steps the record goes through JSON: any step may be the first of a new try.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.one_connection import (
    DID_NOT_CONNECT,
    MAY_HOLD,
    NOTHING_SHOWS,
    Orders,
    Stage,
    failed_by,
    left_alone,
    next_step,
    why_unfinished,
)
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.proof import Embedded, Proving
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.snowflake_words import SnowflakeUnreachable
from credential_rotation.tableau.errors import SignInRefused, TableauError, Throttled
from sandbox.snowflake_accounts import SnowflakeUser
from sandbox.tableau import (
    Connection,
    Content,
    Fault,
    HtmlPage,
    JobOutcome,
    JobStatus,
    Pass,
    RawAnswer,
    Redirect,
    ResetAfter,
    ServerError,
    Site,
    TableauCode,
    TableauServer,
    TableauState,
    Throttle,
    published_link,
    snowflake_connection,
)
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import Exchange
from tests.builders import snowflake_credential, target
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.rotation.on_the_sandbox import TOKEN, UPDATE, find_targets, settled
from tests.credential_rotation.rotation.proving import Proofs
from tests.dags.small_tableau import DeletedJustBefore

OLD = "the <old> secret"
REFUSED = "Programmatic access token is invalid"
SHOUTED = f"DEFAULT › IT {DID_NOT_CONNECT}: "


@pytest.fixture
def user(state: TableauState) -> SnowflakeUser:
    """Whom both the old and the new secret let in."""
    return state.accounts.add_account("acme-prod").add_user("ETL_USER", secrets=[OLD, TOKEN])


@pytest.fixture
def way(state: TableauState, connect: Connect, user: SnowflakeUser) -> Way:
    return Way(Proofs(state, connect()))


class Way:
    """Takes one connection through all its steps, as a canary if nothing else is said."""

    def __init__(self, proofs: Proofs) -> None:
        self.proofs = proofs
        self.credential = snowflake_credential(token=TOKEN, previous_password=OLD)
        self.orders = Orders(prover=proofs.prover(), is_canary=True)

    def target(self) -> ConnectionRecord:
        """The only target, as a run finds it."""
        [found] = find_targets(self.proofs.tableau, self.credential)
        return found

    def step(self, record: ConnectionRecord, credential: SnowflakeCredential | None = None) -> Stage:
        """One step of a task that knows nothing but what is kept of the one before."""
        kept = json.dumps(record.as_dict())
        assert not any(json.dumps(secret)[1:-1] in kept for secret in self.credential.secrets)
        known = ConnectionRecord.from_dict(json.loads(kept))
        assert known == record
        stage = next_step(self.proofs.tableau, known, credential or self.credential, self.orders)
        assert not any(secret in str(stage.record.reason) for secret in self.credential.secrets)
        return replace(stage, record=settled(self.proofs.tableau, stage.record))

    def until(self, here: Callable[[ConnectionRecord], bool], record: ConnectionRecord) -> ConnectionRecord:
        """Steps with the waits between them, until the record is somewhere."""
        for _ in range(500):
            stage = self.step(record)
            record = stage.record
            if here(record):
                return record
            assert stage.wait is not None
            self.proofs.state.clock.advance(seconds=stage.wait)
        raise AssertionError("it never gets there")

    def to_the_end(self, record: ConnectionRecord | None = None) -> ConnectionRecord:
        """Until it has an outcome."""
        return self.until(lambda record: record.outcome is not None, record or self.target())

    def to_undoing(self) -> ConnectionRecord:
        """Until it is to be put back."""
        return self.until(lambda record: record.undoing is not None, self.target())


def one() -> list[Connection]:
    return [snowflake_connection(password=OLD)]


def extract(site: Site) -> Content:
    return site.add_datasource("It", connections=one(), has_extracts=True)


def live(site: Site) -> Content:
    return site.add_datasource("It", connections=one())


def live_workbook(site: Site) -> Content:
    return site.add_workbook("It", connections=one())


def flow(site: Site) -> Content:
    return site.add_flow("It", connections=one())


each_kind = pytest.mark.parametrize(
    ("add", "proof"),
    [
        (extract, Proof.REFRESH_JOB),
        (live, Proof.QUERY),
        (live_workbook, Proof.VIEW_DATA),
        (flow, Proof.SNOWFLAKE_LOGIN),
    ],
)


def secret_of(content: Content) -> str | None:
    return content.connections[0].password


def writes_to(content: Content) -> int:
    return len(content.connections[0].writes)


class TestProved:
    """It connects."""

    @each_kind
    def test_a_canary_that_connects_is_updated_with_one_write(
        self, way: Way, site: Site, add: Callable[[Site], Content], proof: Proof
    ) -> None:
        content = add(site)
        after = way.to_the_end()
        assert (after.outcome, after.proof, after.reason) == (Outcome.UPDATED, proof, None)
        assert after.is_validated
        assert (after.proving, after.undoing, after.attempts, after.touched) == (None, None, 1, True)
        assert (secret_of(content), writes_to(content)) == (TOKEN, 1)

    def test_nothing_is_asked_of_a_connection_that_need_only_be_saved(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        content = extract(site)
        target = way.target()
        server.requests.clear()
        way.orders = Orders(is_canary=True)
        after = way.to_the_end(target)
        assert (after.outcome, after.proof) == (Outcome.UPDATED, Proof.SAVED)
        assert server.requests.counts() == {UPDATE: 1, "query_connections": 1, "get_datasource": 1}
        assert secret_of(content) == TOKEN

    def test_a_task_that_died_after_it_asked_for_a_refresh_finds_that_refresh(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        content = extract(site)
        way.proofs.state.job_queue_seconds = 40
        saved = way.step(way.target()).record
        way.step(saved)
        assert way.to_the_end(saved).proof is Proof.REFRESH_JOB
        assert (len(way.proofs.state.jobs), writes_to(content)) == (1, 1)

    def test_the_user_that_is_embedded_is_the_login_or_who_was_there_before(self, way: Way, site: Site) -> None:
        content = live(site)
        content.connections[0].username = "etl_user"
        way.to_the_end()
        assert content.connections[0].username == "ETL_USER"
        way.to_the_end(replace(way.target(), new_username="Etl_User"))
        assert content.connections[0].username == "Etl_User"


class TestPutBack:
    """A canary that does not connect."""

    @each_kind
    def test_it_is_put_back_and_shown_to_connect_again(
        self, way: Way, site: Site, user: SnowflakeUser, add: Callable[[Site], Content], proof: Proof
    ) -> None:
        content = add(site)
        user.secrets.discard(TOKEN)
        after = way.to_the_end()
        assert (after.outcome, after.proof) == (Outcome.ROLLED_BACK, proof)
        assert REFUSED in str(after.reason)
        assert str(after.reason).endswith("The secret before it was put back and connects.")
        assert not after.is_well
        assert (after.proving, after.undoing, after.retriable, after.attempts) == (None, None, False, 2)
        assert (secret_of(content), writes_to(content)) == (OLD, 2)
        # The new one was tried once.
        assert [secret for _, secret, _ in user.sign_ins] == [TOKEN, OLD]

    def test_the_user_that_was_there_before_is_put_back_as_well(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = live(site)
        content.connections[0].username = "etl_user"
        user.secrets.discard(TOKEN)
        assert way.to_the_end().outcome is Outcome.ROLLED_BACK
        assert [write["userName"] for write in content.connections[0].writes] == ["ETL_USER", "etl_user"]

    def test_that_it_is_to_be_put_back_is_known_before_it_is(self, way: Way, site: Site, user: SnowflakeUser) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        record = way.to_undoing()
        assert (record.outcome, record.reason, record.proving) == (None, None, None)
        assert REFUSED in str(record.undoing)
        assert (secret_of(content), writes_to(content)) == (TOKEN, 1)

    def test_a_job_that_never_ends_is_a_failure_that_is_put_back(self, way: Way, site: Site) -> None:
        content = extract(site)
        content.job_outcome = JobOutcome.NEVER_ENDS
        record = way.to_undoing()
        assert "did not end within 60 minutes" in str(record.undoing)
        assert [job.status for job in way.proofs.state.jobs.values()] == [JobStatus.CANCELLED]
        content.job_outcome = None
        assert way.to_the_end(record).outcome is Outcome.ROLLED_BACK
        assert secret_of(content) == OLD

    @pytest.mark.parametrize(
        ("outcome", "hinted"), [(JobOutcome.FAILS, True), (JobOutcome.CANCELLED, True), (None, False)]
    )
    def test_where_the_token_may_not_be_the_cause_another_connection_is_proposed(
        self, way: Way, site: Site, user: SnowflakeUser, outcome: JobOutcome | None, hinted: bool
    ) -> None:
        extract(site).job_outcome = outcome
        user.secrets.discard(TOKEN)
        assert ("validate_on" in str(way.to_undoing().undoing)) is hinted

    def test_nothing_left_to_show_that_what_was_put_back_connects_is_no_failure_of_its_own(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        content = extract(site)
        content.job_outcome = JobOutcome.FAILS
        way.orders = replace(way.orders, prover=way.proofs.prover(check=False))
        record = way.to_undoing()
        server.faults.script("refresh", TableauCode("403004", "No."))
        after = way.to_the_end(record)
        assert (after.outcome, after.proof) == (Outcome.ROLLED_BACK, Proof.NONE)
        assert str(after.reason).endswith("The secret before it was put back.")
        assert secret_of(content) == OLD

    def test_of_what_need_only_be_saved_what_is_put_back_need_only_be_saved(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        content = live(site)
        target = way.target()
        way.orders = Orders(is_canary=True, is_last_try=True)
        server.faults.script(UPDATE, ResetAfter(), times=4)
        server.requests.clear()
        after = way.to_the_end(target)
        assert (after.outcome, after.proof, secret_of(content)) == (Outcome.ROLLED_BACK, Proof.SAVED, OLD)
        assert set(server.requests.counts()) == {UPDATE, "query_connections", "get_datasource"}

    @pytest.mark.parametrize("user_before", ["ETL_USER", "etl_user"])
    def test_without_a_secret_before_it_stays_and_capital_letters_say_so(
        self, way: Way, site: Site, user: SnowflakeUser, user_before: str
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        way.credential = snowflake_credential(token=TOKEN)
        after = way.to_the_end()
        assert (after.outcome, after.proof, after.retriable) == (Outcome.FAILED, Proof.QUERY, False)
        assert str(after.reason).startswith(SHOUTED)
        assert REFUSED in str(after.reason)
        assert "extra 'previous_password'" in str(after.reason)
        assert (secret_of(content), writes_to(content), after.undoing) == (TOKEN, 1, None)

    def test_a_secret_before_that_was_taken_away_meanwhile_can_not_be_put_back_and_capital_letters_say_so(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        record = way.to_undoing()
        after = way.step(record, snowflake_credential(token=TOKEN)).record
        assert (after.outcome, after.undoing) == (Outcome.FAILED, None)
        assert str(after.reason).startswith(SHOUTED)
        assert REFUSED in str(after.reason)
        assert writes_to(content) == 1

    def test_a_secret_before_that_does_not_connect_either_is_told_in_capital_letters(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = live(site)
        user.secrets.clear()
        after = way.to_the_end()
        assert (after.outcome, after.proof, after.retriable) == (Outcome.FAILED, Proof.QUERY, False)
        first, second = str(after.reason).split(" THE SECRET BEFORE IT WAS PUT BACK, BUT DOES NOT CONNECT EITHER: ")
        assert REFUSED in first
        assert REFUSED in second
        assert (after.undoing, after.proving, secret_of(content)) == (None, None, OLD)

    def test_a_put_back_that_fails_for_a_while_is_kept_in_mind_and_done_by_a_later_try(
        self, way: Way, site: Site, user: SnowflakeUser, server: TableauServer
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        server.faults.script(UPDATE, [Pass(), *[ServerError(500)] * 4])
        failed = way.to_the_end()
        assert (failed.outcome, failed.retriable) == (Outcome.FAILED, True)
        assert str(failed.reason).startswith(SHOUTED)
        assert "could not be put back" in str(failed.reason)
        assert REFUSED in str(failed.undoing)
        assert secret_of(content) == TOKEN
        after = way.to_the_end(failed)
        assert (after.outcome, secret_of(content), writes_to(content)) == (Outcome.ROLLED_BACK, OLD, 2)
        assert str(after.reason).startswith(str(failed.undoing))
        # The new one is not tried again meanwhile.
        assert [secret for _, secret, _ in user.sign_ins] == [TOKEN, OLD]

    @pytest.mark.parametrize(
        "lasting",
        [([ServerError(500)] * 4, True), ([TableauCode("403004", "No.")], False)],
        ids=["last", "refused"],
    )
    def test_a_put_back_that_fails_for_good_is_told_in_capital_letters(
        self, way: Way, site: Site, user: SnowflakeUser, lasting: tuple[list[Fault], bool]
    ) -> None:
        faults, last = lasting
        content = live(site)
        user.secrets.discard(TOKEN)
        way.proofs.state.faults.script(UPDATE, [Pass(), *faults])
        way.orders = replace(way.orders, is_last_try=last)
        after = way.to_the_end()
        assert (after.outcome, after.retriable, after.undoing) == (Outcome.FAILED, False, None)
        assert str(after.reason).startswith(SHOUTED)
        assert REFUSED in str(after.reason)
        assert "The secret before it could not be put back: Tableau answered" in str(after.reason)
        assert secret_of(content) == TOKEN

    def test_a_429_at_the_put_back_is_left_to_the_caller_and_nothing_is_forgotten(
        self, way: Way, site: Site, user: SnowflakeUser, server: TableauServer
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        record = way.to_undoing()
        server.faults.script(UPDATE, Throttle("120"))
        with pytest.raises(Throttled) as raised:
            way.step(record)
        failed = failed_by(record, raised.value, retriable=True)
        assert (failed.outcome, failed.retriable, failed.undoing) == (Outcome.FAILED, True, record.undoing)
        assert str(failed.reason).startswith(SHOUTED)
        assert "could not be put back yet" in str(failed.reason)
        assert way.to_the_end(failed).outcome is Outcome.ROLLED_BACK
        assert secret_of(content) == OLD


class TestWorthPuttingBack:
    """The secret before is put back only where that mends something."""

    def test_what_held_the_token_before_the_run_is_not_put_back_to_what_it_did_not_hold(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        way.orders = replace(way.orders, sign_in=way.proofs.sign_in)
        after = way.to_the_end(replace(way.target(), held_current=True))
        assert_stays(after, content)
        assert "It is known to have held this token before the run" in str(after.reason)
        assert way.proofs.sign_in.asked == []

    def test_what_held_the_token_before_the_run_is_updated_where_it_connects(self, way: Way, site: Site) -> None:
        content = live(site)
        after = way.to_the_end(replace(way.target(), held_current=True))
        assert (after.outcome, after.proof, secret_of(content)) == (Outcome.UPDATED, Proof.QUERY, TOKEN)

    @pytest.mark.parametrize(("held", "is_put_back"), [("of old", True), (None, True), ("of the one between", False)])
    def test_only_what_is_known_to_have_been_there_is_put_back(
        self, way: Way, site: Site, user: SnowflakeUser, held: str | None, is_put_back: bool
    ) -> None:
        """The previous secret that the connection knows may be older than what was embedded last."""
        content = live(site)
        user.secrets.discard(TOKEN)
        way.orders = replace(way.orders, previous={"snowflake_pat": "of old"})
        after = way.to_the_end(replace(way.target(), held=held))
        assert (secret_of(content) == OLD) is is_put_back
        assert ("it is known to have held another secret" in str(after.reason)) is not is_put_back

    def test_nobody_s_secret_is_put_back_under_the_name_of_another_user(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = site.add_datasource("It", connections=[snowflake_connection("jane", password="jane's own")])
        user.secrets.discard(TOKEN)
        way.credential = snowflake_credential(token=TOKEN, previous_password=OLD, tableau_usernames=["jane"])
        way.orders = replace(way.orders, sign_in=way.proofs.sign_in)
        after = way.to_the_end()
        assert_stays(after, content)
        assert (
            "it was that of jane, and the one that the Airflow connection 'snowflake_pat' holds is of ETL_USER"
            in str(after.reason)
        )
        assert way.proofs.sign_in.asked == []

    def test_the_secret_of_another_user_is_put_back_with_them_where_it_is_said_to_be_theirs(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = site.add_datasource("It", connections=[snowflake_connection("Jane", password=OLD)])
        jane = way.proofs.state.accounts.add_account("acme-prod").add_user("jane", secrets=[OLD])
        user.secrets.discard(TOKEN)
        fields: dict[str, Any] = {"previous_username": "jane", "tableau_usernames": ["jane"]}
        way.credential = snowflake_credential(token=TOKEN, previous_password=OLD, **fields)
        way.orders = replace(way.orders, sign_in=way.proofs.sign_in)
        after = way.to_the_end()
        assert (after.outcome, after.proof) == (Outcome.ROLLED_BACK, Proof.QUERY)
        assert (content.connections[0].username, secret_of(content)) == ("Jane", OLD)
        assert way.proofs.sign_in.asked == [Embedded("snowflake_pat", "Jane", OLD)]
        assert jane.sign_ins == [("airflow", OLD, True), ("tableau", OLD, True)]

    @each_kind
    def test_a_secret_before_that_snowflake_refuses_is_not_put_back_and_asked_for_once(
        self, way: Way, site: Site, user: SnowflakeUser, add: Callable[[Site], Content], proof: Proof
    ) -> None:
        content = add(site)
        user.secrets.clear()
        way.orders = replace(way.orders, sign_in=way.proofs.sign_in)
        after = way.to_the_end()
        assert_stays(after, content)
        assert after.proof is proof
        assert "The secret before it was not put back, since it is no better: " in str(after.reason)
        assert str(after.reason).count(REFUSED) == 2
        assert [(secret, ok) for _, secret, ok in user.sign_ins] == [(TOKEN, False), (OLD, False)]

    def test_a_secret_before_is_put_back_though_snowflake_can_not_be_asked_about_it(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        way.orders = replace(way.orders, sign_in=way.proofs.sign_in)
        way.proofs.sign_in.problems = [SnowflakeUnreachable("no route to Snowflake")]
        after = way.to_the_end()
        assert (after.outcome, after.proof, secret_of(content)) == (Outcome.ROLLED_BACK, Proof.QUERY, OLD)
        assert [each.secret for each in way.proofs.sign_in.asked] == [OLD]

    def test_nobody_asks_about_the_secret_before_of_what_connects(self, way: Way, site: Site) -> None:
        live(site)
        way.orders = replace(way.orders, sign_in=way.proofs.sign_in)
        assert way.to_the_end().outcome is Outcome.UPDATED
        assert way.proofs.sign_in.asked == []


def assert_stays(after: ConnectionRecord, content: Content) -> None:
    """It has failed, keeps the token, and capital letters say so."""
    assert (after.outcome, after.retriable, after.undoing, after.proving) == (Outcome.FAILED, False, None, None)
    assert str(after.reason).startswith(SHOUTED)
    assert REFUSED in str(after.reason)
    assert (secret_of(content), writes_to(content)) == (TOKEN, 1)


class TestSeveralConnections:
    """Tableau shows whether an item gets at its data, and not by which of its connections."""

    @pytest.mark.parametrize("published_has_extracts", [True, False])
    def test_a_link_that_gets_at_its_data_does_not_speak_for_a_dead_token_beside_it(
        self, way: Way, site: Site, user: SnowflakeUser, server: TableauServer, published_has_extracts: bool
    ) -> None:
        published = site.add_datasource("Published", has_extracts=published_has_extracts)
        content = site.add_workbook("It", connections=[published_link(published), snowflake_connection(password=OLD)])
        user.secrets.discard(TOKEN)
        # Somebody has just looked at it, and Tableau hands out what it has.
        server.faults.script("view_data", RawAnswer(200, "Region\r\nNorth\r\n", "text/csv"), times=9)
        after = way.to_the_end()
        assert (after.outcome, after.proof) == (Outcome.ROLLED_BACK, Proof.SNOWFLAKE_LOGIN)
        assert REFUSED in str(after.reason)
        assert content.connections[1].password == OLD
        assert sum(server.requests.count(operation) for operation in ASKED) == 0

    def test_a_dead_secret_of_a_neighbour_does_not_speak_against_a_good_token(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        way.proofs.state.accounts.add_account("acme-prod").add_user("OTHER", secrets=["good"])
        neighbour = snowflake_connection("OTHER", password="dead")
        content = site.add_datasource("It", connections=[*one(), neighbour], has_extracts=True)
        after = way.to_the_end()
        assert (after.outcome, after.proof, secret_of(content)) == (Outcome.UPDATED, Proof.SNOWFLAKE_LOGIN, TOKEN)
        assert (server.requests.count("refresh"), writes_to(content)) == (0, 1)

    def test_where_airflow_is_not_to_sign_in_such_a_canary_is_not_touched(self, way: Way, site: Site) -> None:
        content = site.add_workbook("It", connections=[snowflake_connection(password=OLD), published_link()])
        way.orders = replace(way.orders, prover=way.proofs.prover(check=False))
        after = way.to_the_end()
        assert (after.outcome, after.reason, secret_of(content)) == (Outcome.NOT_ATTEMPTED, NOTHING_SHOWS, OLD)


ASKED = ("refresh", "list_views", "view_data", "read_metadata", "query_datasource")
without_vizql = pytest.mark.parametrize(
    "fault",
    [TableauCode("404003", "Not in this version."), Redirect(), HtmlPage(404), TableauCode("403157", "Disabled.")],
    ids=["404003", "redirect", "html 404", "403157"],
)


class TestWithoutVizqlDataService:
    """An older Tableau Server, or a site where it is off, has no queries; that says nothing of the token."""

    @without_vizql
    def test_a_good_token_passes_by_a_sign_in_to_snowflake(
        self, way: Way, site: Site, server: TableauServer, fault: Fault
    ) -> None:
        content = live(site)
        server.faults.script("read_metadata", fault, times=9)
        after = way.to_the_end()
        assert (after.outcome, after.proof, after.reason) == (Outcome.UPDATED, Proof.SNOWFLAKE_LOGIN, None)
        assert (secret_of(content), writes_to(content), server.requests.count("read_metadata")) == (TOKEN, 1, 1)

    @without_vizql
    def test_a_dead_token_does_not(
        self, way: Way, site: Site, user: SnowflakeUser, server: TableauServer, fault: Fault
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        server.faults.script("read_metadata", fault, times=9)
        after = way.to_the_end()
        assert (after.outcome, after.proof, secret_of(content)) == (Outcome.ROLLED_BACK, Proof.SNOWFLAKE_LOGIN, OLD)
        assert REFUSED in str(after.reason)

    @without_vizql
    def test_where_airflow_is_not_to_sign_in_a_canary_that_nothing_can_prove_is_put_back(
        self, way: Way, site: Site, server: TableauServer, fault: Fault
    ) -> None:
        content = live(site)
        server.faults.script("read_metadata", fault, times=9)
        way.orders = replace(way.orders, prover=way.proofs.prover(check=False))
        after = way.to_the_end()
        assert (after.outcome, after.proof, secret_of(content)) == (Outcome.ROLLED_BACK, Proof.NONE, OLD)
        assert "nothing can show that it connects" in str(after.reason)
        assert str(after.reason).endswith("The secret before it was put back.")

    @without_vizql
    def test_where_airflow_is_not_to_sign_in_others_are_done_without_proof(
        self, way: Way, site: Site, server: TableauServer, fault: Fault
    ) -> None:
        content = live(site)
        server.faults.script("read_metadata", fault, times=9)
        way.orders = Orders(prover=way.proofs.prover(check=False))
        after = way.to_the_end()
        assert (after.outcome, after.proof, secret_of(content)) == (Outcome.UPDATED, Proof.NONE, TOKEN)

    def test_a_page_that_keeps_people_out_there_says_nothing_of_the_token(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        content = live(site)
        server.faults.script("read_metadata", HtmlPage(401), times=9)
        after = way.to_the_end()
        assert (after.outcome, after.proof, secret_of(content)) == (Outcome.UPDATED, Proof.SNOWFLAKE_LOGIN, TOKEN)
        assert server.requests.count("read_metadata") == 1
        assert server.requests.count("sign_in") == 1


@dataclass(frozen=True)
class _InOtherWords(Fault):
    """What Tableau answers when the database refuses is in words that nobody knows."""

    word = "in_other_words"
    status: int = 500

    def play(self, exchange: Exchange) -> Answer:
        answer = exchange.answer()
        return (
            RawAnswer(self.status, "Etwas ging schief.", "text/plain").play(exchange) if answer.status > 299 else answer
        )


def workbook_of_three_views(site: Site) -> Content:
    return site.add_workbook("It", connections=one(), views=("1", "2", "3"))


Refusing = tuple[Callable[[Site], Content], str, Fault]
REFUSING: list[Refusing] = [
    (extract, "get_job", Pass()),
    *((live, "query_datasource", _InOtherWords(status)) for status in (400, 401, 403, 500, 503)),
    *((workbook_of_three_views, "view_data", _InOtherWords(status)) for status in (400, 403, 500, 503)),
    (live, "query_datasource", ResetAfter()),
    (workbook_of_three_views, "view_data", ResetAfter()),
]


class TestLock:
    """Five sign-ins in a row that Snowflake refuses lock a user."""

    @pytest.mark.parametrize("check", [True, False])
    @pytest.mark.parametrize("refusing", REFUSING, ids=lambda case: f"{case[1]} {case[2]}")
    def test_a_canary_whose_secrets_are_both_dead_is_refused_four_times_at_most(
        self, way: Way, site: Site, user: SnowflakeUser, refusing: Refusing, check: bool
    ) -> None:
        add, operation, fault = refusing
        content = add(site)
        way.proofs.state.faults.script(operation, fault, times=50)
        self.assert_few_refusals(way, content, user, check=check)

    @pytest.mark.parametrize("check", [True, False])
    def test_so_it_is_where_tableau_forbids_what_the_database_refuses(
        self, way: Way, site: Site, user: SnowflakeUser, check: bool
    ) -> None:
        way.proofs.state.view_failure = (403, "403004")
        self.assert_few_refusals(way, workbook_of_three_views(site), user, check=check)

    @staticmethod
    def assert_few_refusals(way: Way, content: Content, user: SnowflakeUser, *, check: bool) -> None:
        user.secrets.clear()
        sign_in = way.proofs.sign_in if check else None
        way.orders = replace(way.orders, prover=way.proofs.prover(check=check), is_last_try=True, sign_in=sign_in)
        after = way.to_the_end()
        assert not after.is_well
        assert 2 <= len(user.sign_ins) <= 4
        assert not any(ok for _, _, ok in user.sign_ins)
        assert (secret_of(content) == TOKEN) is (DID_NOT_CONNECT in str(after.reason))


class TestOnlyCanariesAreWatched:
    """The others are many: they stay as they are, and the report names them."""

    def test_another_connection_that_does_not_connect_has_failed_and_stays(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        way.orders = Orders(prover=way.proofs.prover(), is_last_try=True)
        after = way.to_the_end()
        assert (after.outcome, after.proof, after.retriable) == (Outcome.FAILED, Proof.QUERY, False)
        assert REFUSED in str(after.reason)
        assert "validate_on" not in str(after.reason)
        assert (secret_of(content), writes_to(content)) == (TOKEN, 1)

    def test_another_connection_that_nothing_can_prove_is_done_without_proof(self, way: Way, site: Site) -> None:
        content = flow(site)
        way.orders = Orders(prover=way.proofs.prover(check=False))
        after = way.to_the_end()
        assert (after.outcome, after.proof, after.reason) == (Outcome.UPDATED, Proof.NONE, None)
        assert secret_of(content) == TOKEN

    def test_a_canary_that_nothing_can_prove_is_not_touched(self, way: Way, site: Site, server: TableauServer) -> None:
        content = flow(site)
        way.orders = replace(way.orders, prover=way.proofs.prover(check=False))
        after = way.to_the_end()
        assert (after.outcome, after.reason, after.touched) == (Outcome.NOT_ATTEMPTED, NOTHING_SHOWS, False)
        assert server.requests.count(UPDATE) == 0
        assert secret_of(content) == OLD

    def test_a_canary_of_which_it_turns_out_that_nothing_can_prove_it_is_put_back(self, way: Way, site: Site) -> None:
        content = live(site)
        content.can_be_queried = False
        way.orders = replace(way.orders, prover=way.proofs.prover(check=False))
        after = way.to_the_end()
        assert (after.outcome, after.proof, secret_of(content)) == (Outcome.ROLLED_BACK, Proof.NONE, OLD)
        assert "nothing can show that it connects" in str(after.reason)


class TestFailedUpdate:
    """The update of a canary fails, before anything could be proved."""

    @pytest.mark.parametrize(("last", "outcome"), [(False, Outcome.FAILED), (True, Outcome.ROLLED_BACK)])
    def test_an_update_without_an_answer_is_tried_again_and_put_back_on_the_last_try(
        self, way: Way, site: Site, server: TableauServer, last: bool, outcome: Outcome
    ) -> None:
        content = live(site)
        server.faults.script(UPDATE, ResetAfter(), times=4)
        way.orders = replace(way.orders, is_last_try=last)
        after = way.to_the_end()
        assert (after.outcome, after.retriable, after.touched) == (outcome, not last, True)
        assert secret_of(content) == (OLD if last else TOKEN)
        assert not after.is_well

    def test_an_update_without_an_answer_is_done_by_a_later_try(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        live(site)
        server.faults.script(UPDATE, ResetAfter(), times=4)
        failed = way.to_the_end()
        way.orders = replace(way.orders, is_last_try=True)
        after = way.to_the_end(failed)
        assert (after.outcome, after.reason, after.retriable) == (Outcome.UPDATED, None, False)

    def test_an_update_that_is_refused_before_it_changed_anything_needs_no_put_back(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        content = live(site)
        server.faults.script(UPDATE, TableauCode("403004", "Not yours."))
        way.orders = replace(way.orders, is_last_try=True)
        after = way.to_the_end()
        assert (after.outcome, after.touched, after.undoing) == (Outcome.FAILED, False, None)
        assert "Not yours." in str(after.reason)
        assert DID_NOT_CONNECT not in str(after.reason)
        assert server.requests.count(UPDATE) == 1
        assert secret_of(content) == OLD

    def test_what_an_earlier_try_wrote_is_put_back_though_the_last_one_is_refused(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        content = live(site)
        record = way.target()
        server.faults.script("query_connections", Throttle("120"))
        failed = way.step(record).record
        assert (failed.outcome, failed.retriable, failed.touched) == (Outcome.FAILED, True, True)
        assert "could not be read back" in str(failed.reason)
        assert secret_of(content) == TOKEN
        server.faults.script(UPDATE, TableauCode("400000", "No."))
        after = way.to_the_end(failed)
        assert (after.outcome, secret_of(content)) == (Outcome.ROLLED_BACK, OLD)


@dataclass(frozen=True)
class _PublishedAgainJustBefore(Fault):
    """An author publishes the item again just before this request, and its connections have new LUIDs."""

    word = "published_again"
    site: Site | None = None
    content: Content | None = None

    def play(self, exchange: Exchange) -> Answer:
        assert self.site is not None
        assert self.content is not None
        self.site.republish(self.content, "typed by its author", new_ids=True)
        return exchange.answer()


class TestGone:
    """People delete and publish meanwhile."""

    @pytest.mark.parametrize("add", [extract, live, live_workbook])
    def test_what_is_deleted_before_its_proof_is_gone(
        self, way: Way, site: Site, server: TableauServer, add: Callable[[Site], Content]
    ) -> None:
        content = add(site)
        record = way.step(way.target()).record
        site.remove(content)
        after = way.to_the_end(record)
        assert (after.outcome, after.proving, after.undoing) == (Outcome.GONE, None, None)
        assert not after.is_validated
        assert server.requests.count(UPDATE) == 1

    def test_what_is_deleted_before_it_is_put_back_has_failed_so_that_no_other_gets_the_token(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        record = way.to_undoing()
        site.remove(content)
        self.assert_failed_and_deleted(way.to_the_end(record))

    def test_what_is_deleted_while_it_is_put_back_has_failed_so_that_no_other_gets_the_token(
        self, way: Way, site: Site, user: SnowflakeUser, server: TableauServer
    ) -> None:
        content = extract(site)
        user.secrets.discard(TOKEN)
        record = way.to_undoing()
        server.faults.script("refresh", DeletedJustBefore(site, content))
        self.assert_failed_and_deleted(way.to_the_end(record))
        assert server.faults.left() == 0

    @staticmethod
    def assert_failed_and_deleted(after: ConnectionRecord) -> None:
        assert (after.outcome, after.retriable, after.undoing, after.proving) == (Outcome.FAILED, False, None, None)
        assert REFUSED in str(after.reason)
        assert str(after.reason).endswith(" It was deleted meanwhile.")
        assert DID_NOT_CONNECT not in str(after.reason)
        assert (after.is_well, after.can_go_on, after.is_refused_by_snowflake) == (False, False, True)

    def test_what_is_published_again_before_its_proof_holds_nothing_that_could_be_put_back(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        content = live(site)
        server.faults.script("query_connections", [Pass(), _PublishedAgainJustBefore(site, content)])
        after = way.to_the_end()
        assert server.faults.left() == 0
        assert (after.outcome, after.retriable) == (Outcome.FAILED, False)
        assert "published again" in str(after.reason)
        assert DID_NOT_CONNECT not in str(after.reason)
        assert server.requests.count(UPDATE) == 1
        assert secret_of(content) == "typed by its author"

    def test_what_is_published_again_before_it_is_put_back_is_not_said_to_hold_the_token(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        record = way.to_undoing()
        site.republish(content, "typed by its author", new_ids=True)
        after = way.to_the_end(record)
        assert (after.outcome, after.retriable, after.undoing) == (Outcome.FAILED, False, None)
        assert REFUSED in str(after.reason)
        assert "published again" in str(after.reason)
        assert DID_NOT_CONNECT not in str(after.reason)

    def test_a_put_back_that_tableau_does_not_find_for_its_proof_is_not_undone_by_a_later_try(
        self, way: Way, site: Site, user: SnowflakeUser, server: TableauServer
    ) -> None:
        content = extract(site)
        user.secrets.discard(TOKEN)
        record = way.to_undoing()
        server.faults.script("refresh", TableauCode("404004", "Not found."))
        after = way.to_the_end(record)
        assert server.faults.left() == 0
        assert (after.outcome, after.proof, after.retriable) == (Outcome.ROLLED_BACK, Proof.NONE, False)
        assert REFUSED in str(after.reason)
        assert (secret_of(content), writes_to(content)) == (OLD, 2)


class TestRollBack:
    """A run that puts the secret before this one back, because it was asked to."""

    @pytest.fixture
    def back(self, way: Way, site: Site, user: SnowflakeUser) -> Content:
        content = live(site)
        content.connections[0].password = TOKEN
        way.credential = way.credential.reversed()
        way.orders = replace(way.orders, done=Outcome.ROLLED_BACK)
        return content

    def test_its_success_needs_no_reason(self, way: Way, back: Content) -> None:
        after = way.to_the_end()
        assert (after.outcome, after.proof, after.reason) == (Outcome.ROLLED_BACK, Proof.QUERY, None)
        assert after.is_well
        assert (secret_of(back), writes_to(back)) == (OLD, 1)

    def test_its_failure_is_one_though_the_current_secret_is_put_back(
        self, way: Way, back: Content, user: SnowflakeUser
    ) -> None:
        user.secrets.discard(OLD)
        after = way.to_the_end()
        assert (after.outcome, after.retriable) == (Outcome.FAILED, False)
        assert not after.is_well
        assert REFUSED in str(after.reason)
        assert str(after.reason).endswith("The secret before it was put back and connects.")
        assert (secret_of(back), writes_to(back)) == (TOKEN, 2)

    def test_of_what_need_only_be_saved_that_is_enough(self, way: Way, back: Content) -> None:
        way.orders = Orders(done=Outcome.ROLLED_BACK)
        after = way.to_the_end()
        assert (after.outcome, after.proof, after.is_well) == (Outcome.ROLLED_BACK, Proof.SAVED, True)


class TestUnfinished:
    """The run ends while something is under way."""

    def test_what_is_saved_and_not_yet_proved_says_so(self, way: Way, site: Site) -> None:
        extract(site)
        record = way.step(way.target()).record
        assert "saved, but the run ended before it was shown that it connects" in why_unfinished(record)

    def test_what_was_to_be_put_back_is_told_in_capital_letters(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        extract(site)
        user.secrets.discard(TOKEN)
        record = way.to_undoing()
        for unfinished in (record, way.step(record).record):
            assert why_unfinished(unfinished).startswith(SHOUTED)
            assert REFUSED in why_unfinished(unfinished)

    @pytest.mark.parametrize(("error", "touched"), [(SignInRefused("no"), True), (Throttled("no"), False)])
    def test_what_failed_by_something_that_concerns_all_may_have_been_written(
        self, error: TableauError, touched: bool
    ) -> None:
        failed = failed_by(target(1), error, retriable=True)
        assert (failed.outcome, failed.reason, failed.retriable) == (Outcome.FAILED, "no", True)
        assert (failed.attempts, failed.touched) == (1, touched)

    def test_a_canary_that_was_perhaps_not_saved_is_not_said_to_hold_the_token(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        live(site)
        server.faults.script(UPDATE, ServerError(500), times=99)
        record = way.target()
        way.credential = replace(way.credential, previous=None)
        way.orders = replace(way.orders, is_last_try=True)
        after = way.to_the_end(record)
        assert after.outcome is Outcome.FAILED
        assert str(after.reason).startswith(f"DEFAULT › IT {MAY_HOLD}: It is not known whether the update was saved.")

    def test_a_put_back_that_fails_of_what_was_perhaps_not_saved_does_not_say_that_it_holds_the_token(
        self, way: Way, site: Site, server: TableauServer
    ) -> None:
        live(site)
        server.faults.script(UPDATE, ServerError(500), times=99)
        way.orders = replace(way.orders, is_last_try=True)
        after = way.to_the_end()
        assert (after.outcome, after.undoing) == (Outcome.FAILED, None)
        assert str(after.reason).startswith(f"DEFAULT › IT {MAY_HOLD}: It is not known whether the update was saved.")
        assert DID_NOT_CONNECT not in str(after.reason)


NO_CREDENTIAL = "Airflow connection 'snowflake_pat': the token was changed."
UNDER_WAY = Proving(updated_at="2026-05-02T08:00:00Z", since=0.0)
NOW_HOLDS = f"SALES › ORDERS 1 {DID_NOT_CONNECT}: it was refused"


class TestLeftAlone:
    """The credential can't be used any more: nothing goes on, and what was begun is told."""

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"proving": UNDER_WAY}, ["its update is saved, but the run ended before it was shown"]),
            ({"undoing": "it was refused"}, [NOW_HOLDS, "The secret before it could not be put back: "]),
            (
                {"undoing": "it was refused", "proving": UNDER_WAY},
                [NOW_HOLDS, "The secret before it could not be put back: "],
            ),
            (
                {"undoing": "It is not known whether the update was saved. 500"},
                [f"SALES › ORDERS 1 {MAY_HOLD}: ", "500", "could not be put back"],
            ),
            (
                {"outcome": Outcome.FAILED, "reason": "it could not be read back.", "retriable": True},
                ["it could not be read"],
            ),
            ({"outcome": Outcome.NOT_ATTEMPTED, "reason": "held up.", "retriable": True}, ["held up."]),
        ],
    )
    def test_what_was_touched_has_failed_with_what_it_was_at(self, fields: dict[str, Any], said: list[str]) -> None:
        left = left_alone(target(1, touched=True, attempts=1, **fields), NO_CREDENTIAL)
        assert (left.outcome, left.retriable, left.touched, left.attempts) == (Outcome.FAILED, False, True, 1)
        assert [words for words in (*said, NO_CREDENTIAL) if words not in str(left.reason)] == []
        assert str(left.reason).startswith(said[0])

    @pytest.mark.parametrize("fields", [{}, {"outcome": Outcome.FAILED, "reason": "403", "attempts": 1}])
    def test_what_was_not_touched_is_not_attempted(self, fields: dict[str, Any]) -> None:
        left = left_alone(target(1, **fields), NO_CREDENTIAL)
        assert (left.outcome, left.reason, left.retriable) == (Outcome.NOT_ATTEMPTED, NO_CREDENTIAL, False)

    def test_what_was_to_be_put_back_is_put_back_once_the_credential_can_be_used_again(
        self, way: Way, site: Site, user: SnowflakeUser
    ) -> None:
        content = live(site)
        user.secrets.discard(TOKEN)
        left = left_alone(way.to_undoing(), NO_CREDENTIAL)
        assert (left.outcome, left.can_go_on) == (Outcome.FAILED, True)
        assert (way.to_the_end(left).outcome, secret_of(content)) == (Outcome.ROLLED_BACK, OLD)
