"""How fast one process may send: a quota it keeps to, and a rest for all its threads when Tableau says 429."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Lets requests through one at a time, no closer together than the quota allows.

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
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for this request's turn."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._interval
        if turn > now:
            self._sleep(turn - now)

    def rest(self, seconds: float) -> None:
        """Let nothing through for a while: one thread was throttled, so the others would be, too."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)
