"""From what was found on the sites to what was updated: the steps of a run with their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from credential_rotation.pages.findings import Findings
from credential_rotation.pages.verdict import is_roll_back
from credential_rotation.pages.wording import LOOKS, Look, counted, look
from credential_rotation.rotation.outcomes import Outcome

# From what is done to what is not.
_SHARES = (
    Outcome.UPDATED, Outcome.UNCHANGED, Outcome.PLANNED, Outcome.GONE, Outcome.ROLLED_BACK, Outcome.NOT_ATTEMPTED,
    Outcome.FAILED,
)  # fmt: skip
_NARROWEST = 0.6


@dataclass(frozen=True)
class Step:
    """A number on the way, and what left the way there."""

    number: int
    label: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Share:
    """An outcome's part of all targets, in percent of the width of a bar."""

    look: Look
    number: int
    start: float
    width: float


def steps_of(report: Mapping[str, Any], found: Findings) -> list[Step]:
    """The steps, first to last; none of a run that found nothing."""
    targets, excluded = found.targets.total(), found.excluded.total()
    content = int((report.get("summary") or {}).get("content") or 0)
    if not content and not found.sites:
        return []
    users, sites = len(found.credentials), len(found.sites)
    steps = [
        Step(content, _plural(content, "item"), f"on {counted(sites, 'site')}" if sites else ""),
        Step(found.connections, _plural(found.connections, "connection"), f"{excluded:,} excluded" if excluded else ""),
        Step(targets, _plural(targets, "target"), f"of {counted(users, 'credential')}" if users else ""),
    ]
    if found.unread:
        steps[0] = Step(content, steps[0].label, f"{found.unread:,} could not be read", "bad")
    if not report.get("dry_run"):
        steps.append(_canaries(found))
    steps.append(_last(report, found))
    return steps


def shares_of(found: Findings) -> list[Share]:
    """The outcomes of the targets, side by side; one that is rare can still be seen."""
    numbers = {outcome: found.targets[outcome] for outcome in _SHARES if found.targets[outcome]}
    total = sum(numbers.values())
    widths = {outcome: max(_NARROWEST, 100 * number / total) for outcome, number in numbers.items()}
    scale = 100 / sum(widths.values()) if widths else 1
    shares, start = [], 0.0
    for outcome, number in numbers.items():
        width = widths[outcome] * scale
        shares.append(Share(look(outcome, well=not found.not_done[outcome]), number, round(start, 3), round(width, 3)))
        start += width
    return shares


def _canaries(found: Findings) -> Step:
    number, well = found.canaries, found.canaries_well
    label = "canary" if number == 1 else "canaries"
    if not number:
        return Step(0, label, "nothing to validate" if not found.not_done.total() else "none was begun")
    if well == number:
        return Step(number, label, "proved" if number == 1 else "all proved", "good")
    return Step(number, label, f"{number - well:,} failed", "bad")


def _last(report: Mapping[str, Any], found: Findings) -> Step:
    if report.get("dry_run"):
        planned = found.targets[Outcome.PLANNED]
        unchanged = found.targets[Outcome.UNCHANGED]
        return Step(planned, "would be written", f"{unchanged:,} unchanged" if unchanged else "", "plan")
    outcome = Outcome.ROLLED_BACK if is_roll_back(report, found) else Outcome.UPDATED
    number = found.targets[outcome] - (found.not_done[outcome] if outcome is Outcome.ROLLED_BACK else 0)
    bad = found.not_done.total()
    if bad:
        return Step(number, LOOKS[outcome].words, f"{bad:,} not done", "bad")
    others = [
        f"{found.targets[other]:,} {LOOKS[other].words}"
        for other in (Outcome.UNCHANGED, Outcome.GONE)
        if found.targets[other]
    ]
    return Step(number, LOOKS[outcome].words, ", ".join(others), "good" if number else "")


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"
