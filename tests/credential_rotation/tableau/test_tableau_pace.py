"""A quota is kept, and one thread's 429 gives all threads a rest."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from credential_rotation.tableau.pace import Pace
from credential_rotation.tableau.traffic import Traffic
from sandbox.tableau import TableauServer, Throttle
from tests.credential_rotation.hooks.connecting import Connect


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_without_a_quota_nothing_waits(clock: Clock) -> None:
    pace = Pace(None, clock, clock.sleep)
    for _ in range(100):
        pace.wait()
    assert clock.now == 100.0


def test_requests_are_no_closer_together_than_the_quota_allows(clock: Clock) -> None:
    pace = Pace(120, clock, clock.sleep)
    times = []
    for _ in range(4):
        pace.wait()
        times.append(clock.now)
    assert times == [100.5, 101.0, 101.5, 102.0]


def test_time_that_passed_without_requests_is_not_made_up_for(clock: Clock) -> None:
    pace = Pace(60, clock, clock.sleep)
    pace.wait()
    clock.now += 30
    pace.wait()
    pace.wait()
    assert clock.now == 132.0


def test_a_rest_is_for_all_and_the_longest_counts(clock: Clock) -> None:
    pace = Pace(None, clock, clock.sleep)
    pace.rest(5)
    pace.rest(2)
    pace.wait()
    assert clock.now == 105.0
    pace.wait()
    assert clock.now == 105.0


def test_a_hook_keeps_to_its_quota_over_all_threads(connect: Connect, server: TableauServer) -> None:
    hook = connect(requests_per_minute=1200)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hook.call("GET", "flows"), range(12)))
    assert len(server.requests) == 14
    assert time.monotonic() - started >= 13 * 0.05


def test_when_one_thread_is_throttled_no_other_asks_meanwhile(connect: Connect, server: TableauServer) -> None:
    hook = connect()
    hook.version()
    server.faults.script("list_flows", Throttle("1"))
    with ThreadPoolExecutor(4) as pool:
        throttled = pool.submit(hook.call, "GET", "flows")
        while not server.faults.consumed:
            time.sleep(0.005)
        time.sleep(0.1)
        others = [pool.submit(hook.call, "GET", "workbooks") for _ in range(3)]
        for each in [throttled, *others]:
            assert each.result() is not None
    (refused,) = server.requests.all("list_flows", status=429)
    for request in server.requests.all("list_workbooks"):
        assert (request.time - refused.time).total_seconds() >= 0.9


def test_traffic_is_counted_right_from_many_threads() -> None:
    traffic = Traffic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: traffic.count(requests=1, throttled=1), range(500)))
    traffic.count(sign_ins=2)
    assert traffic.as_dict() == {"requests": 500, "sign_ins": 2, "throttled": 500}
