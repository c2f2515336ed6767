"""What the last task of each run leaves for the page in the Airflow UI. Whatever goes wrong here changes no run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from credential_rotation.fleet.model import RunBrief
from credential_rotation.fleet.site_state import TokenInForce
from credential_rotation.fleet.writing import Rotation, note_renewal, note_rotation
from credential_rotation.harmless import harmless
from credential_rotation.plan_files import find_sites, read_secrets
from credential_rotation.renewal.report import RenewalReport
from credential_rotation.renewal_context import RenewalTask
from credential_rotation.running_task import RunningTask
from credential_rotation.task_context import ThisTask

_NOT_UP_TO_DATE = "The page 'Credential rotation' could not be brought up to date; the report is what counts."


def leave_rotation(task: ThisTask, brief: Mapping[str, Any], verdict: str) -> None:
    """Add a run of the rotation, whose report is written, and which the ledgers have learned from."""
    with harmless(_NOT_UP_TO_DATE):
        plan_id, sites = find_sites(task.folder)
        planned = read_secrets(task.folder, plan_id) if plan_id else {}
        credentials = {
            # A roll-back embeds the previous secret; the one in force stays in force.
            conn_id: TokenInForce(
                each.login,
                (task.params.roll_back and each.secrets.previous) or each.secrets.token,
                frozenset(each.usernames),
            )
            for conn_id, each in planned.items()
        }
        saw_all = task.params.is_whole and not brief["problems"] and not brief["not_looked_at"]
        is_whole = bool(sites) and saw_all and not task.params.roll_back
        run = _brief(task, brief["state"], verdict, brief["summary"])
        note_rotation(task.settings.reports, Rotation(run, task.folder, sites, credentials, is_whole))


def leave_renewal(task: RenewalTask, report: RenewalReport) -> None:
    """Add a run of the renewal."""
    with harmless(_NOT_UP_TO_DATE):
        run = replace(_brief(task, report.state, report.verdict(), report.summary), notes=report.notes)
        note_renewal(task.settings.reports, run, report)


def _brief(task: RunningTask, state: str, verdict: str, summary: Mapping[str, Any]) -> RunBrief:
    return RunBrief(
        dag_id=task.instance.dag_id,
        run_id=task.run_id,
        state=state,
        dry_run=task.dry_run,
        started_at=task.started_at.astimezone(UTC).isoformat(timespec="seconds") if task.started_at else None,
        ended_at=datetime.now(UTC).isoformat(timespec="seconds"),
        verdict=verdict,
        summary=summary,
    )
