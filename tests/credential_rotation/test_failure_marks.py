"""What keeps parallel tasks from starting new updates, and for how long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from credential_rotation.failure_marks import REFUSED_ELSEWHERE, FailureMarks
from credential_rotation.rotation.budget import BUDGET_SPENT, Hold
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
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


REFUSED = replace(target(1), outcome=Outcome.FAILED, reason="its refresh failed: Programmatic access token is invalid.")


def test_what_snowflake_refuses_holds_its_own_credential_up_whatever_is_allowed_and_no_other(folder: RunFolder) -> None:
    FailureMarks(folder, "plan", "now").update(None, REFUSED)
    marks = FailureMarks(folder, "plan", "now")
    assert not marks.count().passing
    for most in (None, 99):
        held = marks.hold(most, "snowflake_pat")
        assert held == Hold(f"{REFUSED_ELSEWHERE} ({REFUSED.title}: {REFUSED.reason})", retriable=False)
        assert marks.hold(most, "snowflake_bi") is None
    assert marks.hold(0, "snowflake_bi") == Hold(BUDGET_SPENT, retriable=False)
    assert FailureMarks(folder, "plan", "again").hold(None, "snowflake_pat") is None


@pytest.mark.parametrize(
    "record",
    [
        replace(REFUSED, retriable=True),
        replace(REFUSED, outcome=Outcome.NOT_ATTEMPTED),
        replace(REFUSED, outcome=None, undoing=REFUSED.reason, reason=None),
        replace(REFUSED, reason="Tableau answered 503."),
    ],
    ids=["may pass", "not attempted", "being put back", "Tableau was unwell"],
)
def test_what_is_no_refusal_that_stands_holds_nobody_up(folder: RunFolder, record: ConnectionRecord) -> None:
    marks = FailureMarks(folder, "plan", "now")
    marks.update(None, record)
    assert marks.hold(None, "snowflake_pat") is None


def test_as_long_as_one_refusal_stands_its_credential_is_held_up(folder: RunFolder) -> None:
    marks = FailureMarks(folder, "plan", "now")
    both = [REFUSED, replace(REFUSED, content_id="another")]
    for record in both:
        marks.update(None, record)
    for record in both:
        assert marks.hold(None, "snowflake_pat") is not None
        marks.update(record, replace(record, outcome=Outcome.UPDATED, reason=None))
    assert marks.hold(0, "snowflake_pat") is None


@pytest.mark.parametrize("was", [None, REFUSED, replace(REFUSED, retriable=True)])
@pytest.mark.parametrize("now", [REFUSED, replace(REFUSED, retriable=True), replace(REFUSED, outcome=Outcome.UPDATED)])
def test_after_a_kill_the_marks_are_made_to_say_what_the_journal_says(
    folder: RunFolder, was: ConnectionRecord | None, now: ConnectionRecord
) -> None:
    killed, right = FailureMarks(folder, "plan", "killed"), FailureMarks(folder, "plan", "right")
    if was:
        killed.update(None, was)
    killed.make_good([now])
    right.update(None, now)
    assert killed.count() == right.count()
    assert killed.hold(None, "snowflake_pat") == right.hold(None, "snowflake_pat")
