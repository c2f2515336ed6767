"""The Tableau that is measured against: in a process of its own, so that nobody's time is spent in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

TARGETS_EVERY = 3


@dataclass(frozen=True)
class Latencies:
    """How long Tableau takes, in milliseconds."""

    read: float = 200
    write: float = 400


@dataclass(frozen=True)
class Tableau:
    """A sandbox Tableau, asked through its control plane."""

    port: int
    site: str

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def requests_by_operation(self) -> dict[str, int]:
        """How many requests it has had since it was last asked."""
        counts = self._ask("GET", "requests", {"last": 0})["counts"]
        self._ask("DELETE", "requests")
        return dict(counts)

    def targets(self) -> int:
        """How many connections a rotation must find."""
        return len(self._ask("GET", "targets"))

    def holding(self, secret: str) -> int:
        """How many connections embed a secret."""
        contents = self._ask("GET", "state")["sites"][0]["contents"]
        return sum(connection["password"] == secret for item in contents for connection in item["connections"])

    def _ask(self, method: str, what: str, params: dict[str, Any] | None = None) -> Any:
        response = requests.request(method, f"{self.url}/_sandbox/{what}", params=params, timeout=120)
        response.raise_for_status()
        return response.json()


@contextmanager
def started_tableau(items: int, site: str, latencies: Latencies, rate_limit: float | None = None) -> Iterator[Tableau]:
    """A Tableau with so many plain items, a third of them targets."""
    arguments = ["--port", "0", "--site", site, "--large", str(items), "--targets-every", str(TARGETS_EVERY)]
    arguments += ["--read-latency-ms", str(latencies.read), "--write-latency-ms", str(latencies.write)]
    arguments += ["--rate-limit", str(rate_limit)] if rate_limit else []
    command = [sys.executable, "-m", "sandbox", "tableau", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            line = process.stdout.readline().strip() if process.stdout else ""
            if not line:
                raise RuntimeError(f"the sandbox Tableau did not start (exit code {process.wait()})")
            yield Tableau(int(line.rpartition(":")[2].rstrip("/")), site)
        finally:
            process.terminate()
