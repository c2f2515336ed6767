"""Scripts of faults per operation: consumed in order by the requests that match, and seen to be consumed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.tableau.faults import Fault, fault_as_json

ANY_OPERATION = "*"


@dataclass(frozen=True)
class Consumed:
    """A fault that hit a request."""

    operation: str
    fault: Fault
    parameters: dict[str, str]


@dataclass
class Script:
    """Faults to be consumed in order by requests that match."""

    operation: str
    faults: list[Fault]
    where: dict[str, str]

    def matches(self, operation: str, parameters: Mapping[str, str]) -> bool:
        """Whether a request is meant."""
        return (
            bool(self.faults)
            and self.operation in {ANY_OPERATION, operation}
            and self.where.items() <= parameters.items()
        )


class Faults:
    """All scripts, and what has been consumed of them."""

    def __init__(self, known_operations: Callable[[], Iterable[str]]) -> None:
        self._known_operations = known_operations
        self._lock = threading.Lock()
        self._scripts: list[Script] = []
        self.consumed: list[Consumed] = []

    def script(
        self, operation: str, faults: Sequence[Fault] | Fault, where: Mapping[str, str] | None = None, times: int = 1
    ) -> None:
        """Let the next requests of an operation (`*`: any) meet these faults in order, the sequence `times` times.

        `where` narrows it to requests whose path says so: `content_type`, `content_id`, `connection_id`, `job_id`,
        `view_id`.
        """
        if operation != ANY_OPERATION and operation not in set(self._known_operations()):
            raise ValueError(
                f"unknown operation {operation!r}; known are {', '.join(sorted(self._known_operations()))}"
            )
        sequence = [faults] if isinstance(faults, Fault) else list(faults)
        with self._lock:
            self._scripts.append(Script(operation, sequence * times, dict(where or {})))

    def take(self, operation: str, parameters: Mapping[str, str]) -> Fault | None:
        """The fault that this request meets, now consumed."""
        with self._lock:
            for script in self._scripts:
                if script.matches(operation, parameters):
                    fault = script.faults.pop(0)
                    self.consumed.append(Consumed(operation, fault, dict(parameters)))
                    return fault
        return None

    def left(self) -> int:
        """How many scripted faults nothing has met yet."""
        with self._lock:
            return sum(len(script.faults) for script in self._scripts)

    def clear(self) -> None:
        """Forget all scripts and what was consumed."""
        with self._lock:
            self._scripts.clear()
            self.consumed.clear()

    def as_json(self) -> dict[str, Any]:
        """What is left and what was consumed."""
        with self._lock:
            return {
                "left": [
                    {"operation": script.operation, "where": script.where, **fault_as_json(fault)}
                    for script in self._scripts
                    for fault in script.faults
                ],
                "consumed": [
                    {"operation": each.operation, "request": each.parameters, **fault_as_json(each.fault)}
                    for each in self.consumed
                ],
            }
