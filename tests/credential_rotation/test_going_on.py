"""A mapped task over all its tries: what each takes up, what waits for a person, and how it comes to an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from credential_rotation import updating
from credential_rotation.failure_marks import REFUSED_ELSEWHERE, FailureMarks
from credential_rotation.journal import read_journals
from credential_rotation.retry_policy import ConnectionsFailed, ConnectionsUnfinished
from credential_rotation.rotation import update_batch
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.proof import Embedded
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.snowflake_words import SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.tableau.errors import RedirectRefused
from credential_rotation.updating import update_targets
from sandbox.tableau import Connection as SandboxConnection
from sandbox.tableau import (
    Content,
    JobOutcome,
    Redirect,
    SandboxCredential,
    ServerError,
    TableauCode,
    TableauServer,
    TableauState,
)
from tests.credential_rotation.mapped_tasks import PLAN, hold_in_airflow, targets_on, task_of
from tests.dags.small_tableau import ACCOUNT, BI, ETL, embedding

Tried = dict[str, Any] | type[BaseException]


@pytest.fixture(autouse=True)
def _quickly(quickly: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task makes way for each proof at once."""
    monkeypatch.setattr(update_batch, "PATIENCE", -1.0)


@pytest.fixture
def state() -> TableauState:
    """Two Snowflake users whose tokens of today are good."""
    state = TableauState()
    site, account = state.add_site("acme"), state.accounts.add_account(ACCOUNT)
    state.job_polls = 1
    for credential in (ETL, BI):
        site.credentials[credential.name] = credential
        account.add_user(credential.login, [credential.secret, credential.new_secret])
    return state


@pytest.fixture
def tableau(state: TableauState) -> Iterator[TableauServer]:
    with TableauServer(state) as server:
        yield server


class Tries:
    """The tries of one mapped task, or of one canary, as Airflow would start them."""

    def __init__(
        self, task: Any, targets: list[ConnectionRecord], state: TableauState, *, canary: bool, budget: int = 99
    ) -> None:
        self.task, self.targets, self.state = task, targets, state
        self._canary, self._budget = canary, budget

    def __call__(self) -> Tried:
        """One try: its result, or the kind of exception that it ended with."""
        marks = None if self._canary else FailureMarks(self.task.folder, PLAN, self.task.generation)
        try:
            return update_targets(self.task, PLAN, "batch", self.targets, in_flight=1, marks=marks, budget=self._budget)
        except Exception as ended:  # noqa: BLE001 (whatever it is, tests say which they expect)
            return type(ended)

    def records(self) -> dict[str, ConnectionRecord]:
        """What is known of each connection, by the name of its item."""
        return {record.content_name: record for record in read_journals(self.task.folder, PLAN)[1]}

    def all(self) -> list[ConnectionRecord]:
        """What is known of all connections, in the order of the targets."""
        known = {record.key: record for record in read_journals(self.task.folder, PLAN)[1]}
        return [known[target.key] for target in self.targets if target.key in known]

    def outcomes(self) -> dict[str, Outcome | None]:
        return {name: record.outcome for name, record in self.records().items()}

    def writes(self) -> dict[str, int]:
        """How often each connection was written, by the name of its item."""
        return {content.name: len(content.connections[0].writes) for content in self.state.site.contents}

    def refused(self) -> int:
        """How often Snowflake refused the user of ETL."""
        sign_ins = self.state.accounts.accounts[ACCOUNT].user(ETL.login).sign_ins
        return Counter(worked for _, _, worked in sign_ins)[False]


Begin = Callable[..., Tries]


@pytest.fixture
def begin(tableau: TableauServer, state: TableauState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Begins a mapped task with all that is on the site."""

    def begin(*, canary: bool = False, budget: int = 99, **params: Any) -> Tries:
        targets = [replace(target, canary=canary) for target in targets_on(state.site)]
        params = {"canary_proof" if canary else "proof": "connects"} | params
        task = task_of(tableau, targets, [ETL, BI], tmp_path, monkeypatch, **params)
        return Tries(task, targets, state, canary=canary, budget=budget)

    return begin


def refuse_token_of_today(state: TableauState) -> None:
    state.accounts.accounts[ACCOUNT].user(ETL.login).secrets.discard(ETL.new_secret)


def accept_token_of_today(state: TableauState) -> None:
    state.accounts.accounts[ACCOUNT].user(ETL.login).secrets.add(ETL.new_secret)


@pytest.fixture
def refused(state: TableauState) -> Content:
    """A live data source whose token of today Snowflake does not take."""
    refuse_token_of_today(state)
    return state.site.add_datasource("Refused", connections=[embedding(ETL)])


@pytest.fixture
def waiting(state: TableauState) -> Content:
    """An extract whose refresh does not end."""
    content = state.site.add_datasource("Waiting", connections=[embedding(BI)], has_extracts=True)
    content.job_outcome = JobOutcome.NEVER_ENDS
    return content


class Airflow:
    """Airflow's own sign-ins to Snowflake: ``answers`` are what it gets for a secret, unless that is good."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Exception] = {}

    def sign_in(self, embedded: Embedded) -> None:
        self.asked.append(embedded.secret)
        if problem := self.answers.get(embedded.secret):
            raise problem


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    airflow = Airflow()
    monkeypatch.setattr(updating, "SnowflakeCheck", lambda: airflow)
    return airflow


def with_check(tries: Tries) -> Tries:
    tries.task.settings = replace(tries.task.settings, snowflake_check=True)
    return tries


OUT_OF_REACH = SnowflakeUnreachable("no answer")


# A failure for good, beside a proof that takes its time


def test_what_failed_for_good_is_written_and_refused_once_while_another_is_waited_for(
    begin: Begin, refused: Content, waiting: Content
) -> None:
    tries = begin()
    assert {tries() for _ in range(100)} == {AirflowRescheduleException}
    assert tries.outcomes() == {"Refused": Outcome.FAILED, "Waiting": None}
    assert tries.writes() == {"Refused": 1, "Waiting": 1}
    assert tries.refused() == 1
    waiting.job_outcome = None
    assert tries() is ConnectionsFailed
    assert tries.outcomes() == {"Refused": Outcome.FAILED, "Waiting": Outcome.UPDATED}
    assert (tries.writes(), tries.refused()) == ({"Refused": 1, "Waiting": 1}, 1)


def test_who_clears_the_finished_task_gets_all_of_it_again_that_is_not_well(
    begin: Begin, state: TableauState, refused: Content, waiting: Content
) -> None:
    tries = begin()
    tries()
    waiting.job_outcome = None
    assert tries() is ConnectionsFailed
    assert tries() is ConnectionsFailed  # cleared, and nothing has changed
    assert (tries.writes(), tries.refused()) == ({"Refused": 2, "Waiting": 1}, 2)
    accept_token_of_today(state)
    assert tries() == {"updated": 2}
    assert tries.writes() == {"Refused": 3, "Waiting": 1}


def test_a_cleared_task_that_is_killed_before_its_first_step_still_takes_it_up(
    begin: Begin, state: TableauState, refused: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = begin()
    assert tries() is ConnectionsFailed
    accept_token_of_today(state)
    with monkeypatch.context() as patch:
        patch.setattr(updating, "update_batch", _killed)
        with pytest.raises(KeyboardInterrupt):
            tries()
    assert tries() == {"updated": 1}


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_after_a_kill_what_failed_for_good_is_left_alone_and_taken_up_when_the_run_is_started_again(
    begin: Begin, state: TableauState, refused: Content, waiting: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = begin()
    with monkeypatch.context() as patch:
        patch.setattr(updating, "_conclude", _killed)
        with pytest.raises(KeyboardInterrupt):
            tries()
    assert tries.outcomes() == {"Refused": Outcome.FAILED, "Waiting": None}
    accept_token_of_today(state)
    assert {tries() for _ in range(10)} == {AirflowRescheduleException}
    assert tries.writes() == {"Refused": 1, "Waiting": 1}
    tries.task.generation = "again"
    assert tries() is AirflowRescheduleException
    assert tries.writes() == {"Refused": 2, "Waiting": 1}
    waiting.job_outcome = None
    assert tries() == {"updated": 2}


def test_a_task_that_ended_by_what_concerns_all_is_taken_up_as_a_whole_when_it_is_cleared(
    begin: Begin, state: TableauState, tableau: TableauServer, refused: Content
) -> None:
    second = state.site.add_datasource("Second", connections=[embedding(BI)])
    moved = Redirect("https://tableau-has-moved.example/", 308)
    tableau.faults.script("update_connection", moved, {"content_id": second.id})
    tries = begin()
    assert tries() is RedirectRefused
    assert tries.outcomes() == {"Refused": Outcome.FAILED, "Second": Outcome.FAILED}
    accept_token_of_today(state)
    assert tries() == {"updated": 2}


def test_two_extracts_that_fail_by_turns_come_to_an_end(begin: Begin, state: TableauState) -> None:
    for name in ("A", "B"):
        state.site.add_datasource(name, connections=[embedding(ETL)], has_extracts=True)
    tries, ended = begin(), []
    for turn in range(20):
        for number, content in enumerate(state.site.contents):
            content.job_outcome = JobOutcome.FAILS if turn % 2 == number else JobOutcome.NEVER_ENDS
        ended.append(tries())
        if ended[-1] is not AirflowRescheduleException:
            break
    assert ended[-1] is ConnectionsFailed
    assert len(ended) <= 4
    assert tries.writes() == {"A": 1, "B": 1}
    assert len(state.jobs) == 2


def test_on_the_last_try_what_may_pass_is_final_while_another_is_waited_for(
    begin: Begin, tableau: TableauServer, state: TableauState, waiting: Content
) -> None:
    broken = state.site.add_datasource("Broken", connections=[embedding(ETL)])
    tableau.faults.script("update_connection", ServerError(503), {"content_id": broken.id}, times=999)
    tries = begin()
    assert tries() is ConnectionsUnfinished
    assert tries.records()["Broken"].retriable
    tries.task.is_last_try = True
    assert tries() is AirflowRescheduleException
    asked = tableau.requests.count("update_connection", content_id=broken.id)
    assert {tries() for _ in range(20)} == {AirflowRescheduleException}
    record = tries.records()["Broken"]
    assert (record.outcome, record.retriable, record.attempts) == (Outcome.FAILED, False, 2)
    assert tableau.requests.count("update_connection", content_id=broken.id) == asked
    waiting.job_outcome = None
    assert tries() is ConnectionsFailed


# Snowflake refuses a token


def test_a_refused_token_is_written_to_no_further_connection_whatever_max_failures_says_and_others_go_on(
    begin: Begin, state: TableauState, refused: Content
) -> None:
    more = [state.site.add_datasource(f"More {number}", connections=[embedding(ETL)]) for number in range(5)]
    others = [state.site.add_datasource(f"Other {number}", connections=[embedding(BI)]) for number in range(3)]
    tries = begin(budget=99)
    assert tries() is ConnectionsFailed
    records = tries.records()
    assert records["Refused"].outcome is Outcome.FAILED
    for content in more:
        assert records[content.name].outcome is Outcome.NOT_ATTEMPTED
        assert str(records[content.name].reason).startswith(f"{REFUSED_ELSEWHERE} (Refused: ")
    assert {records[content.name].outcome for content in others} == {Outcome.UPDATED}
    assert tries.refused() == 1
    # Even in a run that goes on, a person who mends it and clears the task gets all of it.
    accept_token_of_today(state)
    assert tries() == {"updated": 9}


# A token that is edited in Airflow meanwhile


def test_what_waits_beside_an_edited_token_is_brought_to_its_end(
    begin: Begin, state: TableauState, waiting: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.site.add_datasource("Edited", connections=[embedding(ETL)])
    tries = begin()
    hold_in_airflow(monkeypatch, replace(ETL, new_secret="pasted-by-mistake"))
    assert tries() is AirflowRescheduleException
    assert tries() is AirflowRescheduleException
    waiting.job_outcome = None
    assert tries() is ConnectionsFailed
    assert tries.outcomes() == {"Edited": Outcome.NOT_ATTEMPTED, "Waiting": Outcome.UPDATED}


def test_a_canary_whose_token_is_edited_and_put_back_goes_on_with_its_proof(
    begin: Begin, waiting: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = begin(canary=True)
    assert tries() is AirflowRescheduleException
    hold_in_airflow(monkeypatch, replace(BI, new_secret="pasted-by-mistake"))
    assert tries() is ConnectionsFailed
    record = tries.records()["Waiting"]
    assert (record.outcome, record.touched) == (Outcome.FAILED, True)
    assert "its update is saved" in str(record.reason)
    hold_in_airflow(monkeypatch, BI)
    assert tries() is AirflowRescheduleException
    waiting.job_outcome = None
    assert tries() == {"updated": 1}
    assert (tries.records()["Waiting"].reason, tries.records()["Waiting"].proof) == (None, Proof.REFRESH_JOB)
    assert tries.writes() == {"Waiting": 1}


# A canary, and Airflow's own sign-in to Snowflake


@pytest.fixture
def canary(state: TableauState) -> SandboxConnection:
    [connection] = state.site.add_datasource("Canary", connections=[embedding(ETL)]).connections
    return connection


def test_a_canary_whose_read_back_failed_keeps_that_and_is_put_back_on_the_last_try(
    begin: Begin, tableau: TableauServer, airflow: Airflow, canary: SandboxConnection
) -> None:
    tries = with_check(begin(canary=True))
    tableau.faults.script("query_connections", ServerError(503), times=4)  # as often as there are quick tries
    assert tries() is ConnectionsUnfinished
    assert canary.password == ETL.new_secret
    airflow.answers = {ETL.new_secret: OUT_OF_REACH, ETL.secret: OUT_OF_REACH}
    for _ in range(3):
        tableau.faults.script("query_connections", ServerError(503), times=4)
        assert tries() is ConnectionsUnfinished
        record = tries.records()["Canary"]
        assert (record.outcome, record.touched, record.retriable) == (Outcome.FAILED, True, True)
    assert airflow.asked == [ETL.new_secret]
    tries.task.is_last_try = True
    tableau.faults.script("query_connections", ServerError(503), times=4)
    assert tries() is ConnectionsFailed
    record = tries.records()["Canary"]
    assert (record.outcome, canary.password) == (Outcome.ROLLED_BACK, ETL.secret)
    assert "The secret before it was put back" in str(record.reason)


def test_a_canary_that_was_written_is_not_checked_in_snowflake_again(
    begin: Begin, airflow: Airflow, state: TableauState, waiting: Content
) -> None:
    tries = with_check(begin(canary=True))
    assert tries() is AirflowRescheduleException
    airflow.answers = {BI.new_secret: SnowflakeRefused("Programmatic access token is expired.")}
    assert {tries() for _ in range(5)} == {AirflowRescheduleException}
    assert airflow.asked == [BI.new_secret]
    assert tries.outcomes() == {"Waiting": None}
    waiting.job_outcome = None
    assert tries() == {"updated": 1}


def test_a_canary_that_could_not_be_asked_about_is_asked_about_in_the_next_try(
    begin: Begin, airflow: Airflow, canary: SandboxConnection
) -> None:
    tries = with_check(begin(canary=True))
    airflow.answers = {ETL.new_secret: OUT_OF_REACH}
    assert [tries(), tries()] == [ConnectionsUnfinished] * 2
    assert (tries.outcomes(), canary.writes) == ({"Canary": Outcome.NOT_ATTEMPTED}, [])
    airflow.answers = {}
    assert tries() == {"updated": 1}
    assert len(airflow.asked) == 3


@pytest.mark.parametrize("problem", [OUT_OF_REACH, SnowflakeRefused("Programmatic access token is invalid.")])
def test_a_canary_that_snowflake_does_not_let_in_before_it_is_written_is_not_written(
    begin: Begin, airflow: Airflow, canary: SandboxConnection, problem: Exception
) -> None:
    tries = with_check(begin(canary=True))
    tries.task.is_last_try = problem is OUT_OF_REACH
    airflow.answers = {ETL.new_secret: problem}
    assert tries() is ConnectionsFailed
    record = tries.records()["Canary"]
    assert (record.outcome, record.retriable, canary.writes) == (Outcome.NOT_ATTEMPTED, False, [])
    airflow.answers = {}
    assert tries() == {"updated": 1}  # a person cleared it


@pytest.fixture
def both(state: TableauState) -> Content:
    """A workbook in which the canaries of both credentials are."""
    return state.site.add_workbook("Both", connections=[embedding(ETL), embedding(BI)])


def embedded(content: Content) -> list[bool]:
    """Of the connections of ETL and of BI, whether they hold the token of today."""
    tokens = (ETL.new_secret, BI.new_secret)
    return [each.password == token for each, token in zip(content.connections, tokens, strict=True)]


@pytest.mark.parametrize("refused", [ETL, BI], ids=["the first", "the second"])
def test_a_token_that_snowflake_refuses_does_not_stop_the_canary_of_another_in_the_same_item(
    begin: Begin, airflow: Airflow, both: Content, refused: SandboxCredential
) -> None:
    tries = with_check(begin(canary=True, canary_proof="saved"))
    airflow.answers = {refused.new_secret: SnowflakeRefused("Programmatic access token is invalid.")}
    assert tries() is ConnectionsFailed
    assert embedded(both) == [refused is BI, refused is ETL]
    [reason] = [each.reason for each in tries.all() if each.outcome is Outcome.NOT_ATTEMPTED]
    assert str(reason).endswith("is invalid. Nothing was written to Tableau for it.")
    assert sorted(airflow.asked) == sorted([ETL.new_secret, BI.new_secret])
    airflow.answers = {}
    assert tries() == {"updated": 2}  # a person cleared it
    # The item as a whole: its time can't tell what happened between two updates.
    assert sorted(len(each.writes) for each in both.connections) == [1, 2]


def test_a_refused_sign_in_is_not_repeated_while_another_canary_in_the_item_is_tried_again(
    begin: Begin, airflow: Airflow, both: Content
) -> None:
    tries = with_check(begin(canary=True, canary_proof="saved"))
    airflow.answers = {ETL.new_secret: SnowflakeRefused("no"), BI.new_secret: OUT_OF_REACH}
    assert [tries(), tries(), tries()] == [ConnectionsUnfinished] * 3
    del airflow.answers[BI.new_secret]
    assert tries() is ConnectionsFailed
    assert embedded(both) == [False, True]
    assert airflow.asked.count(ETL.new_secret) == 1


def test_a_canary_that_fails_is_put_back_and_the_other_in_the_item_stays(
    begin: Begin, tableau: TableauServer, both: Content
) -> None:
    tableau.faults.script("query_connections", TableauCode("403004", "No."), {"content_id": both.id})
    tries = begin(canary=True, canary_proof="saved")
    assert tries() is ConnectionsFailed
    assert embedded(both) == [False, True]
    assert [each.outcome for each in tries.all()] == [Outcome.ROLLED_BACK, Outcome.UPDATED]


@pytest.mark.parametrize("check", [True, False])
def test_a_secret_that_snowflake_refuses_is_not_put_back_where_it_is_asked(
    begin: Begin, airflow: Airflow, state: TableauState, canary: SandboxConnection, *, check: bool
) -> None:
    refuse_token_of_today(state)
    tries = begin(canary=True)
    if check:
        with_check(tries)
    airflow.answers = {ETL.secret: SnowflakeRefused("Programmatic access token is expired.")}
    assert tries() is ConnectionsFailed
    record = tries.records()["Canary"]
    assert (record.outcome, canary.password) == (
        (Outcome.FAILED, ETL.new_secret) if check else (Outcome.ROLLED_BACK, ETL.secret)
    )
    assert ("it is no better: Programmatic access token is expired." in str(record.reason)) == check
    assert airflow.asked == ([ETL.new_secret, ETL.secret] if check else [])


# Nothing attempted


def test_a_task_that_nothing_was_attempted_in_is_skipped_and_a_person_who_clears_it_gets_it(
    begin: Begin, state: TableauState
) -> None:
    state.site.add_datasource("Held up", connections=[embedding(ETL)])
    tries = begin(budget=0)
    marks = FailureMarks(tries.task.folder, PLAN, tries.task.generation)
    elsewhere = replace(tries.targets[0], content_id="elsewhere", outcome=Outcome.FAILED, reason="HTTP 400")
    marks.update(None, elsewhere)
    assert tries() is AirflowSkipException
    marks.update(elsewhere, replace(elsewhere, outcome=Outcome.UPDATED))
    assert tries() == {"updated": 1}
