"""A person between the validation and the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput

from credential_rotation import approval, rotate_tasks
from credential_rotation.approval import ApproveUpdates
from credential_rotation.fingerprint import Fingerprints
from credential_rotation.journal import Journal
from credential_rotation.plan_files import Plan, read_batch, write_plan
from credential_rotation.renewals import Renewal, Renewals
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.run_folder import RunFolder
from credential_rotation.settings import Settings
from tests.builders import rotation_params, target, targets


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
    monkeypatch.setattr(approval.rotate_tasks, "time_to_approve", lambda longest: longest / 4)
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
    with pytest.raises(TaskAwaitingInput) as waiting:
        _execute(operator, monkeypatch, "### Validated")
    assert waiting.value.timeout == timedelta(hours=6)
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


class TestQuestion:
    """What the person is shown, and what follows when it is approved: both go by the plan and by what is done."""

    @pytest.fixture
    def task(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        folder = RunFolder("a_dag", "a_run", f"file://{tmp_path}")
        write_plan(folder, Plan("plan", 5, (), (), tuple(targets(5))), [], Fingerprints(b"a key"))
        task = SimpleNamespace(
            settings=Settings.from_environment({}),
            folder=folder,
            params=rotation_params(require_approval=True),
            snowflake_conn_ids=["snowflake_pat"],
            renewals=Renewals(f"file://{tmp_path}"),
        )
        monkeypatch.setattr(rotate_tasks, "ThisTask", lambda: task)
        return task

    @pytest.fixture
    def known(self, task: Any) -> None:
        """A canary that passed; and of an earlier try of the run, before a person cleared it, what was done then."""
        canary = replace(target(1), canary=True, outcome=Outcome.UPDATED, proof=Proof.QUERY, attempts=1)
        earlier = [
            replace(target(2), outcome=Outcome.UPDATED, proof=Proof.SAVED, attempts=1),
            replace(target(3), outcome=Outcome.FAILED, reason="HTTP 400", attempts=2),
        ]
        for name, records in (("canary-1", [canary]), ("batch", earlier)):
            journal = Journal(task.folder, "plan", name, records)
            for record in records:
                journal.note(record)
            journal.finish()

    def test_only_canaries_are_shown_as_validated_and_what_is_done_does_not_follow(self, known: None) -> None:
        lines = str(rotate_tasks.question_for_approval()).splitlines()
        assert lines[0] == "**3 connections would be updated next.**"
        assert [line for line in lines if "Orders 1" in line]
        assert not [line for line in lines if "Orders 2" in line or "Orders 3" in line or "HTTP 400" in line]

    def test_until_when_the_rest_works_is_shown(self, task: Any, known: None) -> None:
        ends_at = datetime.now(UTC) + timedelta(hours=5, minutes=1)
        task.renewals.renewed("snowflake_pat", Renewal(token="new", previous_ends_at=ends_at.isoformat()))
        assert f"that ends at {ends_at:%Y-%m-%d %H:%M} UTC, in 5 h." in str(rotate_tasks.question_for_approval())
        assert rotate_tasks.time_to_approve(timedelta(days=1)) < timedelta(hours=3, minutes=2)

    def test_what_follows_is_what_is_dealt_out(self, task: Any, known: None) -> None:
        batches = rotate_tasks.plan_updates()
        dealt_out = [
            record for batch in batches for record in read_batch(task.folder, batch["plan_id"], batch["batch"])
        ]
        assert [(record.content_name, record.outcome, record.attempts) for record in dealt_out] == [
            ("Orders 3", Outcome.FAILED, 2),
            ("Orders 4", None, 0),
            ("Orders 5", None, 0),
        ]

    def test_nobody_is_asked_who_is_not_to_be(self, task: Any, known: None) -> None:
        task.params = rotation_params()
        assert rotate_tasks.question_for_approval() is None
