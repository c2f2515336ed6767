"""What a mapped task has done so far, kept in a file.

A retry does only the rest, and the report sees what a killed task had done: a target is named in the file before it is
written to, so one without an outcome *may hold the token*.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from credential_rotation.failure_marks import FailureMarks
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord, may_hold_the_token, with_their_items
from credential_rotation.run_folder import RunFolder

_SECONDS_BETWEEN_SAVES = 2.0
# So many targets are named at a time: a file for each write would cost more than the write.
_NAMED_AHEAD = 32


class Journal:
    """The outcomes of one mapped task. Safe to use from many threads.

    :param batch: names the task's targets, so that a task that is given the same ones finds them
    :param targets: those whose turn it is
    :param marks: where failures are counted; None for those that count for nothing
    :param generation: when the run was started, or started again since a person cleared tasks of it
    """

    def __init__(
        self,
        folder: RunFolder,
        plan_id: str,
        batch: str,
        targets: Sequence[ConnectionRecord],
        marks: FailureMarks | None = None,
        *,
        generation: str = "",
    ) -> None:
        self._folder = folder
        self._name = _name(plan_id, batch)
        self._marks = marks
        self._targets = targets
        self._generation = generation
        self._lock = threading.Lock()
        self._saved_at = time.monotonic()
        before = _read(folder, self._name)
        self._records = {record.key: record for record in before.records}
        # What an earlier try was at when it was killed.
        self._unknown = before.begun
        self._begun: set[str] = set(self._unknown)
        self._named: set[str] = set(self._unknown)
        goes_on = not before.is_finished and before.generation == generation
        # In the file, too: a try that is killed must not make a person clear the task twice.
        self._anew = (
            before.anew if goes_on else {each.key for each in self._latest() if not each.can_go_on and not each.is_well}
        )
        self._is_finished = False
        self._save()
        if marks and goes_on:
            marks.make_good(record for record in self._records.values() if record.key not in self._anew)

    def begin(self, target: ConnectionRecord) -> None:
        """Name a target in the file, before it is written to for the first time in this try."""
        with self._lock:
            self._begun.add(target.key)
            if target.key not in self._named:
                keys = [each.key for each in self._targets]
                at = keys.index(target.key)
                self._named |= set(keys[at : at + _NAMED_AHEAD]) - self._records.keys() | {target.key}
                self._save()

    def left(self) -> list[ConnectionRecord]:
        """The targets that there is something to do with, with what is known from earlier tries.

        A task that goes on, after a wait or a kill, leaves alone what has failed for good: another try would be refused
        as well. A person who clears a task that was finished has changed something, perhaps, so all is tried then.
        """
        latest = self._latest()
        return with_their_items([each for each in latest if each.can_go_on or each.key in self._anew], latest)

    def records(self) -> list[ConnectionRecord]:
        """The outcomes so far, those of targets whose turn it was before among them."""
        return list(self._records.values())

    def note(self, record: ConnectionRecord) -> None:
        """Keep an outcome; it reaches the file within seconds, or by :meth:`close`; a failure does so at once.

        A mark never stands without its failure in the file: after a kill, nobody would know to take it away.
        """
        with self._lock:
            before, failed = self._records.get(record.key), record.outcome is Outcome.FAILED
            self._records[record.key] = record
            self._anew.discard(record.key)
            for keys in (self._begun, self._named, self._unknown):
                keys.discard(record.key)
            # Of a single connection and of a canary, each step counts: a killed task is to go on where it was.
            at_once = failed or record.canary or len(self._targets) == 1
            if at_once:
                self._save()
            if self._marks:
                self._marks.update(before, record)
            if not at_once and time.monotonic() - self._saved_at >= _SECONDS_BETWEEN_SAVES:
                self._save()

    def close(self) -> None:
        """Write what is not written yet. What was named ahead and not begun is as it was."""
        with self._lock:
            self._named = set(self._begun)
            self._save()

    def finish(self) -> None:
        """The task has come to its end, good or bad: whoever runs it again wants all of it that is not well."""
        with self._lock:
            self._is_finished = True
            self._named = set(self._begun)
            self._save()

    def _latest(self) -> list[ConnectionRecord]:
        latest = [self._records.get(target.key, target) for target in self._targets]
        return [may_hold_the_token(each) if each.key in self._unknown else each for each in latest]

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        self._folder.write(
            self._name,
            {
                "generation": self._generation,
                "finished": self._is_finished,
                "anew": sorted(self._anew),
                "begun": sorted(self._named),
                "records": [record.as_dict() for record in self._records.values()],
            },
        )


def read_journal(folder: RunFolder, plan_id: str, batch: str) -> list[ConnectionRecord]:
    """The outcomes of one mapped task."""
    return _read(folder, _name(plan_id, batch)).records


def read_journals(folder: RunFolder, plan_id: str) -> tuple[list[str], list[ConnectionRecord]]:
    """Of all mapped tasks: the keys of targets that may have been written to, and the latest outcome of each.

    A target that has no outcome, or one from before its latest update, may hold the token.
    """
    begun: set[str] = set()
    latest: dict[str, ConnectionRecord] = {}
    for name in folder.names(_place(plan_id)):
        journal = _read(folder, name)
        begun |= journal.begun
        for record in journal.records:
            # The targets may have been dealt out anew: attempts are carried on, so more of them are later.
            if record.key not in latest or _lateness(record) > _lateness(latest[record.key]):
                latest[record.key] = record
    records = [may_hold_the_token(each) if each.key in begun else each for each in latest.values()]
    return sorted(begun | latest.keys()), records


def _place(plan_id: str) -> str:
    return f"work/{plan_id}/journals"


def _name(plan_id: str, batch: str) -> str:
    return f"{_place(plan_id)}/{batch}.json"


def _lateness(record: ConnectionRecord) -> tuple[int, bool, bool]:
    return record.attempts, record.outcome is not None, record.is_well


@dataclass(frozen=True)
class _Kept:
    """What is in a journal's file.

    :param begun: the keys of targets that may have been written to since they have a record, if they have one
    :param anew: the keys of what is to be tried again though it failed for good
    """

    begun: set[str]
    records: list[ConnectionRecord]
    generation: str
    is_finished: bool
    anew: set[str]


def _read(folder: RunFolder, name: str) -> _Kept:
    content = folder.read(name) or {}
    records = [ConnectionRecord.from_dict(each) for each in content.get("records", [])]
    return _Kept(
        begun=set(content.get("begun", [])),
        records=records,
        generation=content.get("generation", ""),
        is_finished=content.get("finished", not content),  # where there is none, nothing goes on
        anew=set(content.get("anew", [])),
    )
