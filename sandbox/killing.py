"""Which tasks run at this moment in an Airflow with a LocalExecutor, and an end to them by SIGKILL."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sandbox.local_airflow import LocalAirflow


class Way(StrEnum):
    """Which processes of a task get SIGKILL: Airflow looks after each task from another process, its worker."""

    BOTH = "worker and task"
    TASK = "task alone"
    WORKER = "worker alone"


@dataclass(frozen=True)
class RunningTask:
    """A worker of the LocalExecutor and the process below it in which its task runs."""

    worker: int
    task: int
    name: str

    @property
    def task_id(self) -> str:
        """The task's, without its map index."""
        return self.name.partition("[")[0]


class Killer:
    """Kills tasks, and remembers which."""

    def __init__(self, airflow: LocalAirflow) -> None:
        self.killed: list[str] = []
        self._airflow = airflow
        self._left_alone: list[RunningTask] = []

    def running(self) -> list[RunningTask]:
        """The tasks that run now."""
        return running_tasks(self._airflow)

    def kill(self, victim: RunningTask, way: Way) -> bool:
        """Kill a task, if it still runs; whether it did."""
        if not _still_runs(victim.task):
            return False
        # The worker first: it must not see its task die.
        pids = {Way.BOTH: [victim.worker, victim.task], Way.WORKER: [victim.worker], Way.TASK: [victim.task]}[way]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.killed.append(victim.name)
        if way is Way.WORKER:
            self._left_alone.append(victim)
        return True

    def orphans(self) -> list[str]:
        """What still runs of the tasks whose worker was killed."""
        alive = {pid for pid, _, title in _processes() if title.startswith("airflow worker -- ")}
        return [f"STILL RUNS: {each.name}" for each in self._left_alone if each.task in alive]


def running_tasks(airflow: LocalAirflow) -> list[RunningTask]:
    """The tasks that run now; an idle worker is not among them."""
    found = []
    processes = _processes()
    parents = {pid: parent for pid, parent, _ in processes}
    scheduler = airflow.pids.get("scheduler")
    for pid, parent, title in processes:
        if title.endswith("<defunct>"):  # over; its worker is about to say so
            continue
        if parents.get(parent) == scheduler and "LocalExecutor: " in _title(processes, parent):
            instance_id = _title(processes, parent).rpartition(" ")[2]
            found.append(RunningTask(parent, pid, _name_of(airflow.home / "airflow.db", instance_id)))
    return found


def _still_runs(pid: int) -> bool:
    looked = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True)  # noqa: S603, S607
    return bool(looked.stdout.strip()) and "Z" not in looked.stdout


def _title(processes: Sequence[tuple[int, int, str]], pid: int) -> str:
    return next(title for each, _, title in processes if each == pid)


def _processes() -> list[tuple[int, int, str]]:
    """Of all processes: id, parent's id, title."""
    listing = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], check=True, capture_output=True, text=True)  # noqa: S607
    rows = (line.split(maxsplit=2) for line in listing.stdout.splitlines())
    return [(int(row[0]), int(row[1]), row[2]) for row in rows if len(row) == 3]


def _name_of(database: Path, instance_id: str) -> str:
    """The task behind the id that a worker shows as its title."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        row = connection.execute(
            "SELECT task_id, map_index FROM task_instance WHERE replace(id, '-', '') = ?",
            [instance_id.replace("-", "")],
        ).fetchone()
    if row is None:
        return "a task"
    task_id, map_index = row
    return f"{task_id}[{map_index}]" if map_index >= 0 else str(task_id)
