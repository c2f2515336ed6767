"""What came of a run: the first thing that a page says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from credential_rotation.pages.findings import Findings
from credential_rotation.pages.wording import LOOKS, counted
from credential_rotation.rotation.outcomes import Outcome


@dataclass(frozen=True)
class Verdict:
    """A sentence, what it rests on, and how it looks."""

    tone: str
    symbol: str
    sentence: str
    lead: str = ""


def verdict_of(report: Mapping[str, Any], found: Findings) -> Verdict:
    """The verdict of a report."""
    if report.get("state") != "success":
        return _of_failed(report, found)
    return _of_dry_run(report, found) if report.get("dry_run") else _of_good(report, found)


def is_roll_back(report: Mapping[str, Any], found: Findings) -> bool:
    """Whether the run was to put the previous secret back. Old reports don't name their params."""
    params = report.get("params")
    if isinstance(params, Mapping):
        return bool(params.get("roll_back"))
    return found.targets[Outcome.ROLLED_BACK] > found.not_done[Outcome.ROLLED_BACK]


def _of_failed(report: Mapping[str, Any], found: Findings) -> Verdict:
    targets, bad = found.targets.total(), found.not_done.total()
    unread = f"{counted(found.unread, 'item')} could not be read" if found.unread else ""
    written = "It was a dry run: nothing was written to Tableau." if report.get("dry_run") else ""
    if bad:
        sentence = (
            f"None of the {counted(targets, 'target')} is done"
            if bad == targets > 1
            else f"{bad:,} of {counted(targets, 'target')} {'is' if bad == 1 else 'are'} not done"
        )
        return Verdict("bad", "✕", sentence, _sentences(_listed(found), unread, written))
    if unread:
        rest = f"All {counted(targets, 'target')} that were found are done: {_listed(found)}" if targets else ""
        return Verdict("bad", "✕", unread, _sentences(rest, "What can't be read may embed the token, too", written))
    if not found.connections:
        return Verdict("bad", "✕", "The run failed before it came to any connection", written)
    return Verdict("bad", "✕", "The run failed", _sentences(f"Of its targets, none failed: {_listed(found)}", written))


def _of_dry_run(report: Mapping[str, Any], found: Findings) -> Verdict:
    planned = found.targets[Outcome.PLANNED]
    what = "rolled back" if is_roll_back(report, found) else "updated"
    sentence = f"{counted(planned, 'connection')} would be {what}" if planned else f"Nothing would be {what}"
    current = found.targets[Outcome.UNCHANGED]
    lead = _sentences(
        "A dry run: nothing was written to Tableau",
        f"{counted(current, 'connection')} {'holds' if current == 1 else 'hold'} the current token already"
        if current
        else "",
    )
    return Verdict("plan", LOOKS[Outcome.PLANNED].symbol, sentence, lead)


def _of_good(report: Mapping[str, Any], found: Findings) -> Verdict:
    targets, gone = found.targets.total(), found.targets[Outcome.GONE]
    if not targets:
        looked_at = f"{counted(found.connections, 'connection')} looked at, and no credential claims any"
        return Verdict("idle", "–", "There is nothing to do", _sentences(looked_at if found.connections else ""))
    there = targets - gone
    not_looked_at = [str(each) for each in report.get("not_looked_at") or ()]
    if is_roll_back(report, found):
        sentence = f"{counted(there, 'connection')} rolled back"
        return Verdict("good", "✓", sentence, "The secret from before is embedded again.")
    if not there:
        return Verdict("good", "✓", "All targets were deleted meanwhile", _sentences(_listed(found)))
    if not_looked_at:
        sentence = f"{counted(there, 'connection')} {'embeds' if there == 1 else 'embed'} the current token"
        return Verdict("good", "✓", sentence, _sentences(_listed(found), *not_looked_at))
    sentence = (
        f"All {there:,} connections embed the current token" if there > 1 else "The connection embeds the current token"
    )
    return Verdict("good", "✓", sentence, _sentences(_listed(found)))


def _listed(found: Findings) -> str:
    return ", ".join(
        f"{found.targets[outcome]:,} {LOOKS[outcome].words}" for outcome in LOOKS if found.targets[outcome]
    )


def _sentences(*texts: str) -> str:
    return " ".join(text if text.endswith(".") else f"{text}." for text in texts if text)
