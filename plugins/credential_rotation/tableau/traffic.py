"""What a process asked of Tableau: how often, when, and what took longest."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from credential_rotation.tableau.content import Content

MOST_SLOW = 10


@dataclass(frozen=True)
class Slow:
    """Something that took its time: the reading of an item's connections, or the update of one of them."""

    what: str
    content_type: str
    content_name: str
    project: str
    seconds: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what another left, which may be of another version."""
        what, content_type, content_name, project = (
            str(values.get(name, "")) for name in ("what", "content_type", "content_name", "project")
        )
        return cls(what, content_type, content_name, project, float(values.get("seconds", 0)))


@dataclass
class Traffic:
    """Requests sent (sign-ins among them), sign-ins, and answers that said 429. Safe to use from many threads.

    :param by_second: of each second since 1970 the requests sent and the answers that said 429
    """

    requests: int = 0
    sign_ins: int = 0
    throttled: int = 0
    by_second: dict[int, list[int]] = field(default_factory=dict)
    # With a number each, since what took equally long is not to be compared by anything else.
    _slowest: list[tuple[float, int, Slow]] = field(default_factory=list, repr=False)
    _number: itertools.count[int] = field(default_factory=itertools.count, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def count(self, *, requests: int = 0, sign_ins: int = 0, throttled: int = 0) -> None:
        """Add to the counts."""
        now = int(time.time())
        with self._lock:
            self.requests += requests
            self.sign_ins += sign_ins
            self.throttled += throttled
            if requests or throttled:
                self._at(now, requests, throttled)

    def was_read(self, content: Content, seconds: float) -> None:
        """Remember how long the connections of an item took to read, if that is among the slowest."""
        with self._lock:
            if len(self._slowest) < MOST_SLOW or seconds > self._slowest[0][0]:
                self._remember(Slow("read", str(content.type), content.name, content.project, seconds))

    @property
    def slowest(self) -> list[Slow]:
        """What took longest to read, the slowest first."""
        return [slow for _, _, slow in sorted(self._slowest, reverse=True)]

    def counts(self) -> dict[str, int]:
        """The counts, for a report."""
        return {"requests": self.requests, "sign_ins": self.sign_ins, "throttled": self.throttled}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.counts(), "by_second": self.by_second, "slowest": [vars(slow) for slow in self.slowest]}

    def add(self, left: Mapping[str, Any]) -> None:
        """Add what another left as :meth:`as_dict`: all of it, or nothing when it is not understood.

        Earlier versions of this package left the counts alone.
        """
        requests, sign_ins, throttled = (int(left.get(name, 0)) for name in ("requests", "sign_ins", "throttled"))
        by_second = [(int(second), int(sent), int(late)) for second, (sent, late) in left.get("by_second", {}).items()]
        slowest = [Slow.from_dict(slow) for slow in left.get("slowest", [])]
        with self._lock:
            self.requests += requests
            self.sign_ins += sign_ins
            self.throttled += throttled
            for counted in by_second:
                self._at(*counted)
            for slow in slowest:
                self._remember(slow)

    def _at(self, second: int, requests: int, throttled: int) -> None:
        bucket = self.by_second.setdefault(second, [0, 0])
        bucket[0] += requests
        bucket[1] += throttled

    def _remember(self, slow: Slow) -> None:
        entry = (slow.seconds, next(self._number), slow)
        (heapq.heappush if len(self._slowest) < MOST_SLOW else heapq.heappushpop)(self._slowest, entry)
