"""``report.html``: what a run did, for people, in one file that needs nothing else and loads nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from credential_rotation.pages.environment import inlined, template
from credential_rotation.pages.findings import Findings
from credential_rotation.pages.flow import shares_of, steps_of
from credential_rotation.pages.plots import draw
from credential_rotation.pages.rows import ConnectionsTable, reason_words
from credential_rotation.pages.verdict import is_roll_back, verdict_of
from credential_rotation.pages.wording import type_words
from credential_rotation.rotation.outcomes import EXCLUSION_ADVICE, EXCLUSION_MEANS, Exclusion, Outcome

if TYPE_CHECKING:
    from credential_rotation.run_folder import Folder

log = logging.getLogger(__name__)

NAME = "report.html"

_SHOWN_CAUSES = 20


@dataclass(frozen=True)
class Excluded:
    """How many connections are no targets for a reason. ``in_table`` is how the table words it."""

    reason: str
    number: int
    in_table: str
    means: str
    advice: str


def write_report_page(folder: Folder, report: Mapping[str, Any]) -> str | None:
    """Write the page beside the other files of a run; why there is none, where it can't be made.

    A page is for looking only: what goes wrong with it is logged, and changes nothing about the run.
    """
    try:
        path = folder.write_text(NAME, report_pieces(report))
    except Exception as problem:
        log.exception("%s could not be made.", NAME)
        return f"{NAME} could not be made ({type(problem).__name__}); report.json and report.csv have everything."
    log.info("To look at: %s", path)
    return None


def report_pieces(report: Mapping[str, Any]) -> Iterator[str]:
    """The page, piece by piece: that of a large site takes megabytes."""
    return template("report.html").generate(report=report_context(report), inlined=inlined())


def report_context(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates show of a report, as ``report``; its connections are gone through once, and let go of.

    :param report: ``report.json``; reports of earlier versions lack keys
    """
    found, table = Findings(), ConnectionsTable()
    for row in report.get("connections") or ():
        table.add(row, found.add(row))
    timings, params = report.get("timings") or {}, report.get("params") or {}
    causes = found.causes
    return {
        "run_id": str(report.get("run_id") or ""),
        "dry_run": bool(report.get("dry_run")),
        "roll_back": is_roll_back(report, found),
        "verdict": verdict_of(report, found),
        "problems": list(report.get("problems") or ()),
        "notes": list(report.get("notes") or ()),
        "started_at": report.get("started_at"),
        "ended_at": report.get("ended_at"),
        "seconds": float(report.get("seconds") or 0),
        "requests": int(report.get("requests") or 0),
        "throttled": int(report.get("throttled") or 0),
        "sign_ins": int(report.get("sign_ins") or 0),
        "sites": [(site or "Default", conn_id) for conn_id, site in sorted(found.sites)],
        "causes": causes[:_SHOWN_CAUSES],
        "more_causes": len(causes[_SHOWN_CAUSES:]),
        "steps": steps_of(report, found),
        "shares": shares_of(found),
        "credentials": found.credentials,
        "table": table,
        "excluded": [_excluded(reason, number) for reason, number in found.excluded.most_common()],
        "plots": draw(timings),
        "slowest": [
            {**each, "content_type": type_words(each.get("content_type"))} for each in timings.get("slowest") or ()
        ],
        "params": [(name, json.dumps(value, ensure_ascii=False)) for name, value in params.items()],
    }


def _excluded(reason: str, number: int) -> Excluded:
    known = Exclusion(reason) if reason in list(Exclusion) else None
    return Excluded(
        reason=reason.replace("_", " "),
        number=number,
        in_table=reason_words({"outcome": Outcome.EXCLUDED, "reason": reason}),
        means=EXCLUSION_MEANS[known] if known else "",
        advice=EXCLUSION_ADVICE[known] if known else "",
    )
