"""Times as people say them, in the words of static/times.js, which keeps them fresh."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = (("year", 31557600), ("month", 2629800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_NAMED = {
    ("year", -1): "last year",
    ("year", 1): "next year",
    ("month", -1): "last month",
    ("month", 1): "next month",
    ("day", -1): "yesterday",
    ("day", 1): "tomorrow",
    ("second", 0): "now",
}


def at(iso: str | None) -> datetime | None:
    """A time out of a file; None when it is none."""
    try:
        found = datetime.fromisoformat(iso or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def relative(iso: str, now: datetime, *, largest: str = "year") -> str:
    """``3 hours ago``, ``tomorrow``; a text that is no time as it is.

    :param largest: the largest unit; to count days, where these matter
    """
    then = at(iso)
    if then is None:
        return iso
    seconds = (then - now).total_seconds()
    units = _UNITS[[unit for unit, _ in _UNITS].index(largest) :]
    unit, size = next((each for each in units if abs(seconds) >= each[1]), units[-1])
    number = int(abs(seconds) / size + 0.5) * (1 if seconds >= 0 else -1)
    if (unit, number) in _NAMED:
        return _NAMED[unit, number]
    words = f"{abs(number):,} {unit}{'' if abs(number) == 1 else 's'}"
    return f"in {words}" if number > 0 else f"{words} ago"


def lasting(iso: str, now: datetime) -> str:
    """``for 3 hours``, ``since yesterday``."""
    words = relative(iso, now)
    return f"for {words.removesuffix(' ago')}" if words.endswith(" ago") else f"since {words}"
