"""The whole DAG on a real scheduler, from trigger to green."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import process_sessions, stage
from sandbox.airflow_api import AirflowError
from sandbox.bench.contenders import CREDENTIAL, Measured
from sandbox.bench.servers import Tableau
from sandbox.local_airflow import LocalAirflow
from sandbox.tableau import TABLEAU_PAT_NAME, TABLEAU_PAT_SECRET

_TIMEOUT_SECONDS = 3600
_SLOTS = 16  # Airflow's own default is 32
_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def started_airflow(home: Path, in_flight: int) -> Iterator[LocalAirflow]:
    """An Airflow for all runs of a benchmark."""
    env = stage.ENVIRONMENT | {"CREDENTIAL_ROTATION_REQUESTS_IN_FLIGHT": str(in_flight)}
    connections = {stage.snowflake_conn_id(CREDENTIAL): stage.snowflake_connection(CREDENTIAL)}
    with LocalAirflow(home, dag_ids=[stage.DAG_ID], connections=connections, env=env, parallelism=_SLOTS) as airflow:
        airflow.api.unpause(stage.DAG_ID)
        yield airflow


def run_dag(airflow: LocalAirflow, tableau: Tableau, **params: object) -> Measured:
    """Trigger a run and wait for it.

    :raises AirflowError: when it is not green
    """
    extra = {"site": tableau.site, "auth": "pat"}
    fields: dict[str, object] = {"conn_type": "tableau", "host": "127.0.0.1", "schema": "http", "port": tableau.port}
    fields |= {"login": TABLEAU_PAT_NAME, "password": TABLEAU_PAT_SECRET, "extra": extra}
    airflow.api.put_connection(stage.TABLEAU_CONN_ID, fields)
    processes = _Processes(airflow)
    run_id = f"bench_{tableau.site}_{time.time_ns()}"
    with processes.watched():
        began = time.monotonic()
        airflow.api.trigger(stage.DAG_ID, stage.conf([CREDENTIAL], **params), run_id)
        end = airflow.api.wait_for_run(stage.DAG_ID, run_id, timeout=_TIMEOUT_SECONDS, poll=0.5)
        seconds = time.monotonic() - began
    if end.run.state != "success":
        raise AirflowError(f"{run_id} is {end.run.state}")
    return Measured(tableau.holding(CREDENTIAL.new_secret), seconds, processes.cpu_seconds, processes.memory_mb)


class _Processes:
    """Looks from time to time at the processes of an Airflow."""

    def __init__(self, airflow: LocalAirflow) -> None:
        self._airflow = airflow
        self._over = threading.Event()
        self._cpu: dict[int, float] = {}
        self._cpu_before: dict[int, float] = {}
        self.memory_mb = 0.0

    @property
    def cpu_seconds(self) -> float:
        """What they took meanwhile; of those that came and went between two looks nothing is known."""
        return sum(cpu - self._cpu_before.get(pid, 0.0) for pid, cpu in self._cpu.items())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch them in a thread."""
        self._look()
        self._cpu_before = dict(self._cpu)
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self._look()

    def _look(self) -> None:
        for leader in self._airflow.pids.values():
            for pid in process_sessions.members(leader):
                try:
                    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                except (OSError, IndexError):
                    continue  # gone meanwhile
                self._cpu[pid] = (int(parts[11]) + int(parts[12])) / _TICKS
                self.memory_mb = max(self.memory_mb, resident * os.sysconf("SC_PAGE_SIZE") / 1e6)
