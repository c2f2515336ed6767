"""What a mapped task has done so far, kept in a file.

A retry does only the rest, and the report sees what a killed task had done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from credential_rotation.failure_marks import FailureMarks
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import RunFolder

_SECONDS_BETWEEN_SAVES = 2.0


class Journal:
    """The outcomes of one mapped task. Safe to use from many threads.

    :param batch: names the targets, so that a task that is given the same ones finds them
    :param marks: where failures are counted; None for those that count for nothing
    """

    def __init__(
        self,
        folder: RunFolder,
        plan_id: str,
        batch: str,
        targets: Sequence[ConnectionRecord],
        marks: FailureMarks | None = None,
    ) -> None:
        self._folder = folder
        self._name = f"{_place(plan_id)}/{batch}.json"
        self._marks = marks
        self._targets = targets
        self._lock = threading.Lock()
        self._saved_at = time.monotonic()
        ours = {target.key for target in targets}
        self._records = {record.key: record for record in _read(folder, self._name)[1] if record.key in ours}
        self._save()

    def left(self) -> list[ConnectionRecord]:
        """The targets that are not as they should be, with what is known from earlier tries.

        Those that failed for good are among them: a person who clears the task has changed something, perhaps.
        """
        latest = [self._records.get(target.key, target) for target in self._targets]
        return [record for record in latest if not record.is_well]

    def records(self) -> list[ConnectionRecord]:
        """The outcomes so far."""
        return list(self._records.values())

    def note(self, record: ConnectionRecord) -> None:
        """Keep an outcome; it reaches the file within seconds, or by :meth:`close`; a failure does so at once.

        A mark never stands without its failure in the file: after a kill, nobody would know to take it away.
        """
        with self._lock:
            before, failed = self._records.get(record.key), record.outcome is Outcome.FAILED
            self._records[record.key] = record
            # Of a single connection, each step counts: a killed task is to go on where it was.
            at_once = failed or len(self._targets) == 1
            if at_once:
                self._save()
            if self._marks:
                self._marks.update(before, record)
            if not at_once and time.monotonic() - self._saved_at >= _SECONDS_BETWEEN_SAVES:
                self._save()

    def close(self) -> None:
        """Write what is not written yet."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        self._folder.write(
            self._name,
            {
                "started": [target.key for target in self._targets],
                "records": [record.as_dict() for record in self._records.values()],
            },
        )


def read_journals(folder: RunFolder, plan_id: str) -> tuple[list[str], list[ConnectionRecord]]:
    """Of all mapped tasks: the keys of the targets that were started on, and the latest outcome of each."""
    started: list[str] = []
    latest: dict[str, ConnectionRecord] = {}
    for name in folder.names(_place(plan_id)):
        keys, outcomes = _read(folder, name)
        started += keys
        for record in outcomes:
            # The targets may have been dealt out anew: attempts are carried on, so more of them are later.
            if record.key not in latest or _lateness(record) > _lateness(latest[record.key]):
                latest[record.key] = record
    return started, list(latest.values())


def _place(plan_id: str) -> str:
    return f"work/{plan_id}/journals"


def _lateness(record: ConnectionRecord) -> tuple[int, bool]:
    return record.attempts, record.is_well


def _read(folder: RunFolder, name: str) -> tuple[list[str], list[ConnectionRecord]]:
    content = folder.read(name) or {}
    return content.get("started", []), [ConnectionRecord.from_dict(each) for each in content.get("records", [])]
