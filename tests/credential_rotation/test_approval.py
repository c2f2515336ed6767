"""A person between the validation and the rest."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput

from credential_rotation import approval
from credential_rotation.approval import ApproveUpdates


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
