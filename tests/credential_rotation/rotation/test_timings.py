"""Where the time of a run went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credential_rotation.rotation.timings import timings
from credential_rotation.tableau.traffic import Traffic
from tests.builders import content, target

START = datetime(2026, 5, 1, 8, 0, 0, 600_000, tzinfo=UTC)
EPOCH = int(START.timestamp())


def over_time(by_second: dict[int, list[int]], started_at: datetime | None = START) -> tuple[int, list[list[int]]]:
    made = timings(Traffic(by_second={EPOCH + at: counts for at, counts in by_second.items()}), [], started_at)
    return made["bucket_seconds"], made["requests"]


def test_requests_are_told_by_the_seconds_since_the_start() -> None:
    assert over_time({0: [3, 0], 2: [1, 1]}) == (1, [[0, 3, 0], [1, 0, 0], [2, 1, 1]])


@pytest.mark.parametrize("hours", [0.01, 0.1, 1, 6, 30, 200])
def test_of_a_long_run_there_are_fewer_and_larger_buckets_and_nothing_is_lost(hours: float) -> None:
    seconds = int(hours * 3600)
    bucket, requests = over_time({at: [2, 1] for at in range(0, seconds, 7)})
    assert len(requests) <= 200
    assert [at for at, _, _ in requests] == list(range(0, seconds, bucket))[: len(requests)]
    assert sum(sent for _, sent, _ in requests) == 2 * len(range(0, seconds, 7))
    assert sum(throttled for _, _, throttled in requests) == len(range(0, seconds, 7))
    assert bucket == 1 or len(requests) > 30


def test_what_was_asked_before_somebody_started_the_run_again_is_left_out() -> None:
    assert over_time({-90_000: [500, 0], 1: [2, 0]}) == (1, [[0, 0, 0], [1, 2, 0]])


def test_where_the_report_alone_was_made_again_the_first_request_counts_as_the_start() -> None:
    assert over_time({-90_000: [1, 0], -89_999: [2, 1]}) == (1, [[0, 1, 0], [1, 2, 1]])
    assert over_time({-40: [1, 0], -5: [2, 0]})[1][0] == [0, 1, 0]


def test_a_worker_whose_clock_is_a_little_behind_loses_no_request() -> None:
    assert over_time({-61: [9, 9], -60: [1, 0], -1: [2, 1], 0: [3, 0], 1: [4, 0]}) == (1, [[0, 6, 1], [1, 4, 0]])


def test_where_it_is_not_known_when_the_run_started_the_first_request_counts_as_the_start() -> None:
    assert over_time({40: [1, 0], 41: [2, 0]}, started_at=None) == (1, [[0, 1, 0], [1, 2, 0]])


def test_a_run_that_asked_nothing_has_no_buckets() -> None:
    assert timings(Traffic(), [], START) == {"bucket_seconds": 1, "requests": [], "slowest": []}
    assert timings(Traffic(), [], None)["requests"] == []


def test_the_slowest_are_updates_and_readings_together() -> None:
    traffic = Traffic()
    for number in range(20):
        traffic.was_read(content(f"Read {number}", project="Ops"), number + 0.12345)
    records = [target(number, seconds=number + 0.5) for number in range(10, 30)] + [target(99, seconds=None)]
    slowest = timings(traffic, records, START)["slowest"]
    assert [each["seconds"] for each in slowest] == [29.5, 28.5, 27.5, 26.5, 25.5, 24.5, 23.5, 22.5, 21.5, 20.5]
    of_few: list[dict[str, Any]] = timings(traffic, records[5:6], START)["slowest"]
    assert of_few[4] == {
        "what": "update",
        "content_type": "datasource",
        "content_name": "Orders 15",
        "project": "Sales",
        "seconds": 15.5,
    }
    assert of_few[0] == {
        "what": "read",
        "content_type": "datasource",
        "content_name": "Read 19",
        "project": "Ops",
        "seconds": 19.123,
    }


def test_names_are_as_tableau_has_them() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    [slow] = timings(Traffic(), [target(1, content_name=hostile, seconds=1.0)], START - timedelta(days=1))["slowest"]
    assert slow["content_name"] == hostile
