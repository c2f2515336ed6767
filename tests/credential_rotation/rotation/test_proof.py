"""Whether what is embedded connects: asked of a Tableau, which asks the Snowflake behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from credential_rotation.rotation.outcomes import Proof
from credential_rotation.rotation.proof import NotProved, Proved, Waiting, ways_to_prove
from credential_rotation.rotation.snowflake_words import SnowflakeUnreachable
from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.errors import (
    NotFound,
    NotTrusted,
    SessionEnded,
    SessionKeepsEnding,
    SignInRefused,
    TableauError,
    UnusableSetting,
)
from sandbox.snowflake_accounts import SnowflakeUser
from sandbox.tableau import (
    Connection,
    Content,
    Fault,
    HtmlPage,
    JobOutcome,
    JobStatus,
    Redirect,
    ResetAfter,
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
from tests import builders
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.rotation.on_the_sandbox import TOKEN
from tests.credential_rotation.rotation.proving import TIME_LIMIT, Proofs, embedded

VIZQL = ("read_metadata", "query_datasource")
REFUSED = "Programmatic access token is invalid"
ADVICE = "SHOW USER PROGRAMMATIC ACCESS TOKENS"


@pytest.fixture
def user(state: TableauState) -> SnowflakeUser:
    """Whom both the old and the new secret let in."""
    return state.accounts.add_account("acme-prod").add_user("ETL_USER", secrets=["old-secret", TOKEN])


@pytest.fixture
def proofs(state: TableauState, connect: Connect, user: SnowflakeUser) -> Proofs:
    return Proofs(state, connect())


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credential_rotation.tableau.pace.Pace.throttled", lambda self, rest: None)


def one() -> list[Connection]:
    return [snowflake_connection()]


def extract(site: Site) -> Content:
    return site.add_datasource("It", connections=one(), has_extracts=True)


def extract_workbook(site: Site) -> Content:
    return site.add_workbook("It", connections=one(), has_extracts=True)


def live(site: Site) -> Content:
    return site.add_datasource("It", connections=one())


def live_workbook(site: Site) -> Content:
    return site.add_workbook("It", connections=one(), views=("Sheet 1", "Sheet 2"))


def flow(site: Site) -> Content:
    return site.add_flow("It", connections=one())


def virtual_connection(site: Site) -> Content:
    return site.add_virtual_connection("It", connections=one())


KINDS: list[tuple[Callable[[Site], Content], Proof]] = [
    (extract, Proof.REFRESH_JOB),
    (extract_workbook, Proof.REFRESH_JOB),
    (live, Proof.QUERY),
    (live_workbook, Proof.VIEW_DATA),
    (flow, Proof.SNOWFLAKE_LOGIN),
    (virtual_connection, Proof.SNOWFLAKE_LOGIN),
]
each_kind = pytest.mark.parametrize(("add", "proof"), KINDS, ids=[add.__name__ for add, _ in KINDS])


Asking = tuple[Callable[[Site], Content], str]
NOT_THERE: list[Fault] = [
    TableauCode("404003", "Not in this version."),
    Redirect("https://elsewhere.example/login"),
    Redirect("http://localhost:1/", status=307),
]


class TestEachKind:
    """The surest way that the content has."""

    @each_kind
    def test_a_token_that_connects_is_proved(
        self, proofs: Proofs, site: Site, user: SnowflakeUser, add: Callable[[Site], Content], proof: Proof
    ) -> None:
        add(site)
        user.sign_ins.clear()
        assert proofs.of() == Proved(proof)
        who = "airflow" if proof is Proof.SNOWFLAKE_LOGIN else "tableau"
        assert user.sign_ins == [(who, TOKEN, True)]

    @each_kind
    def test_a_token_that_does_not_connect_is_not_proved_and_snowflake_s_words_and_advice_are_told(
        self, proofs: Proofs, site: Site, user: SnowflakeUser, add: Callable[[Site], Content], proof: Proof
    ) -> None:
        add(site)
        user.secrets.discard(TOKEN)
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert step.proof is proof
        assert REFUSED in step.reason
        assert ADVICE in step.reason
        assert TOKEN not in step.reason
        # Five wrong secrets lock the user.
        assert [(secret, ok) for _, secret, ok in user.sign_ins] == [(TOKEN, False)]

    @each_kind
    def test_where_airflow_is_not_to_sign_in_tableau_s_own_ways_are_left(
        self, proofs: Proofs, site: Site, add: Callable[[Site], Content], proof: Proof
    ) -> None:
        add(site)
        step = proofs.of(check=False)
        if proof is Proof.SNOWFLAKE_LOGIN:
            assert isinstance(step, NotProved)
            assert step.proof is Proof.NONE
            assert "CREDENTIAL_ROTATION_SNOWFLAKE_CHECK is off" in step.reason
        else:
            assert step == Proved(proof)
        assert proofs.sign_in.asked == []

    def test_a_query_or_view_of_an_extract_says_nothing_and_is_not_asked_for(
        self, proofs: Proofs, site: Site, server: TableauServer, user: SnowflakeUser
    ) -> None:
        user.secrets.discard(TOKEN)
        for name, add in (("A", site.add_datasource), ("B", site.add_workbook)):
            add(name, connections=one(), has_extracts=True)
            server.faults.script("refresh", TableauCode("403004", "No."))
            step = proofs.of(name)
            assert isinstance(step, NotProved)
            assert step.proof is Proof.SNOWFLAKE_LOGIN
        assert sum(server.requests.count(operation) for operation in (*VIZQL, "view_data")) == 0

    @pytest.mark.parametrize(
        ("kind", "has_extracts", "ways"),
        [
            ("datasource", True, ["refresh_job", "snowflake_login"]),
            ("datasource", False, ["query", "snowflake_login"]),
            ("datasource", None, ["refresh_job", "snowflake_login"]),
            ("workbook", True, ["refresh_job", "snowflake_login"]),
            ("workbook", False, ["view_data", "snowflake_login"]),
            ("workbook", None, ["refresh_job", "snowflake_login"]),
            ("flow", None, ["snowflake_login"]),
            ("virtual_connection", None, ["snowflake_login"]),
        ],
    )
    def test_the_ways_are_known_before(self, kind: str, has_extracts: bool | None, ways: list[str]) -> None:
        content = builders.content(type=ContentType(kind), has_extracts=has_extracts)
        assert list(ways_to_prove(content)) == ways

    @pytest.mark.parametrize("kind", ["datasource", "workbook", "flow", "virtual_connection"])
    @pytest.mark.parametrize("has_extracts", [True, False, None])
    def test_of_an_item_with_several_connections_tableau_does_not_show_by_which_it_gets_at_its_data(
        self, proofs: Proofs, kind: str, has_extracts: bool | None
    ) -> None:
        several = builders.content(type=ContentType(kind), has_extracts=has_extracts, connection_count=2)
        assert ways_to_prove(several) == (Proof.SNOWFLAKE_LOGIN,)
        assert not proofs.prover(check=False).is_able(several)

    @pytest.mark.parametrize("has_extracts", [True, False, None])
    def test_a_single_connection_is_proved_as_one_of_which_the_number_is_not_known(
        self, has_extracts: bool | None
    ) -> None:
        unknown = builders.content(has_extracts=has_extracts)
        assert ways_to_prove(replace(unknown, connection_count=1)) == ways_to_prove(unknown)
        assert len(ways_to_prove(unknown)) == 2

    def test_what_tableau_has_no_way_for_can_be_proved_only_with_a_sign_in_to_snowflake(self, proofs: Proofs) -> None:
        nothing = builders.content(type=ContentType.FLOW)
        assert proofs.prover().is_able(nothing)
        assert not proofs.prover(check=False).is_able(nothing)
        assert proofs.prover(check=False).is_able(builders.content(has_extracts=True))


class TestRefresh:
    """A job, which takes minutes or hours."""

    def test_what_tableau_notes_of_a_job_that_failed_is_the_reason(self, proofs: Proofs, site: Site) -> None:
        extract(site).job_outcome = JobOutcome.FAILS
        step = proofs.of()
        [job] = proofs.state.jobs.values()
        assert isinstance(step, NotProved)
        assert step.proof is Proof.REFRESH_JOB
        assert f"its refresh failed (job {job.id}): java.lang.RuntimeException: the refresh failed." in step.reason

    def test_a_job_that_somebody_cancels_proves_nothing(self, proofs: Proofs, site: Site) -> None:
        extract(site).job_outcome = JobOutcome.CANCELLED
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert "its refresh was cancelled" in step.reason

    def test_a_secret_that_tableau_quotes_in_its_notes_is_not_in_the_reason(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site).job_outcome = JobOutcome.FAILS
        target, prover = proofs.saved(), proofs.prover()
        first = prover.step(target.content, embedded(), proofs.begin(prover, target))
        assert isinstance(first, Waiting)
        [job] = proofs.state.jobs.values()
        job.started_at = job.completed_at = proofs.state.clock.now()
        job.finish_code, job.notes = 1, f"Unable to connect with PWD={TOKEN};"
        step = prover.step(target.content, embedded(), first.proving)
        assert isinstance(step, NotProved)
        assert "PWD=***;" in step.reason
        assert TOKEN not in step.reason

    @pytest.mark.parametrize("early_code", [None, -1, 0])
    def test_a_finish_code_before_the_end_is_none(
        self, proofs: Proofs, site: Site, user: SnowflakeUser, early_code: int | None
    ) -> None:
        extract(site)
        user.secrets.discard(TOKEN)
        proofs.state.unfinished_finish_code = early_code
        proofs.state.job_seconds = 300
        assert isinstance(proofs.of(), NotProved)

    def test_a_long_job_is_looked_at_often_at_first_and_then_once_a_minute(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site)
        proofs.state.job_seconds = 3000
        assert proofs.of() == Proved(Proof.REFRESH_JOB)
        assert proofs.waits[0] == 1
        assert proofs.waits == sorted(proofs.waits)
        assert proofs.waits[-1] == 60
        assert server.requests.count("get_job") < 75

    def test_a_short_job_is_not_waited_for_much_longer_than_it_takes(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site)
        proofs.state.job_seconds = 20
        assert proofs.of() == Proved(Proof.REFRESH_JOB)
        assert sum(proofs.waits) <= 20 * 1.5 + 2

    def test_a_job_of_ours_that_never_ends_is_cancelled_at_the_time_limit(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site).job_outcome = JobOutcome.NEVER_ENDS
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert step.proof is Proof.REFRESH_JOB
        assert "did not end within 60 minutes (CREDENTIAL_ROTATION_PROOF_MINUTES)" in step.reason
        assert [job.status for job in proofs.state.jobs.values()] == [JobStatus.CANCELLED]
        assert TIME_LIMIT - 5 <= sum(proofs.waits) <= TIME_LIMIT

    def test_a_job_that_ended_well_is_seen_though_the_time_is_over(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site)
        target, prover = proofs.saved(), proofs.prover()
        first = prover.step(target.content, embedded(), proofs.begin(prover, target))
        assert isinstance(first, Waiting)
        # No worker was free all that time.
        proofs.state.job_polls = 1
        proofs.state.clock.advance(seconds=2 * TIME_LIMIT)
        assert prover.step(target.content, embedded(), first.proving) == Proved(Proof.REFRESH_JOB)
        assert server.requests.count("cancel_job") == 0

    @pytest.mark.parametrize("add", [extract, live, live_workbook, flow])
    def test_a_proof_whose_time_is_over_before_it_asked_for_anything_asks_for_nothing(
        self, proofs: Proofs, site: Site, server: TableauServer, user: SnowflakeUser, add: Callable[[Site], Content]
    ) -> None:
        add(site)
        target, prover = proofs.saved(), proofs.prover()
        proving = proofs.begin(prover, target)
        proofs.state.clock.advance(seconds=TIME_LIMIT)
        server.requests.clear()
        step = prover.step(target.content, embedded(), proving)
        assert isinstance(step, NotProved)
        assert step.proof is Proof.NONE
        assert "could not be shown within 60 minutes" in step.reason
        assert (server.requests.counts(), proofs.state.jobs, user.sign_ins) == ({}, {}, [])

    def test_a_refresh_that_began_before_the_update_and_outlives_the_time_limit_is_followed_by_none(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        proofs.state.job_seconds = 10_000
        proofs.state.queue_job(extract(site), started=True)
        proofs.state.clock.advance(seconds=5)
        step = proofs.to_the_end(proofs.saved(), proofs.prover(time_limit=100))
        assert isinstance(step, NotProved)
        assert step.proof is Proof.NONE
        assert sum(proofs.waits) <= 100
        assert (len(proofs.state.jobs), server.requests.count("cancel_job")) == (1, 0)

    def test_that_it_can_not_be_cancelled_changes_nothing(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site).job_outcome = JobOutcome.NEVER_ENDS
        server.faults.script("cancel_job", TableauCode("403004", "No."))
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert "did not end" in step.reason
        assert server.faults.left() == 0

    def test_a_job_of_somebody_else_that_never_ends_is_left_alone(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        content = extract(site)
        content.job_outcome = JobOutcome.NEVER_ENDS
        target = proofs.saved()
        proofs.state.queue_job(content, queue_seconds=30)
        step = proofs.to_the_end(target)
        assert isinstance(step, NotProved)
        assert "did not end" in step.reason
        assert server.requests.count("cancel_job") == 0
        assert [job.status for job in proofs.state.jobs.values()] == [JobStatus.IN_PROGRESS]

    @pytest.mark.parametrize(
        "faults",
        [[ServerError(500)] * 9, [HtmlPage(503)] * 9, [SessionLost()], [SessionLost(), *[ServerError(502)] * 4]],
        ids=["500", "html", "401002", "401002 and 502"],
    )
    def test_looks_that_go_wrong_in_the_midst_cost_nothing_but_time_and_no_second_refresh(
        self, proofs: Proofs, site: Site, server: TableauServer, faults: list[Fault]
    ) -> None:
        extract(site)
        proofs.state.job_seconds = 120
        server.faults.script("get_job", faults)
        assert proofs.of() == Proved(Proof.REFRESH_JOB)
        assert server.requests.count("refresh") == 1
        assert server.faults.left() == 0

    def test_a_long_429_at_a_look_is_waited_out(self, proofs: Proofs, site: Site, server: TableauServer) -> None:
        extract(site)
        server.faults.script("get_job", Throttle("90"))
        assert proofs.of() == Proved(Proof.REFRESH_JOB)
        assert proofs.waits[:2] == [1, 90]
        assert server.requests.count("refresh") == 1

    def test_a_refresh_that_waits_already_is_adopted(self, proofs: Proofs, site: Site, server: TableauServer) -> None:
        content = extract(site)
        content.connections[0].password = "old-secret"
        proofs.state.queue_job(content, queue_seconds=45)
        assert proofs.of() == Proved(Proof.REFRESH_JOB)
        assert [job.status for job in proofs.state.jobs.values()] == [JobStatus.SUCCESS]
        assert server.requests.count("refresh") == 1
        assert server.requests.count("refresh", status=202) == 0

    def test_an_adopted_refresh_that_fails_is_a_failure(self, proofs: Proofs, site: Site, user: SnowflakeUser) -> None:
        user.secrets.discard(TOKEN)
        proofs.state.queue_job(extract(site), queue_seconds=45)
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert REFUSED in step.reason

    def test_a_refresh_that_began_before_the_update_is_waited_for_and_another_one_counts(
        self, proofs: Proofs, site: Site, server: TableauServer, user: SnowflakeUser
    ) -> None:
        content = extract(site)
        user.secrets.discard("old-secret")
        proofs.state.job_seconds = 100
        old = proofs.state.queue_job(content, started=True)
        proofs.state.clock.advance(seconds=5)
        assert proofs.of() == Proved(Proof.REFRESH_JOB)
        assert [job.status for job in proofs.state.jobs.values()] == [JobStatus.FAILED, JobStatus.SUCCESS]
        assert next(iter(proofs.state.jobs.values())) is old
        assert server.requests.count("refresh", status=202) == 1

    def test_a_success_that_began_before_the_update_does_not_count(
        self, proofs: Proofs, site: Site, user: SnowflakeUser
    ) -> None:
        content = extract(site)
        user.secrets.discard(TOKEN)
        proofs.state.job_seconds = 100
        proofs.state.queue_job(content, started=True)
        proofs.state.clock.advance(seconds=5)
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert REFUSED in step.reason
        assert [job.status for job in proofs.state.jobs.values()] == [JobStatus.SUCCESS, JobStatus.FAILED]

    def test_a_refresh_that_began_in_the_second_of_the_update_is_not_trusted(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        content = extract(site)
        target = proofs.saved()
        job = proofs.state.queue_job(content, started=True)
        job.created_at = datetime.fromisoformat(str(target.saved_at))
        assert proofs.to_the_end(target) == Proved(Proof.REFRESH_JOB)
        assert server.requests.count("refresh", status=202) == 1

    def test_a_refresh_that_began_after_the_update_is_adopted(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        content = extract(site)
        target = proofs.saved()
        proofs.state.clock.advance(seconds=3)
        proofs.state.queue_job(content, started=True)
        assert proofs.to_the_end(target) == Proved(Proof.REFRESH_JOB)
        assert server.requests.count("refresh", status=202) == 0

    def test_the_refresh_of_another_item_with_the_same_name_is_not_adopted(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        namesake = site.add_workbook("It", connections=[snowflake_connection("SOMEBODY")], has_extracts=True)
        content = extract(site)
        theirs = proofs.state.queue_job(namesake, queue_seconds=3000)
        ours = proofs.state.queue_job(content, queue_seconds=45)
        assert proofs.of() == Proved(Proof.REFRESH_JOB)
        assert (theirs.status, ours.status) == (JobStatus.PENDING, JobStatus.SUCCESS)

    def test_where_jobs_may_not_be_listed_the_refresh_that_waits_is_waited_out(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        proofs.state.queue_job(extract(site), started=True)
        proofs.state.job_seconds = 40
        server.faults.script("list_jobs", TableauCode("403004", "For administrators."), times=20)
        assert proofs.of() == Proved(Proof.REFRESH_JOB)
        assert server.requests.count("refresh", status=202) == 1

    @pytest.mark.parametrize("queue_seconds", [0, 45])
    def test_a_refresh_whose_answer_is_lost_is_found_and_not_submitted_again(
        self, proofs: Proofs, site: Site, server: TableauServer, queue_seconds: float
    ) -> None:
        extract(site)
        proofs.state.job_queue_seconds = queue_seconds
        proofs.state.job_seconds = 60
        target = proofs.saved()
        proofs.state.clock.advance(seconds=3)
        server.faults.script("refresh", ResetAfter())
        assert proofs.to_the_end(target) == Proved(Proof.REFRESH_JOB)
        assert [job.status for job in proofs.state.jobs.values()] == [JobStatus.SUCCESS]
        assert server.faults.left() == 0

    def test_a_refresh_that_can_not_be_started_for_a_while_is_started_later(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site)
        server.faults.script("refresh", ServerError(500), times=8)
        assert proofs.of() == Proved(Proof.REFRESH_JOB)
        assert len(proofs.state.jobs) == 1
        assert server.faults.left() == 0

    def test_a_refresh_that_can_never_be_started_has_an_end_and_says_nothing_of_the_token(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site)
        server.faults.script("refresh", ServerError(500), times=2000)
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert step.proof is Proof.NONE
        assert "could not be shown within 60 minutes" in step.reason

    @pytest.mark.parametrize(
        ("add", "operation"), [(live, "query_datasource"), (live, "read_metadata"), (live_workbook, "view_data")]
    )
    def test_a_connected_app_without_the_scope_to_ask_for_data_says_nothing_of_the_token(
        self, proofs: Proofs, site: Site, server: TableauServer, add: Callable[[Site], Content], operation: str
    ) -> None:
        add(site)
        server.faults.script(operation, TableauCode("401002", "Invalid authentication credentials."), times=99)
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)

    @pytest.mark.parametrize("add", [extract, live, live_workbook])
    def test_what_is_deleted_before_it_is_asked_for_data_is_not_found(
        self, proofs: Proofs, site: Site, add: Callable[[Site], Content]
    ) -> None:
        content = add(site)
        target = proofs.saved()
        site.remove(content)
        with pytest.raises(NotFound):
            proofs.to_the_end(target)

    def test_a_job_that_is_not_there_any_more_proves_nothing(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site)
        server.faults.script("get_job", TableauCode("404031", "No such job."))
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert step.proof is Proof.REFRESH_JOB
        assert "is not there any more" in step.reason


class TestNextWay:
    """A way that turns out not to be there says nothing of the token."""

    @pytest.mark.parametrize("code", ["403004", "400000", "403157"])
    def test_an_extract_that_may_not_be_refreshed_is_left_to_snowflake(
        self, proofs: Proofs, site: Site, server: TableauServer, code: str
    ) -> None:
        extract(site)
        server.faults.script("refresh", TableauCode(code, "No."))
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)

    @pytest.mark.parametrize("add", [live, live_workbook, extract, extract_workbook])
    def test_what_may_have_an_extract_and_may_not_be_refreshed_is_left_to_snowflake(
        self, proofs: Proofs, site: Site, server: TableauServer, user: SnowflakeUser, add: Callable[[Site], Content]
    ) -> None:
        # That a refresh is refused does not say that there is no extract, and one would answer a query or view.
        add(site)
        user.secrets.discard(TOKEN)
        target = replace(proofs.saved(), has_extracts=None)
        server.faults.script("refresh", TableauCode("400000", "No."))
        step = proofs.to_the_end(target)
        assert isinstance(step, NotProved)
        assert step.proof is Proof.SNOWFLAKE_LOGIN
        assert server.requests.count("refresh", status=400) == 1
        assert sum(server.requests.count(operation) for operation in (*VIZQL, "list_views", "view_data")) == 0

    def test_a_refresh_that_is_refused_once_is_not_asked_for_at_every_step(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site)
        server.faults.script("refresh", TableauCode("403004", "No."))
        proofs.sign_in.problems = [SnowflakeUnreachable("no route")]
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)
        assert server.requests.count("refresh") == 1

    @pytest.mark.parametrize("code", ["403004", "400000"])
    def test_a_job_that_may_not_be_looked_at_is_left_to_snowflake(
        self, proofs: Proofs, site: Site, server: TableauServer, code: str
    ) -> None:
        extract(site)
        server.faults.script("get_job", TableauCode(code, "No."))
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)

    def test_a_job_that_may_not_be_looked_at_is_not_blamed_later(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        extract(site)
        server.faults.script("get_job", TableauCode("403004", "No."))
        proofs.sign_in.problems = [SnowflakeUnreachable("no route to Snowflake") for _ in range(9)]
        step = proofs.to_the_end(proofs.saved(), proofs.prover(time_limit=10))
        assert isinstance(step, NotProved)
        assert step.proof is Proof.NONE
        assert "its refresh" not in step.reason

    @pytest.mark.parametrize("check", [True, False])
    @pytest.mark.parametrize("missing", [(operation, fault) for operation in VIZQL for fault in NOT_THERE], ids=str)
    def test_a_server_without_vizql_data_service_says_nothing_of_the_token(
        self, proofs: Proofs, site: Site, server: TableauServer, missing: tuple[str, Fault], check: bool
    ) -> None:
        operation, fault = missing
        live(site)
        server.faults.script(operation, fault)
        step = proofs.of(check=check)
        assert server.faults.left() == 0
        assert server.requests.count(operation) == 1
        if check:
            assert step == Proved(Proof.SNOWFLAKE_LOGIN)
        else:
            assert isinstance(step, NotProved)
            assert step.proof is Proof.NONE
            assert "nothing can show that it connects" in step.reason

    @pytest.mark.parametrize("fault", NOT_THERE, ids=str)
    @pytest.mark.parametrize(
        "asking",
        [
            (extract, "refresh"),
            (extract, "get_job"),
            (live, "get_datasource"),
            (live_workbook, "list_views"),
            (live_workbook, "view_data"),
        ],
        ids=lambda asking: asking[1],
    )
    def test_whatever_this_tableau_does_not_have_is_left_to_snowflake(
        self, proofs: Proofs, site: Site, server: TableauServer, asking: Asking, fault: Fault
    ) -> None:
        add, operation = asking
        add(site)
        saved = proofs.saved()
        server.requests.clear()
        server.faults.script(operation, fault)
        assert proofs.to_the_end(saved) == Proved(Proof.SNOWFLAKE_LOGIN)
        assert server.faults.left() == 0
        assert server.requests.count(operation) == 1

    @pytest.mark.parametrize(
        "asking",
        [
            (extract, "refresh"),
            (extract, "job"),
            (extract, "unfinished_refreshes"),
            (live, "query_one_row"),
            (live_workbook, "view_data"),
        ],
        ids=lambda asking: asking[1],
    )
    @pytest.mark.parametrize("kind", [SignInRefused, SessionEnded, SessionKeepsEnding, NotTrusted, UnusableSetting])
    def test_what_any_further_request_would_meet_as_well_is_nobody_s_to_go_on_from(
        self, proofs: Proofs, site: Site, monkeypatch: pytest.MonkeyPatch, asking: Asking, kind: type[TableauError]
    ) -> None:
        add, method = asking
        content = add(site)
        if method == "unfinished_refreshes":
            proofs.state.queue_job(content, queue_seconds=45)
        target, error = proofs.saved(), kind("Tableau lets nobody in")

        def fail(*_: Any) -> None:
            raise error

        monkeypatch.setattr(proofs.data, method, fail)
        with pytest.raises(kind) as raised:
            proofs.to_the_end(target)
        assert raised.value is error
        assert proofs.sign_in.asked == []

    def test_a_server_before_which_a_web_server_says_that_nothing_is_there_has_no_queries(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        # Before 2025.1 nothing is there, and what answers is the web server in front of Tableau.
        live(site)
        server.faults.script("read_metadata", HtmlPage(404))
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)

    def test_a_workbook_whose_views_may_not_be_listed_is_left_to_snowflake(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        live_workbook(site)
        server.faults.script("list_views", TableauCode("403004", "No."))
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)

    def test_a_site_without_vizql_data_service_has_no_queries(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        live(site)
        proofs.state.vizql_enabled = False
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)
        assert server.requests.count("query_datasource") == 0

    def test_a_data_source_without_api_access_has_no_queries(self, proofs: Proofs, site: Site) -> None:
        live(site).can_be_queried = False
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)

    def test_a_query_that_is_not_understood_says_nothing_of_the_token(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        live(site)
        server.faults.script("query_datasource", TableauCode("400803", "Validation failed."))
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)

    def test_a_workbook_without_views_has_no_data(self, proofs: Proofs, site: Site) -> None:
        live_workbook(site).views.clear()
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)

    def test_of_the_views_the_first_that_may_be_seen_is_asked(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        first, second = live_workbook(site).views
        server.faults.script("view_data", TableauCode("403004", "No."), {"view_id": first.id})
        assert proofs.of() == Proved(Proof.VIEW_DATA)
        assert (first.fetched_at, second.fetched_at is None) == (None, False)

    def test_a_workbook_whose_views_are_not_for_us_is_left_to_snowflake(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        live_workbook(site)
        server.faults.script("view_data", TableauCode("403004", "No."), times=2)
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)

    def test_where_nothing_is_left_that_could_show_it_the_last_reason_is_told(self, proofs: Proofs, site: Site) -> None:
        live_workbook(site).views.clear()
        step = proofs.of(check=False)
        assert isinstance(step, NotProved)
        assert step.proof is Proof.NONE
        assert "nothing can show that it connects" in step.reason


@dataclass(frozen=True)
class HandsOutWhatItHas(Fault):
    """Somebody looks at a view just before this request, and Tableau keeps what it fetched."""

    word = "looked_at"
    content: Content | None = None

    def play(self, exchange: Exchange) -> Answer:
        assert self.content is not None
        for view in self.content.views:
            view.fetched_at = datetime.now().astimezone()
        return exchange.answer()


class TestView:
    """What Tableau fetched before the update proves nothing."""

    def test_an_answer_out_of_the_cache_does_not_count(
        self, proofs: Proofs, site: Site, server: TableauServer, user: SnowflakeUser
    ) -> None:
        content = live_workbook(site)
        user.secrets.discard(TOKEN)
        server.faults.script("update_connection", HandsOutWhatItHas(content))
        step = proofs.of()
        assert server.faults.left() == 0
        assert isinstance(step, NotProved)
        assert step.proof is Proof.VIEW_DATA
        assert REFUSED in step.reason

    def test_a_view_is_never_asked_before_a_minute_has_passed(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        live_workbook(site)
        target, prover = proofs.saved(), proofs.prover()
        saved = proofs.state.clock.now()
        proving = proofs.begin(prover, target)
        # Looked at too early and too often, as when another connection's proof is there.
        for _ in range(5):
            step = prover.step(target.content, embedded(), proving)
            assert isinstance(step, Waiting)
            proofs.state.clock.advance(seconds=10)
        assert server.requests.count("view_data") == 0
        assert proofs.to_the_end(target, prover, proving) == Proved(Proof.VIEW_DATA)
        [asked] = server.requests.all("view_data")
        assert timedelta(seconds=60) < asked.time - saved < timedelta(seconds=70)

    def test_no_data_older_than_a_minute_is_asked_for(self, proofs: Proofs, site: Site, server: TableauServer) -> None:
        live_workbook(site)
        proofs.of()
        assert [request.query for request in server.requests.all("view_data")] == [{"maxAge": "1"}]


ASKED_FOR_DATA = pytest.mark.parametrize(
    "asking", [(live, "query_datasource"), (live_workbook, "view_data")], ids=["query", "view"]
)


class TestUnwell:
    """Each try may be a sign-in that Snowflake refuses, and five of those in a row lock the user."""

    @ASKED_FOR_DATA
    def test_a_500_that_quotes_snowflake_is_final_at_once(
        self,
        proofs: Proofs,
        site: Site,
        server: TableauServer,
        user: SnowflakeUser,
        asking: Asking,
    ) -> None:
        add, operation = asking
        add(site)
        user.secrets.discard(TOKEN)
        assert isinstance(proofs.of(), NotProved)
        assert server.requests.count(operation, status=500) == 1
        assert len(user.sign_ins) == 1

    @ASKED_FOR_DATA
    def test_a_500_that_quotes_nothing_may_pass(
        self, proofs: Proofs, site: Site, server: TableauServer, asking: Asking
    ) -> None:
        add, operation = asking
        add(site)
        server.faults.script(operation, ServerError(500))
        assert isinstance(proofs.of(), Proved)
        assert server.requests.count(operation) == 2

    @ASKED_FOR_DATA
    def test_a_500_is_tried_again_once_at_most(
        self, proofs: Proofs, site: Site, server: TableauServer, asking: Asking
    ) -> None:
        add, operation = asking
        add(site)
        server.faults.script(operation, ServerError(500), times=10)
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert step.proof is not Proof.NONE
        assert "500" in step.reason
        assert server.requests.count(operation) == 2

    @ASKED_FOR_DATA
    def test_who_looks_early_does_not_ask_early(
        self, proofs: Proofs, site: Site, server: TableauServer, asking: Asking
    ) -> None:
        # Several proofs of a task are looked at together, when the first of them may be there.
        add, operation = asking
        add(site)
        target, prover = proofs.saved(), proofs.prover()
        proving = proofs.begin(prover, target)
        proofs.state.clock.advance(seconds=61)
        server.faults.script(operation, ServerError(500))
        step = prover.step(target.content, embedded(), proving)
        for _ in range(9):
            assert isinstance(step, Waiting)
            proofs.state.clock.advance(seconds=1)
            step = prover.step(target.content, embedded(), step.proving)
        assert server.requests.count(operation) == 1
        assert isinstance(step, Waiting)
        assert 0 < step.seconds <= 20 - 8
        assert isinstance(proofs.to_the_end(target, prover, step.proving), Proved)

    @pytest.mark.parametrize(
        ("add", "operation"),
        [(extract, "refresh"), (extract, "get_job"), (live, "query_datasource"), (live_workbook, "view_data")],
    )
    def test_who_looks_early_does_not_disregard_what_tableau_asked_for(
        self, proofs: Proofs, site: Site, server: TableauServer, add: Callable[[Site], Content], operation: str
    ) -> None:
        add(site)
        server.faults.script(operation, Throttle("90"))
        target, prover = proofs.saved(), proofs.prover()
        proving = proofs.begin(prover, target)
        while server.faults.left():
            step = prover.step(target.content, embedded(), proving)
            assert isinstance(step, Waiting)
            proving = step.proving
            proofs.state.clock.advance(seconds=min(step.seconds, 62))
        asked = server.requests.count(operation)
        step = prover.step(target.content, embedded(), proving)
        assert isinstance(step, Waiting)
        assert 20 < step.seconds <= 32
        assert server.requests.count(operation) == asked
        assert isinstance(proofs.to_the_end(target, prover, proving), Proved)

    def test_a_429_says_how_long_to_wait_and_is_no_failure(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        live(site)
        server.faults.script("query_datasource", [Throttle("40")] * 5)
        assert proofs.of() == Proved(Proof.QUERY)
        assert proofs.waits == [40] * 5

    def test_a_short_429_is_a_wait_as_well(
        self, proofs: Proofs, site: Site, server: TableauServer, no_rest: None
    ) -> None:
        live(site)
        server.faults.script("query_datasource", [Throttle("2"), Throttle(None)])
        assert proofs.of() == Proved(Proof.QUERY)
        assert server.faults.left() == 0

    def test_429s_without_end_have_one_at_the_time_limit(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        live(site)
        server.faults.script("query_datasource", Throttle("600"), times=20)
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert step.proof is Proof.NONE

    @pytest.mark.parametrize(
        "asking",
        [(extract, "refresh"), (extract, "get_job"), (live, "query_datasource"), (live_workbook, "view_data")],
        ids=lambda asking: asking[1],
    )
    def test_no_wait_exceeds_what_is_left_of_the_time_whatever_tableau_asks_for(
        self, proofs: Proofs, site: Site, server: TableauServer, asking: Asking
    ) -> None:
        add, operation = asking
        add(site)
        server.faults.script(operation, Throttle("86400"), times=9)
        step = proofs.to_the_end(proofs.saved(), proofs.prover(time_limit=100))
        assert isinstance(step, NotProved)
        assert step.proof is (Proof.REFRESH_JOB if operation == "get_job" else Proof.NONE)
        assert 95 <= sum(proofs.waits) <= 100
        assert server.requests.count(operation) == 1

    def test_a_view_that_may_not_be_asked_within_the_time_is_not_waited_for_longer(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        live_workbook(site)
        step = proofs.to_the_end(proofs.saved(), proofs.prover(time_limit=30))
        assert isinstance(step, NotProved)
        assert step.proof is Proof.NONE
        assert sum(proofs.waits) <= 30
        assert server.requests.count("view_data") == 0

    def test_a_snowflake_that_can_not_be_asked_is_asked_again_once_at_most(self, proofs: Proofs, site: Site) -> None:
        flow(site)
        proofs.sign_in.problems = [SnowflakeUnreachable("no route to Snowflake") for _ in range(9)]
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert step.reason == "no route to Snowflake"
        assert len(proofs.sign_in.asked) == 2

    def test_a_snowflake_that_can_be_asked_again_counts(self, proofs: Proofs, site: Site) -> None:
        flow(site)
        proofs.sign_in.problems = [SnowflakeUnreachable("no route to Snowflake")]
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)


class TestQuery:
    """VizQL Data Service."""

    @pytest.mark.parametrize("code", ["401000", "401001", "401002", "401003"])
    def test_a_401_is_the_database_s_refusal_and_not_one_of_our_sign_in(
        self, proofs: Proofs, site: Site, server: TableauServer, user: SnowflakeUser, code: str
    ) -> None:
        live(site)
        user.secrets.discard(TOKEN)
        proofs.state.query_failure = (401, code)
        step = proofs.of()
        assert isinstance(step, NotProved)
        assert step.proof is Proof.QUERY
        assert REFUSED in step.reason
        assert server.requests.count("sign_in") == 1
        # 401002 may be a session that has ended just then: that is seen to, and then it is the database's as well.
        assert server.requests.count("query_datasource") == (2 if code == "401002" else 1)

    @pytest.mark.parametrize("operation", VIZQL)
    def test_a_401_without_words_is_of_something_before_tableau_and_leads_to_the_next_way(
        self, proofs: Proofs, site: Site, server: TableauServer, operation: str
    ) -> None:
        live(site)
        server.faults.script(operation, HtmlPage(401), times=9)
        assert proofs.of() == Proved(Proof.SNOWFLAKE_LOGIN)
        assert server.requests.count("sign_in") == 1
        assert server.requests.count(operation) == 1
        assert len(proofs.sign_in.asked) == 1

    def test_a_session_that_ended_meanwhile_is_renewed(self, proofs: Proofs, site: Site, server: TableauServer) -> None:
        live(site)
        server.faults.script("get_datasource", SessionLost())
        assert proofs.of() == Proved(Proof.QUERY)
        assert server.requests.count("sign_in") == 2

    def test_no_secret_is_in_any_request_but_the_update(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        for number, (add, _) in enumerate(KINDS):
            add(site).name = f"It {number}"
            proofs.of(f"It {number}")
        assert proofs.state.credentials_seen_in_queries == 0
        told = {
            request.operation
            for request in server.requests
            if any(word in request.body.decode() for word in (TOKEN, json.dumps(TOKEN)[1:-1], "password"))
        }
        assert told == {"sign_in", "update_connection"}
        asked = [request for operation in VIZQL for request in server.requests.all(operation)]
        assert asked
        assert all("connections" not in json.loads(request.body)["datasource"] for request in asked)

    def test_no_query_is_asked_twice_so_that_no_cache_can_answer_it(
        self, proofs: Proofs, site: Site, server: TableauServer
    ) -> None:
        live(site)
        server.faults.script("query_datasource", ServerError(500))
        proofs.of()
        bodies = [request.body for request in server.requests.all("query_datasource")]
        assert len(set(bodies)) == len(bodies) == 2
