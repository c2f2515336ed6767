"""Until when connections work that may still hold a previous token, and how long a person may take to approve."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from credential_rotation.deadlines import deadlines_in_words, time_to_answer
from credential_rotation.renewals import Arrival, Renewal, Renewals

ETL, SITES = "snowflake_etl", ("site_a", "site_b")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def renewals(tmp_path: Path) -> Renewals:
    """A token whose previous secret ends in 23 hours."""
    found = Renewals(f"file://{tmp_path}")
    ends_at = (NOW + timedelta(hours=23)).isoformat()
    found.renewed(ETL, Renewal(token="new", previous_ends_at=ends_at, overlap_hours=72))
    return found


def told(renewals: Renewals, now: datetime = NOW, **held: tuple[int, int]) -> list[str]:
    return deadlines_in_words(renewals, [ETL], held, SITES, now)


def test_it_is_said_when_and_for_how_many(renewals: Renewals) -> None:
    assert told(renewals, snowflake_etl=(41, 62)) == [
        f"{ETL}: 41 of 62 connections may still hold the token that ends at 2026-11-25 11:00 UTC, in 23 h."
    ]


def test_without_a_count_it_is_said_all_the_same(renewals: Renewals) -> None:
    assert "Connections in Tableau may still hold the token that ends at" in told(renewals)[0]


def test_in_its_last_hour_the_minutes_count(renewals: Renewals) -> None:
    assert told(renewals, NOW + timedelta(hours=22, minutes=18))[0].endswith("in 42 min.")


def test_after_it_the_connections_can_not_connect(renewals: Renewals) -> None:
    assert "the token that ended at 2026-11-25 11:00 UTC, and can't connect then." in told(renewals, NOW + DAY)[0]


def test_where_every_connection_has_the_new_one_there_is_none(renewals: Renewals) -> None:
    assert told(renewals, snowflake_etl=(0, 62)) == []
    renewals.arrived(ETL, Arrival("new", ["site_a"]))
    assert told(renewals)
    renewals.arrived(ETL, Arrival("new", ["site_b"]))
    assert told(renewals) == []


@pytest.mark.parametrize("renewal", [Renewal(), Renewal(token="new"), Renewal(previous_ends_at=NOW.isoformat())])
def test_where_nothing_is_known_there_is_none(renewals: Renewals, renewal: Renewal) -> None:
    renewals.renewed(ETL, renewal)
    assert told(renewals, snowflake_etl=(41, 62)) == []


@pytest.mark.parametrize(
    ("hours_left", "overlap", "hours"),
    [(72, 72, 24), (23, 72, 21), (3, 72, 1), (72, 24, 8), (72, 12, 4), (72, 0, 24), (-1, 72, 24), (None, None, 24)],
)
def test_a_person_has_time_until_shortly_before_it(
    renewals: Renewals, hours_left: int | None, overlap: int | None, hours: int
) -> None:
    ends_at = (NOW + timedelta(hours=hours_left)).isoformat() if hours_left is not None else None
    renewals.renewed(ETL, Renewal(token="new", previous_ends_at=ends_at, overlap_hours=overlap))
    assert time_to_answer(renewals, [ETL], SITES, DAY, NOW) == timedelta(hours=hours)


def test_right_before_it_half_an_hour_is_left(renewals: Renewals) -> None:
    assert time_to_answer(renewals, [ETL], SITES, DAY, NOW + timedelta(hours=22)) == timedelta(minutes=30)


def test_of_several_the_first_counts(renewals: Renewals) -> None:
    ends_at = (NOW + timedelta(hours=6)).isoformat()
    renewals.renewed("snowflake_bi", Renewal(token="new", previous_ends_at=ends_at))
    assert time_to_answer(renewals, [ETL, "snowflake_bi"], SITES, DAY, NOW) == timedelta(hours=4)
