"""A person between the validation and the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput

from credential_rotation import approval, rotate_tasks
from credential_rotation.approval import ApproveUpdates
from credential_rotation.run_folder import RunFolder


class _ThisTaskInstance:
    id = "0191"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What people are asked: Airflow would keep it in its database."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **question: asked.append(question))
    return asked


@pytest.fixture
def operator() -> ApproveUpdates:
    return ApproveUpdates(task_id="approve", subject="Update the rest?", defaults=ApproveUpdates.REJECT)


def _execute(operator: ApproveUpdates, monkeypatch: pytest.MonkeyPatch, question: str | None) -> Any:
    monkeypatch.setattr(approval.rotate_tasks, "question_for_approval", lambda: question)
    context: Any = {"task_instance": _ThisTaskInstance()}
    return operator.execute.__wrapped__(operator, context)  # without the check that Airflow itself calls it


def test_a_run_that_did_not_ask_for_it_asks_nobody(
    operator: ApproveUpdates, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _execute(operator, monkeypatch, None) is None
    assert asked == []


def test_a_run_that_asked_for_it_waits_for_a_person_who_is_shown_what_is_at_stake(
    operator: ApproveUpdates, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TaskAwaitingInput):
        _execute(operator, monkeypatch, "### Validated")
    [question] = asked
    assert question["body"] == "### Validated"
    assert question["options"] == ["Approve", "Reject"]


def test_silence_is_no_consent(
    operator: ApproveUpdates, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TaskAwaitingInput):
        _execute(operator, monkeypatch, "### Validated")
    assert asked[0]["defaults"] == ["Reject"]


@pytest.mark.parametrize(
    ("options", "person", "told"),
    [
        (["Approve"], {"id": "7", "name": "Ann"}, None),
        (["Reject"], {"id": "7", "name": "Ann"}, "not approved (by Ann, 2026-11-24T03:45:00+00:00)"),
        (["Reject"], None, "not approved (since nobody answered in time, 2026-11-24T03:45:00+00:00)"),
    ],
)
def test_the_report_says_who_rejected_and_when(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], person: dict[str, str] | None, told: str | None
) -> None:
    task: Any = SimpleNamespace(folder=RunFolder("a_dag", "a_run", f"file://{tmp_path}"))
    monkeypatch.setattr(rotate_tasks, "ThisTask", lambda: task)
    assert rotate_tasks._rejection(task) is None
    rotate_tasks.leave_answer(
        {
            "chosen_options": options,
            "responded_by_user": person,
            "responded_at": datetime(2026, 11, 24, 3, 45, tzinfo=UTC),
        }
    )
    assert rotate_tasks._rejection(task) == told
