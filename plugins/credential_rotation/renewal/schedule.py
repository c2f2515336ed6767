"""Whether the renewal runs often enough: what one run can't finish, the next must, while the previous secret works."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from croniter import croniter  # type: ignore[import-untyped]

# Enough to see the longest pause of a schedule by weekdays or days of the month.
_FIRE_TIMES = 100


def schedule_note(schedule: str | None, overlap_hours: int) -> str | None:
    """What a person should know of a schedule that leaves too few runs within the overlap; None where it is fine.

    :param schedule: a cron expression or preset; None where the DAG runs by hand only
    """
    longest = _longest_pause(schedule) if schedule else None
    if longest is None or not overlap_hours or longest <= timedelta(hours=overlap_hours) / 3:
        return None
    hours = longest / timedelta(hours=1)
    return (
        f"CREDENTIAL_ROTATION_RENEW_SCHEDULE ({schedule!r}) lets up to {hours:g} h pass between two runs, more than a "
        f"third of overlap_hours ({overlap_hours}): what one run can't finish may be looked at again too late. Run it "
        f"every {overlap_hours / 3:.3g} h at least, or make overlap_hours {3 * hours:.0f}."
    )


def _longest_pause(schedule: str) -> timedelta | None:
    """The longest time between two runs; None where it is not a cron expression."""
    if not croniter.is_valid(schedule):
        return None
    times = croniter(schedule, datetime(2026, 1, 1, tzinfo=UTC), ret_type=datetime)
    fired: list[datetime] = [times.get_next() for _ in range(_FIRE_TIMES)]
    return max(later - earlier for earlier, later in pairwise(fired))
