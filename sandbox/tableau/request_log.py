"""The log of received requests, which tests count."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class LoggedRequest:
    """One request. `body` and `session` are kept for tests in the process and never leave through the control plane."""

    number: int
    time: datetime
    method: str
    path: str
    query: dict[str, str]
    operation: str | None
    parameters: dict[str, str]  # content_type, content_id, connection_id, job_id, view_id where the path has them
    status: int | None = None  # None: nothing was answered (reset, closed)
    code: str | None = None  # Tableau's error code
    fault: str | None = None
    unknown_query: list[str] = field(default_factory=list)
    seconds: float = 0.0
    session: str | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Without anything secret."""
        return {
            "number": self.number,
            "time": self.time.isoformat(),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "operation": self.operation,
            **self.parameters,
            "status": self.status,
            "code": self.code,
            "fault": self.fault,
            "unknown_query": self.unknown_query,
            "seconds": round(self.seconds, 4),
        }


class RequestLog:
    """All requests in the order of arrival; safe to read while more arrive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[LoggedRequest] = []
        self._in_flight = 0
        self.most_in_flight = 0

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self._entries)

    def start(self, entry: LoggedRequest) -> None:
        """Note a request that has arrived."""
        with self._lock:
            entry.number = len(self._entries) + 1
            self._entries.append(entry)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)

    def end(self) -> None:
        """Note that a request has been dealt with."""
        with self._lock:
            self._in_flight -= 1

    def all(
        self, operation: str | None = None, *, method: str | None = None, status: int | None = None, **parameters: str
    ) -> list[LoggedRequest]:
        """The requests with this operation, method, status and path parameters (`content_id=...`)."""
        with self._lock:
            entries = list(self._entries)
        return [
            entry
            for entry in entries
            if operation in {None, entry.operation}
            and method in {None, entry.method}
            and status in {None, entry.status}
            and parameters.items() <= entry.parameters.items()
        ]

    def count(
        self, operation: str | None = None, *, method: str | None = None, status: int | None = None, **parameters: str
    ) -> int:
        """How many `all` would give."""
        return len(self.all(operation, method=method, status=status, **parameters))

    def counts(self) -> dict[str, int]:
        """Requests by operation."""
        return dict(Counter(entry.operation or "unknown" for entry in self.all()))

    def clear(self) -> None:
        """Forget everything so far."""
        with self._lock:
            self._entries.clear()
            self.most_in_flight = self._in_flight
