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
    pace.throttled(5)
    pace.throttled(2)
    pace.wait()
    assert clock.now == 105.0


class Limited:
    """A server that refuses what comes above so many requests in a second."""

    def __init__(self, clock: Clock, per_second: int) -> None:
        self.clock = clock
        self.per_second = per_second
        self.let_through: list[float] = []
        self.refused: list[float] = []

    def ask(self, pace: Pace, rest: float = 1.0) -> None:
        """One request, which takes no time."""
        pace.wait()
        recent = sum(self.clock.now - time < 1 for time in self.let_through[-self.per_second :])
        if recent < self.per_second:
            self.let_through.append(self.clock.now)
            pace.answered()
        else:
            self.refused.append(self.clock.now)
            pace.throttled(rest)

    def ask_for(self, pace: Pace, requests: int) -> float:
        """So many until they are let through; the seconds that takes."""
        began, wanted = self.clock.now, len(self.let_through) + requests
        while len(self.let_through) < wanted:
            self.ask(pace)
            self.clock.now += 0.0125  # 80 requests in a second, if nothing holds them up
        return self.clock.now - began


@pytest.mark.parametrize("per_second", [5, 20, 60])
def test_where_tableau_has_a_limit_it_is_nearly_used_up_and_hardly_overstepped(clock: Clock, per_second: int) -> None:
    pace, server = Pace(None, clock, clock.sleep), Limited(clock, per_second)
    seconds = server.ask_for(pace, 100 * per_second)
    assert seconds <= 1.3 * 100
    assert len(server.refused) <= 30


def test_when_the_limit_is_gone_so_is_the_slowness(clock: Clock) -> None:
    pace, server = Pace(None, clock, clock.sleep), Limited(clock, 5)
    server.ask_for(pace, 100)
    server.per_second = 1000
    server.ask_for(pace, 2000)
    assert server.ask_for(pace, 790) <= 11


def test_a_limit_that_sinks_is_followed(clock: Clock) -> None:
    pace, server = Pace(None, clock, clock.sleep), Limited(clock, 40)
    server.ask_for(pace, 400)
    server.per_second = 10
    assert server.ask_for(pace, 600) <= 1.3 * 60


def test_a_single_refusal_of_somebody_who_hardly_asked_slows_nobody_down(clock: Clock) -> None:
    pace = Pace(None, clock, clock.sleep)
    pace.wait()
    pace.throttled(1)
    for _ in range(50):
        pace.wait()
    assert clock.now == 101.0


def test_a_second_refusal_soon_after_does(clock: Clock) -> None:
    pace = Pace(None, clock, clock.sleep)
    for _ in range(2):
        pace.wait()
        pace.answered()
        pace.throttled(1)
        clock.now += 3
    began = clock.now
    for _ in range(5):
        pace.wait()
    assert clock.now - began > 1.5


def test_a_hook_keeps_to_its_quota_over_all_threads(connect: Connect, server: TableauServer) -> None:
    hook = connect(requests_per_minute=1200)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hook.call("GET", "flows"), range(12)))
    assert len(server.requests) == 14
    assert time.monotonic() - started >= 13 * 0.05


def test_parallel_tasks_with_their_shares_keep_to_the_quota_together(connect: Connect, server: TableauServer) -> None:
    """As eight tasks of a run do: none begins with a request for free."""
    hooks = [connect(requests_per_minute=1200 / 8) for _ in range(8)]
    hooks[0].version()
    server.requests.clear()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: hooks[number % 8].call("GET", "flows"), range(48)))
    times = [request.time.timestamp() for request in server.requests]
    assert len(times) >= 48
    most = max(sum(start <= time < start + 1 for time in times) for start in times)
    assert most <= 20 + 8  # each may have one under way that was let through at the end of the second before


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
    assert traffic.counts() == {"requests": 500, "sign_ins": 2, "throttled": 500}
