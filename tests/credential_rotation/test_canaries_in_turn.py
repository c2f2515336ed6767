"""The canaries of several credentials that lie in one item: who takes their place, and how the task ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from credential_rotation import rotate_tasks
from credential_rotation.journal import read_journals
from credential_rotation.retry_policy import ConnectionsFailed
from credential_rotation.rotation import update_batch
from credential_rotation.rotation.canary import choose_canaries, in_turns
from sandbox.tableau import Content, JobOutcome, SandboxCredential, TableauCode, TableauServer, TableauState
from tests.credential_rotation.mapped_tasks import PLAN, targets_on, task_of
from tests.dags.small_tableau import ACCOUNT, BI, ETL, DeletedJustBefore, embedding


@pytest.fixture(autouse=True)
def _quickly(quickly: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task makes way for each proof at once."""
    monkeypatch.setattr(update_batch, "PATIENCE", -1.0)


@pytest.fixture
def state() -> TableauState:
    """A workbook and a second item for each of two credentials, whose canaries both lie in the workbook."""
    state = TableauState()
    site, account = state.add_site("acme"), state.accounts.add_account(ACCOUNT)
    state.job_polls = 1
    site.add_workbook("Both", connections=[embedding(ETL), embedding(BI)])
    for credential in (ETL, BI):
        site.credentials[credential.name] = credential
        account.add_user(credential.login, [credential.secret, credential.new_secret])
        site.add_datasource(credential.name, connections=[embedding(credential)], has_extracts=True)
    return state


@pytest.fixture
def tableau(state: TableauState) -> Iterator[TableauServer]:
    with TableauServer(state) as server:
        yield server


class Canaries:
    """The tries of the one task of both canaries."""

    def __init__(self, task: Any, state: TableauState) -> None:
        self.task, self.state = task, state
        self.both = state.site.content("Both")
        targets = targets_on(state.site)
        [self.candidates] = in_turns(choose_canaries(targets, self.both.id))

    def __call__(self) -> dict[str, Any]:
        candidates = [each.brief() for each in self.candidates]
        return rotate_tasks.validate_one({"plan_id": PLAN, "candidates": candidates})

    def outcomes(self) -> dict[tuple[str, str], str | None]:
        """By item and user."""
        return {
            (record.content_name, str(record.snowflake_conn_id)): record.outcome
            for record in read_journals(self.task.folder, PLAN)[1]
        }

    def writes(self) -> dict[str, list[int]]:
        """How often each connection was written, by item; what is not there any more left out."""
        return {each.name: [len(one.writes) for one in each.connections] for each in self.state.site.contents}


@pytest.fixture
def canaries(tableau: TableauServer, state: TableauState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Canaries:
    task = task_of(tableau, targets_on(state.site), [ETL, BI], tmp_path, monkeypatch, canary_proof="saved")
    monkeypatch.setattr(rotate_tasks, "ThisTask", lambda: task)
    return Canaries(task, state)


def delete_before(tableau: TableauServer, content: Content, credential: SandboxCredential) -> None:
    """Somebody deletes an item just before the connection of this credential is updated; BI's comes first."""
    [connection] = [each for each in content.connections if each.username == credential.login]
    fault = DeletedJustBefore(tableau.state.site, content)
    tableau.faults.script("update_connection", fault, {"connection_id": connection.id})


def test_both_are_validated_one_after_the_other_and_nothing_else_is_written(canaries: Canaries) -> None:
    assert canaries() == {"updated": 2}
    assert canaries.writes() == {"Both": [1, 1], "etl": [0], "bi": [0]}
    assert canaries() == {"updated": 2}  # tried again after it was done
    assert canaries.writes() == {"Both": [1, 1], "etl": [0], "bi": [0]}


@pytest.mark.parametrize("before", [BI, ETL])
def test_where_their_item_is_deleted_each_goes_on_with_its_next_candidate(
    tableau: TableauServer, canaries: Canaries, before: SandboxCredential
) -> None:
    delete_before(tableau, canaries.both, before)
    assert canaries()["updated"] == 2
    assert canaries.writes() == {"bi": [1], "etl": [1]}


def test_one_that_failed_does_not_keep_the_other_from_its_next_candidate_and_is_not_tried_again(
    tableau: TableauServer, canaries: Canaries, state: TableauState
) -> None:
    [_, bi] = canaries.both.connections
    tableau.faults.script("update_connection", TableauCode("403004", "No."), {"connection_id": bi.id})
    delete_before(tableau, canaries.both, ETL)
    canaries.task.params = replace(canaries.task.params, canary_proof="connects")
    state.site.content("etl").job_outcome = JobOutcome.NEVER_ENDS
    for _ in range(3):
        with pytest.raises(AirflowRescheduleException):
            canaries()
    state.site.content("etl").job_outcome = None
    with pytest.raises(ConnectionsFailed, match="403004"):
        canaries()
    assert canaries.outcomes() == {
        ("Both", "snowflake_bi"): "failed",
        ("Both", "snowflake_etl"): "gone",
        ("etl", "snowflake_etl"): "updated",
    }
    assert canaries.writes() == {"bi": [0], "etl": [1]}
    assert tableau.requests.count("update_connection", connection_id=bi.id) == 1


def test_where_all_candidates_of_one_are_deleted_the_task_fails_and_the_other_is_validated(
    tableau: TableauServer, canaries: Canaries, state: TableauState
) -> None:
    delete_before(tableau, canaries.both, BI)
    state.site.remove(state.site.content("bi"))
    with pytest.raises(ConnectionsFailed, match="Run again"):
        canaries()
    assert canaries.writes() == {"etl": [1]}
