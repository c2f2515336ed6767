"""In which order the last task of a rotation tells how the run ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from credential_rotation import rotate_tasks
from credential_rotation.retry_policy import RunIsRed


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the task did, in order."""
    steps: list[str] = []
    context = {"ti": SimpleNamespace(xcom_push=lambda *_: steps.append("summary"))}
    task = SimpleNamespace(
        run_id="a_run",
        settings=SimpleNamespace(notifier=None),
        ledgers=SimpleNamespace(learn_from=lambda _: steps.append("ledgers")),
    )
    monkeypatch.setattr(rotate_tasks, "ThisTask", lambda: task)
    monkeypatch.setattr(rotate_tasks, "get_current_context", lambda: context)
    for name in ("leave_rotation", "emit_rotated", "send_message"):
        monkeypatch.setattr(rotate_tasks, name, lambda *_, name=name, **__: steps.append(name))
    return steps


def ended(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    brief: dict[str, Any] = {"state": state, "report": "/reports/report.json", "summary": {}}
    monkeypatch.setattr(rotate_tasks, "_write_report", lambda _: (brief, "3 failed"))


def test_the_message_which_may_take_long_is_last(monkeypatch: pytest.MonkeyPatch, done: list[str]) -> None:
    ended(monkeypatch, "success")
    rotate_tasks.report()
    assert done == ["summary", "ledgers", "leave_rotation", "emit_rotated", "send_message"]


def test_a_red_run_is_told_of_before_it_is_red_and_emits_nothing(
    monkeypatch: pytest.MonkeyPatch, done: list[str]
) -> None:
    ended(monkeypatch, "failed")
    with pytest.raises(RunIsRed, match="3 failed"):
        rotate_tasks.report()
    assert done == ["summary", "ledgers", "leave_rotation", "send_message"]


@pytest.mark.parametrize(
    ("planned", "written", "said"),
    [
        (None, {}, "Nothing was written to Tableau. See the log of the first task that failed."),
        (None, {"a": 1, "b": 2}, "This run wrote to 2 connections before its tasks were cleared, and has no plan now."),
        (1, {}, "It is not known here what was written to Tableau."),
    ],
)
def test_a_run_without_a_plan_says_what_was_written(planned: int | None, written: dict[str, int], said: str) -> None:
    task: Any = SimpleNamespace(
        run_id="a_run",
        instance=SimpleNamespace(xcom_pull=lambda **_: planned),
        ledgers=SimpleNamespace(updated_by=lambda _: written),
    )
    assert said in rotate_tasks._why_there_is_no_plan(task, [])
