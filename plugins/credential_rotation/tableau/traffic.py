"""Counts what a process asked of Tableau."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Traffic:
    """Requests sent (sign-ins among them), sign-ins, and answers that said 429. Safe to use from many threads."""

    requests: int = 0
    sign_ins: int = 0
    throttled: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def count(self, *, requests: int = 0, sign_ins: int = 0, throttled: int = 0) -> None:
        """Add to the counts."""
        with self._lock:
            self.requests += requests
            self.sign_ins += sign_ins
            self.throttled += throttled

    def as_dict(self) -> dict[str, int]:
        """The counts, for a report."""
        return {"requests": self.requests, "sign_ins": self.sign_ins, "throttled": self.throttled}
