"""The time as the sandbox sees it: the real one, plus what a test has moved it by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """A clock that runs, and that `advance` moves at once."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        """The sandbox's present, in UTC."""
        return datetime.now(UTC) + self.offset

    def advance(self, *, seconds: float = 0, minutes: float = 0) -> None:
        """Let this much time have passed."""
        self.offset += timedelta(seconds=seconds, minutes=minutes)


def to_the_millisecond(moment: datetime) -> datetime:
    """A moment as Snowflake shows it: what is below a millisecond is cut off, never rounded up."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def iso(moment: datetime) -> str:
    """A moment in the form of Tableau's answers, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
