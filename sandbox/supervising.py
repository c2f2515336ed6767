"""Waiting for the end of a run while processes of Airflow die: what a supervisor does for them."""

from __future__ import annotations

import time
from collections.abc import Callable

import requests

from sandbox import stage
from sandbox.airflow_api import AirflowError
from sandbox.local_airflow import LocalAirflow

# A worker that was killed is noticed by its missing heartbeats: minutes by default.
ENVIRONMENT = stage.ENVIRONMENT | {
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    # And what a scheduler leaves behind that was started again.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
}

RUN_TIMEOUT_SECONDS = 600
# No task changes its state for so long: longer than to miss a killed one and to wait for its next try.
STUCK_SECONDS = 150
SUPERVISED = ("scheduler", "api-server")


class Supervisor:
    """Starts a scheduler or an API server again that died or, in the scheduler's case, hangs.

    :param started: is told what was started again
    """

    def __init__(self, airflow: LocalAirflow, started: list[str]) -> None:
        self._airflow = airflow
        self._started = started
        self._moved = time.monotonic()
        self._states: list[tuple[str, int, str | None]] = []

    def wait(
        self, run_id: str, meanwhile: Callable[[], None] = lambda: None, timeout: float = RUN_TIMEOUT_SECONDS
    ) -> str:
        """Wait for the end of a run; its state.

        :param meanwhile: is called again and again
        """
        began = self._moved = time.monotonic()
        looked = 0.0
        while time.monotonic() - began < timeout:
            meanwhile()
            self._start_what_ended()
            if time.monotonic() - looked > 0.5:
                if state := self._look(run_id):
                    return state
                looked = time.monotonic()
            time.sleep(0.05)
        raise AirflowError(f"run {run_id} is not over after {timeout:.0f} s: {self._states}")

    def _look(self, run_id: str) -> str | None:
        """The state of the run, if it is over."""
        api = self._airflow.api
        try:
            run = api.dag_run(stage.DAG_ID, run_id)
            if run.finished:
                return run.state
            now = [(t.task_id, t.map_index, t.state) for t in api.task_instances(stage.DAG_ID, run_id)]
        except (AirflowError, requests.RequestException):
            return None  # the API server is being started again, say
        if now != self._states:
            self._states, self._moved = now, time.monotonic()
        if time.monotonic() - self._moved > STUCK_SECONDS:
            self._started.append("THE SCHEDULER did not move any more and was started again")
            self._airflow.kill_component("scheduler")
            self._start("scheduler")
        return None

    def _start_what_ended(self) -> None:
        for name in SUPERVISED:
            if name not in self._airflow.pids:
                self._started.append(f"THE {name.upper()} ended and was started again")
                self._start(name)

    def _start(self, name: str) -> None:
        self._airflow.start_component(name)
        self._moved = time.monotonic()
