"""Plays steps against a small Airflow and a Tableau with two sites, and notes what the promises are judged by."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from credential_rotation import journal
from sandbox.tableau import Connection
from tests.credential_rotation.sequences.dying import Point, Process
from tests.credential_rotation.sequences.small_airflow import DagRun, SmallAirflow, State, TaskInstance
from tests.credential_rotation.sequences.steps import (
    FAILED,
    LATEST,
    ChangeToken,
    Clear,
    Incident,
    RePoint,
    Republish,
    Run,
    Step,
)
from tests.credential_rotation.sequences.two_sites import CREDENTIALS, ITEMS, TwoSites
from tests.credential_rotation.supervising import Supervisor


@dataclass
class Seen:
    """What a run went by.

    :param site: where the Airflow connection led when the run read it the last time
    :param tokens: the tokens when it made its plan the last time
    :param reported: whether its report task was green in this step
    :param reported_at: when that task was begun
    :param writes_before: how often each connection had been written to before the run
    """

    site: str = ""
    tokens: Mapping[str, str] = field(default_factory=dict)
    reported: bool = False
    reported_at: int = 0
    writes_before: Mapping[str, int] = field(default_factory=dict)


class Stage:
    """Runs, and the world around them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, supervisor: Supervisor, folder: Path) -> None:
        self._monkeypatch, self._folder = monkeypatch, folder
        self.sites = TwoSites(monkeypatch)
        self._process = Process(monkeypatch, supervisor, interrupt=self._interrupts, updated=self._note_update)
        self._airflow = SmallAirflow(monkeypatch, now=self.sites.now, process=self._work, killed=self._after_kill)
        self._time = itertools.count(1)
        self._incident: Incident | None = None
        self._struck: Incident | None = None
        self._updated_last = ITEMS[0]
        self._working: list[DagRun] = []
        self.seen: dict[DagRun, Seen] = {}
        # When a connection was changed: by a run, or by a person.
        self._changes: dict[Connection, list[tuple[int, DagRun | None]]] = defaultdict(list)
        monkeypatch.setenv("CREDENTIAL_ROTATION_SNOWFLAKE_CHECK", "off")
        # One request at a time: a sequence ends the same way each time it is played.
        monkeypatch.setenv("CREDENTIAL_ROTATION_REQUESTS_IN_FLIGHT", "1")
        self._report_to(folder / "reports")

    def __enter__(self) -> Self:
        self.sites.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sites.server.stop()
        shutil.rmtree(self._folder)

    @property
    def runs(self) -> list[DagRun]:
        return self._airflow.runs

    # -- steps --------------------------------------------------------------------------------------------------------

    def play(self, step: Step) -> None:
        """Let a step happen, and what follows from it."""
        self.sites.let_time_pass()
        self._process.start_counting()
        for seen in self.seen.values():
            seen.reported = False
        self._incident = step.incident if isinstance(step, Run | Clear) else None
        if isinstance(step, Run):
            self._monkeypatch.setattr(journal, "_SECONDS_BETWEEN_SAVES", 0.0 if step.saves_each else 60.0)
            conn_ids = [f"snowflake_{name}" for name in CREDENTIALS if step.only in (None, name)]
            self._work_on(
                self._airflow.trigger(
                    f"run_{len(self.runs) + 1}",
                    {
                        "snowflake_conn_ids": conn_ids,
                        "roll_back": step.roll_back,
                        "connections_per_task": step.connections_per_task,
                        "canary_proof": step.canary_proof,
                        "force": step.force,
                        "validate_on": step.validate_on and self.sites.id_of(step.validate_on),
                    },
                )
            )
        elif isinstance(step, Clear):
            earlier = 2 if step.earlier else 1
            if len(self.runs) >= earlier:
                run = self.runs[-earlier]
                self._clear(run, step)
                self._work_on(run)
        else:
            self._change(step)

        # What did not come to pass in this step does not come to pass at all.
        self._incident = None

    def _work_on(self, run: DagRun) -> None:
        self.seen.setdefault(run, Seen(writes_before=self.sites.writes()))
        self._airflow.work(run)

    def _clear(self, run: DagRun, step: Clear) -> None:
        if step.task_id == FAILED:
            bad = (State.FAILED, State.UPSTREAM_FAILED, State.SKIPPED)
            chosen = [each for each in run.instances if each.state in bad]
        else:
            chosen = [each for each in run.of(step.task_id) if step.index in (None, each.map_index)]
        self._airflow.clear(run, chosen, downstream=step.downstream)

    def _change(self, step: Step) -> None:
        if isinstance(step, Republish):
            now, item = next(self._time), self._updated_last if step.item == LATEST else step.item
            for connection in self.sites.republish(item, new_ids=step.new_ids, by_author=step.by_author):
                self._changes[connection].append((now, None))
        elif isinstance(step, ChangeToken):
            self.sites.change_token(step.credential)
        elif isinstance(step, RePoint):
            [other] = set(self.sites.sites) - {self.sites.pointed_to}
            self.sites.point_to(other)

    # -- processes ----------------------------------------------------------------------------------------------------

    def _work(self, run: DagRun, instance: TaskInstance, given: Mapping[str, Any], function: Callable[[], Any]) -> Any:
        if seen := self.seen.get(run):
            if instance.task_id == "discover":
                seen.site = self.sites.pointed_to
            if instance.task_id == "report":
                seen.reported_at = next(self._time)
            if instance.task_id == "filter_connections":
                seen.tokens = self.sites.current_tokens()
        self._working.append(run)
        try:
            result = self._process.run(instance.task_id, function)
        finally:
            self._working.pop()
        if seen:
            seen.reported |= instance.task_id == "report"
        return result

    def _note_update(self, connection_id: str) -> None:
        run, connection = self._working[-1], self.sites.connection(connection_id)
        self._updated_last = self.sites.item_of(connection)
        self._changes[connection].append((next(self._time), run))

    def _interrupts(self, task_id: str, point: Point, number: int) -> bool:
        incident = self._incident
        if incident is None or (incident.task_id, incident.point, incident.number) != (task_id, point, number):
            return False
        self._incident = None
        if incident.kills:
            self._struck = incident
            return True
        run = self._working[-1]
        # Between the update of an item and the look at it, moments later, nobody can tell (docs/proof.md).
        at_once = (LATEST, self._updated_last)
        self._happen(run, [each for each in incident.meanwhile if getattr(each, "item", None) not in at_once])
        self._airflow.work(run)
        if incident.ends:
            self._airflow.mark_failed(run)
        return False

    def _after_kill(self, run: DagRun) -> None:
        incident, self._struck = self._struck, None
        assert incident is not None
        self._happen(run, incident.meanwhile)
        if incident.ends:
            self._airflow.mark_failed(run)

    def _happen(self, run: DagRun, steps: Sequence[Step]) -> None:
        for step in steps:
            self.sites.let_time_pass()
            if isinstance(step, Clear):
                self._clear(run, step)
            else:
                self._change(step)
        self.sites.let_time_pass()

    # -- what is asked afterwards -------------------------------------------------------------------------------------

    def changed_by_others(self, connection: Connection, than: DagRun) -> int:
        """When a connection was last changed by somebody else than a run; 0 where nobody has."""
        return max((when for when, by in self._changes[connection] if by is not than), default=0)

    def told_of(self, run: DagRun) -> dict[str, str]:
        """What the report of a run says of each connection; nothing where there is none."""
        report = self._folder / "reports" / "rotate_snowflake_pat_in_tableau" / run.run_id / "report.json"
        rows = json.loads(report.read_text())["connections"] if report.exists() else []
        return {row["connection_id"]: row["outcome"] for row in rows}

    def said_to_hold(self) -> set[str]:
        """The ids of the connections that a run started now would leave alone: they hold the current token, it says.

        It is a dry run on a copy of the files, and so leaves no trace.
        """
        copy = self._folder / "copy"
        shutil.copytree(self._folder / "reports", copy)
        self._report_to(copy)
        conf = {"snowflake_conn_ids": [f"snowflake_{name}" for name in CREDENTIALS], "dry_run": True}
        run = self._airflow.trigger("look", conf)
        self._airflow.work(run)
        self.runs.remove(run)
        report = json.loads((copy / "rotate_snowflake_pat_in_tableau" / "look" / "report.json").read_text())
        self._report_to(self._folder / "reports")
        shutil.rmtree(copy)
        assert run.state is State.SUCCESS, f"a dry run fails: {report['problems']}"
        return {row["connection_id"] for row in report["connections"] if row["outcome"] == "unchanged"}

    def _report_to(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._monkeypatch.setenv("CREDENTIAL_ROTATION_REPORTS", f"file://{folder}")
