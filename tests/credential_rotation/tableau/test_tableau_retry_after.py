"""How long Tableau asks to wait, as a number or as a date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from credential_rotation.tableau.transport import retry_after_seconds

NONSENSE = [
    "",
    "now",
    "0",
    "1795500000",
    "2026-11-24T04:00:00Z",
    "Tue, 99 Nov 2026 04:00:00 GMT",
    "Tue, 24 Nov 99999999999999999999 04:00:00 GMT",
    "Tue, 24 Nov 2026 99999999999999999999:00:00 GMT",
    "Tue, 24 Nov 2026 04:00:00 +99999999999999999999",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "ä",
]


@pytest.mark.parametrize("date", NONSENSE)
def test_nonsense_is_no_time(date: str) -> None:
    assert retry_after_seconds(date) in (None, float(date) if date.isdecimal() else None)


@pytest.mark.parametrize("hours", [-5, 0, 9])
def test_a_date_counts_in_whatever_zone_it_is(hours: int) -> None:
    then = (datetime.now(UTC) + timedelta(seconds=100)).astimezone(timezone(timedelta(hours=hours)))
    seconds = retry_after_seconds(format_datetime(then))
    assert seconds is not None
    assert 97 <= seconds <= 100


def test_a_date_that_is_over_asks_for_no_wait() -> None:
    assert retry_after_seconds("Tue, 24 Nov 2020 04:00:00 GMT") == 0.0
