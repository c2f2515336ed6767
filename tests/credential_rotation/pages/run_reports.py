"""``report.json`` of runs that went this way or that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from credential_rotation.pages.report_page import report_pieces
from credential_rotation.rotation.outcomes import Exclusion, Outcome, Proof
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.report import Report
from tests.builders import rotation_report, target, targets

FORBIDDEN = "Tableau answered 403, code 403004 to PUT /api/3.24/sites/s/datasources/{luid}: Forbidden."
TIMINGS = {
    "bucket_seconds": 10,
    "requests": [[0, 30, 0], [10, 45, 3], [20, 12, 0]],
    "slowest": [
        {"what": "update", "content_type": "workbook", "content_name": "Churn", "project": "Sales", "seconds": 12.4},
        {"what": "read", "content_type": "flow", "content_name": "Load", "project": "Finance", "seconds": 3.0},
    ],
}


def report_page(report: Mapping[str, Any]) -> str:
    """``report.html`` as a whole."""
    return "".join(report_pieces(report))


def made_report(*records: ConnectionRecord, **fields: Any) -> Report:
    """The report of a run whose connections came to this."""
    asked = {"requests": 87, "sign_ins": 1, "throttled": 3}
    return rotation_report(*records, **{"traffic": asked, "seconds": 29.0} | fields)


def run_report(*records: ConnectionRecord, **fields: Any) -> dict[str, Any]:
    """The same as read from its file."""
    told = {name: fields.pop(name) for name in ("params", "timings", "started_at", "ended_at") if name in fields}
    made = made_report(*records, **fields)
    return {**made.head(), "connections": list(made.rows())} | told


def updated(number: int = 1, **fields: Any) -> ConnectionRecord:
    """A connection that embeds the token now."""
    return target(number, **{"outcome": Outcome.UPDATED, "proof": Proof.SAVED, "attempts": 1} | fields)


def canary(number: int = 1, **fields: Any) -> ConnectionRecord:
    """The one that was updated before all others."""
    return updated(number, **{"canary": True, "proof": Proof.REFRESH_JOB} | fields)


def failed(number: int = 1, **fields: Any) -> ConnectionRecord:
    """One that Tableau did not let us change."""
    reason = FORBIDDEN.format(luid=f"00000000-0000-4000-8000-{number:012}")
    return target(number, **{"outcome": Outcome.FAILED, "attempts": 3, "reason": reason} | fields)


def excluded(number: int, reason: Exclusion, **fields: Any) -> ConnectionRecord:
    """No target."""
    return target(number, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=reason, **fields)


def good_report(**fields: Any) -> dict[str, Any]:
    """Everything updated."""
    return run_report(
        canary(1), updated(2), updated(3), excluded(4, Exclusion.OAUTH), excluded(5, Exclusion.OAUTH), **fields
    )


def dry_report(**fields: Any) -> dict[str, Any]:
    """Nothing written."""
    return run_report(
        *targets(3, outcome=Outcome.PLANNED), target(4, outcome=Outcome.UNCHANGED), dry_run=True, **fields
    )
