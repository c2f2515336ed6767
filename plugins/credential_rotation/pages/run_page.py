"""The page of one run: its report, made afresh of ``report.json``; or what to say where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from credential_rotation.announcements import ROTATION
from credential_rotation.fleet.reading import DAG_IDS, read_run
from credential_rotation.pages.answers import as_bytes
from credential_rotation.pages.environment import template
from credential_rotation.pages.kept import Kept, stamp_of
from credential_rotation.pages.renewal_page import renewal_values
from credential_rotation.pages.report_page import report_context
from credential_rotation.run_folder import RunFolder
from credential_rotation.triggering_events import RENEWAL

_kept = Kept()


def run_html(reports: str, dag_id: str, run_id: str) -> bytes:
    """The page of a run of any DAG."""
    shown = {"dag_id": dag_id, "run_id": run_id, "rotation": ROTATION, "renewal": RENEWAL}
    if dag_id not in DAG_IDS:
        return as_bytes(template("other_dag.html").render(shown))
    stamp = stamp_of(RunFolder(dag_id, run_id, reports).url("report.json"))
    if stamp is None:
        return as_bytes(template("no_report.html").render(shown))

    def make() -> bytes:
        report = _report(reports, dag_id, run_id)
        if report is None:
            return as_bytes(template("no_report.html").render(shown))
        if dag_id == RENEWAL:
            return as_bytes(template("renewal.html").render(shown, **renewal_values(report)))
        pieces = template("run.html").generate(shown, report=report_context(report))
        return b"".join(map(as_bytes, pieces))

    return _kept.get((reports, dag_id, run_id), stamp, make)


def _report(reports: str, dag_id: str, run_id: str) -> Mapping[str, Any] | None:
    """The report; the connections of a rotation one by one, so that those of a large site are not all in memory."""
    if dag_id == ROTATION:
        folder = RunFolder(dag_id, run_id, reports)
        try:
            head = folder.head("report.json", "connections")
        except ValueError:
            head = {}
        if "summary" in head:
            return {**head, "connections": folder.elements("report.json", "connections")}
    # An earlier version of this package wrote it otherwise.
    return read_run(reports, dag_id, run_id)
