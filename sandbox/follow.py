"""Show how a run goes on: a live table in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sandbox.airflow_api import Progress

GROUPS = {
    "success": "done",
    "skipped": "skipped",
    "removed": "skipped",
    "running": "running",
    "deferred": "running",
    "awaiting_input": "awaits approval",
    "restarting": "retrying",
    "up_for_retry": "retrying",
    "failed": "failed",
    "upstream_failed": "failed",
}
"""Airflow's states, in the words of somebody who watches; every other state is waiting."""

COLUMNS = {"done": "green", "running": "cyan", "retrying": "yellow", "failed": "red", "waiting": "dim"}
LINE_EVERY_SECONDS = 5.0


class Follow:
    """Is called with the progress of a run; a context manager, for the terminal has to be given back."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._order: list[str] = []
        self._said = ""
        self._said_at = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Show where the run stands now."""
        # Airflow lists tasks in no order that tells anything; they appear here as they begin.
        begun = {task.task_id for task in progress.tasks if task.state not in {None, "scheduled", "removed"}}
        self._order += sorted(begun.difference(self._order))
        if self._live:
            self._live.update(self._table(progress))
        else:
            self._line(progress)

    def _table(self, progress: Progress) -> Table:
        table = Table(title=f"{progress.run.dag_id}: {progress.run.state}, {progress.seconds:.0f} s")
        table.add_column("task", min_width=24)
        for column, style in COLUMNS.items():
            table.add_column(column, justify="right", style=style)
        table.add_column("tried again", justify="right", style="yellow")
        again = tried_again(progress)
        groups = grouped(progress)
        for task_id in [*self._order, *sorted(groups.keys() - set(self._order))]:
            counts = groups[task_id]
            others = ", ".join(f"{count} {name}" for name, count in counts.items() if name not in COLUMNS)
            cells = [str(counts[column] or "") for column in COLUMNS]
            table.add_row(f"{task_id} ({others})" if others else task_id, *cells, str(again[task_id] or ""))
        return table

    def _line(self, progress: Progress) -> None:
        parts = []
        again = tried_again(progress)
        groups = grouped(progress)
        for task_id in self._order:
            counts = groups.get(task_id, Counter())
            more = [f"{counts[name]} {name}" for name in ("running", "retrying", "failed") if counts[name]]
            more += [f"{again[task_id]} tried again"] if again[task_id] else []
            done = f"{task_id} {counts['done'] + counts['skipped']}/{counts.total()}"
            parts.append(f"{done} ({', '.join(more)})" if more else done)
        said = " · ".join(parts)
        now = time.monotonic()
        if said != self._said and (now - self._said_at >= LINE_EVERY_SECONDS or progress.run.finished):
            self._console.print(f"{progress.seconds:5.0f} s  {said}", soft_wrap=True)
            self._said, self._said_at = said, now


def grouped(progress: Progress) -> dict[str, Counter[str]]:
    """How many instances of each task are done, running, retrying, ..."""
    groups: dict[str, Counter[str]] = {}
    for task_id, states in progress.counts().items():
        groups[task_id] = Counter()
        for state, count in states.items():
            groups[task_id][GROUPS.get(state, "waiting")] += count
    return groups


def tried_again(progress: Progress) -> Counter[str]:
    """How many instances of each task needed more than one try."""
    return Counter(
        task.task_id for task in progress.tasks if task.try_number > 1 or GROUPS.get(task.state or "") == "retrying"
    )
