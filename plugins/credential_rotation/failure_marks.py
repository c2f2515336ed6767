"""How many connections stand as failed, over all parallel tasks of a run."""

from __future__ import annotations

import hashlib

from credential_rotation.rotation.budget import Failures
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import RunFolder

_FINAL, _PASSING = "final", "passing"


class FailureMarks:
    """One file for each connection that failed, so that a single listing tells every task how many there are."""

    def __init__(self, folder: RunFolder, plan_id: str) -> None:
        self._folder = folder
        self._place = f"work/{plan_id}/failed"

    def count(self) -> Failures:
        """The failures that stand now."""
        names = self._folder.names(self._place)
        return Failures(
            final=sum(name.endswith(_FINAL) for name in names), passing=sum(name.endswith(_PASSING) for name in names)
        )

    def update(self, before: ConnectionRecord | None, now: ConnectionRecord) -> None:
        """Let the marks say what has become of a connection."""
        old, new = _mark(before), _mark(now)
        if new and new != old:
            self._folder.write_text(f"{self._place}/{new}", now.title)
        if old and old != new:
            self._folder.remove(f"{self._place}/{old}")


def _mark(record: ConnectionRecord | None) -> str | None:
    if record is None or record.outcome is not Outcome.FAILED:
        return None
    kind = _PASSING if record.retriable else _FINAL
    return f"{hashlib.sha256(record.key.encode()).hexdigest()[:24]}.{kind}"
