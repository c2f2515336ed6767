"""Lets the events of a plan happen, each at its moment."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

from sandbox.chaos.plan import Event, Planned
from sandbox.chaos.world import World
from sandbox.killing import Killer
from sandbox.local_airflow import LocalAirflow
from sandbox.stage import DAG_ID
from sandbox.tableau import TableauServer

CLEARED = ("discover", "filter_connections", "validate_one", "plan_updates", "update_connections")
COMPONENTS = {Event.SCHEDULER: "scheduler", Event.API_SERVER: "api-server"}


@dataclass
class _Pending:
    planned: Planned
    due: float | None = None  # known once Tableau has got its requests


class Disturber:
    """Is asked again and again while a run goes on, and does what is due."""

    def __init__(
        self, airflow: LocalAirflow, tableau: TableauServer, world: World, events: tuple[Planned, ...], run_id: str
    ) -> None:
        self.happened: list[str] = []
        self.killer = Killer(airflow)
        self.components_killed: list[str] = []
        self._airflow = airflow
        self._tableau = tableau
        self._world = world
        self._run_id = run_id
        self._pending = [_Pending(each) for each in events]

    @property
    def missed(self) -> list[str]:
        """What never came to happen: the run was over before its moment."""
        return [str(each.planned.event) for each in self._pending]

    def tick(self) -> None:
        """Do what is due; what can't be done yet stays due."""
        for each in list(self._pending):
            if not self._is_due(each):
                continue
            done = self._do(each.planned)
            if done is not None:
                self._pending.remove(each)
                self.happened.append(f"{each.planned.event} ({done})")

    def _is_due(self, pending: _Pending) -> bool:
        moment = pending.planned.moment
        if pending.due is None and self._tableau.requests.count(moment.operation) >= moment.count:
            pending.due = time.monotonic() + moment.seconds
        return pending.due is not None and time.monotonic() >= pending.due

    def _do(self, planned: Planned) -> str | None:
        random = Random(planned.seed)
        if planned.event is Event.KILL:
            return self._kill(planned, random)
        if name := COMPONENTS.get(planned.event):
            if name not in self._airflow.pids:
                return None
            self._airflow.kill_component(name)
            self.components_killed.append(name)
            return str(planned.moment)
        if planned.event is Event.CLEAR:
            return self._clear(random)
        if planned.event is Event.OUTAGE:
            return self._outage(random.uniform(0.5, 4.0))
        return self._world.do(planned.event, random)

    def _clear(self, random: Random) -> str | None:
        begun = {each.task_id for each in self._airflow.api.task_instances(DAG_ID, self._run_id) if each.state}
        if "api-server" not in self._airflow.pids or not begun & set(CLEARED):
            return None
        task_id, downstream = random.choice(sorted(begun & set(CLEARED))), random.random() < 0.5
        self._airflow.api.clear(DAG_ID, self._run_id, [task_id], downstream=downstream)
        return f"{task_id}{' and what follows' if downstream else ''}"

    def _outage(self, seconds: float) -> str:
        self._tableau.stop()
        time.sleep(seconds)
        self._tableau.start()
        return f"{seconds:.1f} s"

    def _kill(self, planned: Planned, random: Random) -> str | None:
        tasks = [each for each in self.killer.running() if planned.task_id in {None, each.task_id}]
        victims = tasks if planned.everyone or not tasks else [random.choice(tasks)]
        hit = [each.name for each in victims if self.killer.kill(each, planned.way)]
        return f"{planned.way} of {', '.join(hit)}" if hit else None
