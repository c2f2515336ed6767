"""What a mapped task does with its targets when their token is no longer the one that was validated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from credential_rotation.failure_marks import FailureMarks
from credential_rotation.journal import Journal, read_journals
from credential_rotation.plan_files import PlanReplaced, drop_plan, read_plan, write_plan
from credential_rotation.retry_policy import ConnectionsFailed
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.proof import Proving
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.updating import update_targets
from sandbox.tableau import TableauServer
from tests.credential_rotation.mapped_tasks import hold_in_airflow, targets_on, task_of
from tests.dags.small_tableau import BI, ETL, small_tableau


@pytest.fixture
def tableau() -> Iterator[TableauServer]:
    with TableauServer(small_tableau(ETL, BI)) as server:
        yield server


@pytest.fixture
def targets(tableau: TableauServer) -> list[ConnectionRecord]:
    return targets_on(tableau.state.site)


@pytest.fixture
def task(
    tableau: TableauServer, targets: list[ConnectionRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """A task of a run that has planned these targets; afterwards the token of BI was changed in Airflow."""
    task = task_of(tableau, targets, [ETL, BI], tmp_path, monkeypatch, canary_proof="saved")
    hold_in_airflow(monkeypatch, replace(BI, new_secret="pasted-by-mistake"))
    return task


def test_of_a_token_that_was_changed_nothing_is_written_and_the_other_credential_goes_on(
    tableau: TableauServer, task: Any, targets: list[ConnectionRecord]
) -> None:
    marks = FailureMarks(task.folder, "plan", "now")
    with pytest.raises(ConnectionsFailed, match="the token was changed"):
        update_targets(task, "plan", "batch", targets, in_flight=2, marks=marks, budget=0)
    _, records = read_journals(task.folder, "plan")
    outcomes = {(record.snowflake_conn_id, record.outcome) for record in records}
    assert outcomes == {("snowflake_etl", Outcome.UPDATED), ("snowflake_bi", Outcome.NOT_ATTEMPTED)}
    assert all("the token was changed" in str(r.reason) for r in records if r.snowflake_conn_id == "snowflake_bi")
    held = {tableau.state.site.connection(str(r.connection_id)).password for r in records}
    assert held == {ETL.new_secret, BI.secret}


def test_a_canary_whose_token_was_changed_fails_and_is_not_skipped(task: Any, targets: list[ConnectionRecord]) -> None:
    canary = next(target for target in targets if target.snowflake_conn_id == "snowflake_bi")
    with pytest.raises(ConnectionsFailed, match="the token was changed"):
        update_targets(task, "plan", "canary", [canary], in_flight=1, marks=None)


_STUCK = (
    "{title} NOW HOLDS A TOKEN THAT DID NOT CONNECT: its refresh failed. The secret before it could not be put back: "
    "{unusable}"
)


@pytest.mark.parametrize("canary", [True, False])
@pytest.mark.parametrize(
    ("was", "says"),
    [
        (
            {"proving": Proving("2026-11-24T04:00:00Z", since=1.5)},
            "its update is saved, but the run ended before it was shown that it connects; run again. {unusable}",
        ),
        (
            {"undoing": "its refresh failed."},
            _STUCK,
        ),
        (
            {"undoing": "its refresh failed.", "proving": Proving("2026-11-24T04:00:00Z", since=1.5)},
            _STUCK,
        ),
        (
            {"outcome": Outcome.FAILED, "reason": "HTTP 503.", "retriable": True},
            "HTTP 503. {unusable}",
        ),
    ],
    ids=["proof not there", "being put back", "put back, and not seen to connect", "failed"],
)
def test_what_was_written_with_a_token_that_was_changed_fails_and_says_what_it_was_at(
    task: Any,
    targets: list[ConnectionRecord],
    tableau: TableauServer,
    was: dict[str, Any],
    says: str,
    *,
    canary: bool,
) -> None:
    target = next(target for target in targets if target.snowflake_conn_id == "snowflake_bi")
    journal = Journal(task.folder, "plan", "batch", [target], generation=task.generation)
    journal.note(replace(target, canary=canary, touched=True, attempts=1, **was))
    marks = None if canary else FailureMarks(task.folder, "plan", task.generation)
    with pytest.raises(ConnectionsFailed, match="the token was changed") as raised:
        update_targets(task, "plan", "batch", [target], in_flight=1, marks=marks, budget=0)
    [record] = read_journals(task.folder, "plan")[1]
    assert (record.outcome, record.retriable, record.touched) == (Outcome.FAILED, False, True)
    assert record.reason == says.format(title=target.title.upper(), unusable=raised.value)
    assert tableau.requests.count("update_connection") == 0


def test_a_task_of_a_plan_that_was_dropped_writes_nothing(
    tableau: TableauServer, task: Any, targets: list[ConnectionRecord]
) -> None:
    """Somebody has cleared discover alone: a roll-back would know nothing of what is written now."""
    drop_plan(task.folder)
    with pytest.raises(PlanReplaced, match="Clear filter_connections and everything downstream"):
        update_targets(task, "plan", "canary", [replace(targets[0], canary=True)], in_flight=1, marks=None)
    assert tableau.requests.count("update_connection") == 0
    assert read_journals(task.folder, "plan") == ([], [])


def test_a_connection_that_leads_to_another_site_by_now_writes_nothing(
    tableau: TableauServer, task: Any, targets: list[ConnectionRecord]
) -> None:
    plan = read_plan(task.folder)
    known = [task.credential("snowflake_etl"), task.credential("snowflake_bi")]
    sites = {"tableau_default": "https://somewhere.else#acme"}
    write_plan(task.folder, replace(plan, sites=sites), known, task.fingerprints)
    with pytest.raises(PlanReplaced, match="leads to another Tableau site"):
        update_targets(task, "plan", "batch", targets, in_flight=2, marks=None)
    assert tableau.requests.count("update_connection") == 0
    assert tableau.requests.count("sign_in") == 0
