"""How fast one process may send: a quota it keeps to, and less than that while Tableau says that it is too fast."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

# A 429 says that the limit is a little below what went through lately, and that by this much it is kept to.
_BACK_OFF = 0.95
_SLOWEST = 0.5  # requests in a second
# Many requests are under way when the first is refused; those of the same moment say nothing new.
_SAME_MOMENT = 1.0
# Over how many seconds it is counted what went through: the best counts, for tasks that share a limit are uneven, and
# one that has just begun was slow before.
_WINDOWS = (1.0, 4.0)
# A refusal of somebody who hardly asked says nothing of the limit; a second one soon after does.
_FEW = 4
_SOON = 10.0
# A task that has a small part of the limit counts one more in one second than in another.
_UNEVEN = 1.0
# Near the old limit it is felt for with care, since each 429 costs everybody a rest; later nothing is left of it.
_CAREFUL_GROWTH = 0.005  # a second
_CAREFUL_SECONDS = 6.0
_HURRY = 0.02  # a second squared


class Pace:
    """Lets requests through one at a time, no closer together than is allowed.

    Without a 429 only the quota counts. After one, what went through lately shows what Tableau allows: about that
    from then on, slowly more again, and quickly when that goes well for a while. Tasks in other
    processes that share the limit feel for their part of it in the same way.

    :param per_minute: the most requests in a minute, or None for no limit
    :param clock: seconds that only grow
    :param sleep: waits for a number of seconds
    """

    def __init__(
        self,
        per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._clock = clock
        self._sleep = sleep
        # Each task of a run has a pace of its own: were its first request free, many short tasks would break the quota.
        self._next = clock() + self._interval
        self._answered: deque[float] = deque()
        self._rate: float | None = None  # requests in a second when it was last slowed down; None: never
        self._slowed_at = 0.0
        self._refused_at: float | None = None
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for this request's turn."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + max(self._interval, self._learnt_interval(now))
        if turn > now:
            self._sleep(turn - now)

    def answered(self) -> None:
        """Tableau let a request through."""
        with self._lock:
            now = self._clock()
            self._answered.append(now)
            self._forget(now)

    def throttled(self, rest: float = 0.0) -> None:
        """Tableau refused a request for coming too fast. One thread was refused, so the others would be, too.

        :param rest: seconds for which nothing is to be let through
        """
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now + rest)
            if self._rate is not None and now - self._slowed_at < max(_SAME_MOMENT, rest):
                return
            self._forget(now)
            refused_before, self._refused_at = self._refused_at, now
            is_alone = refused_before is None or not _SAME_MOMENT <= now - refused_before <= _SOON + rest
            seen, known = self._seen(now), self._rate_at(now)
            if known is None and seen < _FEW and is_alone:
                return
            most = seen + _UNEVEN
            self._rate = max(_SLOWEST, _BACK_OFF * (most if known is None else min(most, known)))
            self._slowed_at = now + rest

    def _learnt_interval(self, now: float) -> float:
        rate = self._rate_at(now)
        return 1.0 / rate if rate else 0.0

    def _rate_at(self, now: float) -> float | None:
        if self._rate is None:
            return None
        elapsed = max(0.0, now - self._slowed_at)
        hurry = max(0.0, elapsed - _CAREFUL_SECONDS)
        return self._rate * (1 + _CAREFUL_GROWTH * elapsed + _HURRY * hurry**2)

    def _seen(self, now: float) -> float:
        """How many requests in a second went through lately."""
        return max(sum(now - each <= window for each in self._answered) / window for window in _WINDOWS)

    def _forget(self, now: float) -> None:
        while self._answered and now - self._answered[0] > max(_WINDOWS):
            self._answered.popleft()
