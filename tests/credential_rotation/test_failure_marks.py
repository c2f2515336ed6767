"""What keeps parallel tasks from starting new updates, and for how long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from credential_rotation.failure_marks import FailureMarks
from credential_rotation.rotation.budget import BUDGET_SPENT, Hold
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.run_folder import RunFolder
from tests.builders import target

FAILED = replace(target(1), outcome=Outcome.FAILED, reason="why")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder("a_dag", "a_run", f"file://{tmp_path}")


def test_as_many_failures_as_are_allowed_hold_nobody_up(folder: RunFolder) -> None:
    marks = FailureMarks(folder, "plan", "now")
    marks.update(None, FAILED)
    assert marks.hold(1) is None
    assert marks.hold(0) == Hold(BUDGET_SPENT, retriable=False)
    assert marks.hold(None) is None


def test_what_concerns_all_stops_every_task_and_is_told_once(folder: RunFolder) -> None:
    one, other = FailureMarks(folder, "plan", "now"), FailureMarks(folder, "plan", "now")
    assert other.hold(None) is None
    one.stop("update_connections-3", "refused")
    one.stop("update_connections-7", "refused")
    assert other.hold(None) == Hold("refused", retriable=False)
    assert other.stopped_because() == ["refused"]


def test_what_failed_before_the_run_was_started_again_holds_nobody_up(folder: RunFolder) -> None:
    before = FailureMarks(folder, "plan", "before")
    before.update(None, FAILED)
    before.stop("update_connections-3", "refused")
    again = FailureMarks(folder, "plan", "again")
    assert again.hold(0) is None
    assert again.stopped_because() == []
