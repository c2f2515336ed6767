"""What is counted of the requests to Tableau, and what is left of that for the report."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from credential_rotation.tableau import traffic as traffic_module
from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.traffic import MOST_SLOW, Slow, Traffic
from tests.builders import content


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is."""
    now = [1000.0]
    monkeypatch.setattr(traffic_module.time, "time", lambda: now[0])
    return now


def left(traffic: Traffic) -> dict[str, object]:
    """As it is after a while in a file."""
    values: dict[str, object] = json.loads(json.dumps(traffic.as_dict()))
    return values


def test_it_is_known_when_how_much_was_asked(at: list[float]) -> None:
    traffic = Traffic()
    for now in (1000.1, 1000.9, 1002.0):
        at[0] = now
        traffic.count(requests=1)
    traffic.count(throttled=1)
    traffic.count(sign_ins=1)
    assert traffic.by_second == {1000: [2, 0], 1002: [1, 1]}
    assert traffic.counts() == {"requests": 3, "sign_ins": 1, "throttled": 1}


def test_what_several_tasks_left_is_added_up(at: list[float]) -> None:
    one, other, total = Traffic(), Traffic(), Traffic()
    one.count(requests=2)
    other.count(requests=3, throttled=1)
    at[0] = 1001
    other.count(sign_ins=1, requests=1)
    for each in (one, other):
        total.add(left(each))
    assert total.by_second == {1000: [5, 1], 1001: [1, 0]}
    assert total.counts() == {"requests": 6, "sign_ins": 1, "throttled": 1}


def test_the_file_of_a_version_that_knew_counts_alone_is_read() -> None:
    total = Traffic()
    total.add({"requests": 12, "sign_ins": 1, "throttled": 2})
    total.add({})
    assert total.counts() == {"requests": 12, "sign_ins": 1, "throttled": 2}
    assert (total.by_second, total.slowest) == ({}, [])


def test_of_the_file_of_another_version_what_is_known_is_read() -> None:
    total = Traffic()
    total.add({"requests": 1, "slowest": [{"what": "read", "content_name": "Orders", "seconds": 2, "colour": "red"}]})
    assert total.requests == 1
    assert total.slowest == [Slow("read", "", "Orders", "", 2.0)]


def test_the_slowest_readings_are_kept_and_no_more() -> None:
    traffic = Traffic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: traffic.was_read(content(f"Item {number}"), number % 100), range(500)))
    assert [slow.seconds for slow in traffic.slowest] == [99] * 5 + [98] * 5
    assert len(traffic.slowest) == MOST_SLOW


def test_the_slowest_of_several_tasks_are_the_slowest_of_all() -> None:
    tasks = [Traffic() for _ in range(3)]
    for number in range(36):
        tasks[number % 3].was_read(content(f"Item {number}"), number)
    total = Traffic()
    for task in tasks:
        total.add(left(task))
    assert [slow.content_name for slow in total.slowest] == [f"Item {number}" for number in range(35, 25, -1)]


def test_a_slow_reading_says_what_was_read() -> None:
    traffic = Traffic()
    traffic.was_read(content("Overview", type=ContentType.WORKBOOK, project="Sales"), 1.5)
    assert left(traffic)["slowest"] == [
        {"what": "read", "content_type": "workbook", "content_name": "Overview", "project": "Sales", "seconds": 1.5}
    ]
