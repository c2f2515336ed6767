"""Times are worded as the browser words them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from credential_rotation.pages import times
from credential_rotation.pages.environment import STATIC
from credential_rotation.pages.times import lasting, relative

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("iso", "words"),
    [
        ("2026-11-24T12:00:00+00:00", "now"),
        ("2026-11-24T11:59:29+00:00", "31 seconds ago"),
        ("2026-11-24T11:58:00Z", "2 minutes ago"),
        ("2026-11-24T11:00:00+00:00", "1 hour ago"),
        ("2026-11-24T13:40:00+00:00", "in 2 hours"),
        ("2026-11-24T13:00:00+01:00", "now"),
        ("2026-11-23T12:00:00", "yesterday"),
        ("2026-11-25T12:00:00+00:00", "tomorrow"),
        ("2026-12-04T12:00:00+00:00", "in 10 days"),
        ("2026-09-01T12:00:00+00:00", "3 months ago"),
        ("2028-11-24T12:00:00+00:00", "in 2 years"),
        ("<b>", "<b>"),
    ],
)
def test_in_words(iso: str, words: str) -> None:
    assert relative(iso, NOW) == words


def test_days_may_be_counted_where_they_matter() -> None:
    assert relative("2027-02-14T12:00:00+00:00", NOW, largest="day") == "in 82 days"


@pytest.mark.parametrize(
    ("iso", "words"), [("2026-11-18T12:00:00Z", "for 6 days"), ("2026-11-23T12:00:00Z", "since yesterday")]
)
def test_how_long_it_has_been_so(iso: str, words: str) -> None:
    assert lasting(iso, NOW) == words


def test_the_browser_counts_in_the_same_units_and_in_one_place() -> None:
    scripts = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
    assert [name for name, script in scripts.items() if "RelativeTimeFormat" in script] == ["times.js"]
    units = [(unit, int(size)) for unit, size in re.findall(r'\["(\w+)", (\d+)\]', scripts["times.js"])]
    # What is shorter than the last but one is the last.
    assert sorted(units, key=lambda unit: -unit[1]) == list(times._UNITS)
