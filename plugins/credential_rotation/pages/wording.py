"""How outcomes, numbers, times and addresses are written on a page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from markupsafe import Markup

from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.tableau.content import ContentType


@dataclass(frozen=True)
class Look:
    """How an outcome is shown: never by its colour alone.

    :param tone: ``good``, ``bad``, ``warn``, ``plan`` or ``idle``: the colour, in style.css
    """

    symbol: str
    words: str
    tone: str


# What a person has to look at comes first; tables are in this order.
LOOKS: dict[Outcome, Look] = {
    Outcome.FAILED: Look("✕", "failed", "bad"),
    Outcome.ROLLED_BACK: Look("↺", "rolled back", "plan"),
    Outcome.NOT_ATTEMPTED: Look("⊘", "not attempted", "warn"),
    Outcome.PLANNED: Look("◌", "planned", "plan"),
    Outcome.UPDATED: Look("✓", "updated", "good"),
    Outcome.UNCHANGED: Look("=", "unchanged", "good"),
    Outcome.GONE: Look("–", "gone", "idle"),
    Outcome.EXCLUDED: Look("·", "excluded", "idle"),
}


def look(outcome: object, *, well: bool = True) -> Look:
    """How an outcome is shown; one that this version does not know is shown as it is.

    :param well: whether the run was asked for it: to be rolled back is good or bad news
    """
    try:
        known = LOOKS[Outcome(str(outcome))]
    except ValueError:
        return Look("?", str(outcome).replace("_", " "), "idle")
    return known if well or known.tone != "plan" else replace(known, tone="warn")


def number(value: float) -> str:
    """1234567 as ``1,234,567``."""
    return f"{value:,}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """``1 target``, ``1,200 targets``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{round(seconds, 1):g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def with_code(text: str) -> Markup:
    """A text of ours in which `names` are code."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


def moment(iso: str) -> str:
    """``24 Nov 2026, 14:42 UTC``; a text that is no time as it is."""
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def web_address(text: object) -> str | None:
    """An address that a link may lead to: http or https, and nothing that a browser would read otherwise."""
    if not isinstance(text, str) or not text.isprintable() or " " in text or "\\" in text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in ("http", "https") and parts.hostname else None


def type_words(content_type: object) -> str:
    """``virtual_connection`` as ``virtual connection``; one that this version does not know likewise."""
    try:
        return ContentType(str(content_type)).words
    except ValueError:
        return str(content_type or "").replace("_", " ")
