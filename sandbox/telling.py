"""What the report of a run tells, beside what is so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sandbox import stage
from sandbox.local_airflow import LocalAirflow
from sandbox.tableau import Site


def report_path(airflow: LocalAirflow, run_id: str) -> Path:
    """Where the report of a run is."""
    return airflow.home / "credential_rotation" / stage.DAG_ID / run_id / "report.json"


def writes_of(site: Site) -> dict[str, int]:
    """How many updates each connection has taken."""
    return {connection.id: len(connection.writes) for _, connection in site.connections()}


def untrue(site: Site, report: Mapping[str, Any], written: Collection[str]) -> list[str]:
    """What the report of a green run says of a connection that is not so; exactly one outcome is right for each."""
    told: dict[str, list[str]] = {}
    for row in report["connections"]:
        reason = f" ({row['reason']})" if row["outcome"] == "excluded" else ""
        told.setdefault(str(row["connection_id"]), []).append(row["outcome"] + reason)
    wrong = []
    for _, connection in site.connections():
        done = "updated" if connection.id in written else "unchanged"
        expected = done if connection.target_of in site.credentials else f"excluded ({connection.why})"
        said = told.pop(connection.id, ["nothing"])
        if said != [expected]:
            wrong.append(f"the report says {' and '.join(said)!r} of {connection.id}: it is {expected!r}")
    return wrong + [f"the report names {unknown}, which is not there" for unknown in told]
