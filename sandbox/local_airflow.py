"""A real Airflow on this machine: SQLite, LocalExecutor, each component a process of its own that can be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from sandbox import airflow_home, process_sessions
from sandbox.airflow_api import AirflowApi, AirflowError
from sandbox.airflow_home import ADMIN
from sandbox.airflow_settings import environment

REPOSITORY = Path(__file__).resolve().parent.parent

COMMANDS: dict[str, list[str]] = {
    "api-server": ["api-server"],
    # Logs are read from the disk here; nobody needs the log server, whose port is fixed.
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
"""What Airflow consists of: the name of each component, which is also that of its log file, and its command."""

HEALTH_NAMES = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


class LocalAirflow:
    """An Airflow in a folder.

    :param home: AIRFLOW_HOME. Keys and the admin password are kept in it, so a second start finds the same Airflow.
    :param fresh: begin with an empty database and no logs.
    :param dag_ids: what must be known before it counts as ready.
    :param connections: made through the REST API, so Airflow encrypts them and keeps them in its database.
    :param further_dags_folders: more DAG bundles, by name.
    :param env: further variables for all components.
    :param port: the API server's; a free one if it isn't given.
    :param triggerer: leave it out where nothing defers.
    :param parallelism: how many tasks at once.
    :param say: is told what goes on.
    """

    def __init__(
        self,
        home: Path,
        *,
        fresh: bool = True,
        dag_ids: Sequence[str] = (),
        connections: Mapping[str, Mapping[str, object]] | None = None,
        dags_folder: Path = REPOSITORY / "dags",
        plugins_folder: Path = REPOSITORY / "plugins",
        further_dags_folders: Mapping[str, Path] | None = None,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        triggerer: bool = True,
        parallelism: int | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = home.resolve()
        self.logs_folder = self.home / "logs"
        self.port = port or free_port()
        self.startup_seconds: dict[str, float] = {}
        self._fresh = fresh
        self._dag_ids = tuple(dag_ids)
        self._connections = dict(connections or {})
        self._folders = {"dags_folder": dags_folder.resolve(), "plugins_folder": plugins_folder.resolve()}
        self._further_dags_folders = {name: path.resolve() for name, path in (further_dags_folders or {}).items()}
        self._further_env = dict(env or {})
        self._components = [name for name in COMMANDS if triggerer or name != "triggerer"]
        self._parallelism = parallelism or max(4, 2 * (os.cpu_count() or 2))
        self._say = say
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._guard: subprocess.Popen[str] | None = None
        self._lock: IO[str] | None = None
        self._env: dict[str, str] = {}
        self._api: AirflowApi | None = None
        self.admin_password = ""

    @property
    def url(self) -> str:
        """Where UI and API are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def username(self) -> str:
        """Who signs in; the password is `admin_password`."""
        return ADMIN

    @property
    def api(self) -> AirflowApi:
        """The REST API, signed in as the administrator."""
        if self._api is None:
            raise AirflowError("this Airflow is not started")
        return self._api

    @property
    def pids(self) -> dict[str, int]:
        """The main process of each component that runs; also the id of its session."""
        return {name: process.pid for name, process in self._processes.items() if process.poll() is None}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # -- start and stop --------------------------------------------------------------------------------------------

    def start(self, timeout: float = 180) -> None:
        """Start everything and wait until it is healthy, knows its DAGs and has its connections."""
        began = time.monotonic()
        self._take_home()
        try:
            self._migrate()
            self.startup_seconds["database"] = time.monotonic() - began
            self._guard = process_sessions.start_guard()
            for name in self._components:
                self.start_component(name)
            self._wait("healthy", self._missing_health, began + timeout)
            self.startup_seconds["healthy"] = time.monotonic() - began
            for conn_id, fields in self._connections.items():
                self.api.put_connection(conn_id, fields)
            self.wait_for_dags(self._dag_ids, began + timeout - time.monotonic())
        except BaseException:
            self.stop()
            raise
        self.startup_seconds["ready"] = time.monotonic() - began
        self._say(f"Airflow is ready at {self.url} after {self.startup_seconds['ready']:.0f} s")

    def start_component(self, name: str) -> None:
        """Start one component, again if it was killed; does not wait until it is ready."""
        self._launch(name, COMMANDS[name], self._env)

    def start_api_server_below(self, path: str) -> str:
        """Start one more API server, whose addresses begin with this path, and wait for it; its URL."""
        port = free_port()
        url = f"http://127.0.0.1:{port}{path}"
        below = {"AIRFLOW__API__PORT": str(port), "AIRFLOW__API__BASE_URL": url}
        self._launch("api-server-below", COMMANDS["api-server"], self._env | below)
        api = AirflowApi(url, ADMIN, self.admin_password, self.check_alive)
        self._wait("there", lambda: None if api.health() else "api-server-below", time.monotonic() + 90)
        return url

    def _launch(self, name: str, command: list[str], env: Mapping[str, str]) -> None:
        with self.log_file(name).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603
                [*_AIRFLOW, *command],
                env=env,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes[name] = process
        if self._guard and self._guard.stdin:
            self._guard.stdin.write(f"{process.pid}\n")
            self._guard.stdin.flush()

    def kill_component(self, name: str) -> None:
        """SIGKILL one component and all that it has started, as a crash of its host would."""
        process = self._processes.pop(name)
        process_sessions.kill([process.pid])
        process.wait()

    def stop(self, patience: float = 10) -> None:
        """End every process, gently for a while, and then not."""
        processes, self._processes, self._api = list(self._processes.values()), {}, None
        try:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + patience
            for process in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
        finally:  # a second Ctrl-C comes here, too
            process_sessions.kill([process.pid for process in processes])
            for process in processes:
                process.wait()
            if self._guard:
                self._guard.communicate()
                self._guard = None
            if self._lock:
                self._lock.close()
                self._lock = None

    # -- readiness -------------------------------------------------------------------------------------------------

    def wait_for_dags(self, dag_ids: Sequence[str], timeout: float = 60) -> None:
        """Wait until the DAG processor has read these; an import error ends the waiting."""
        for dag_id in dag_ids:
            self._wait(f"aware of {dag_id}", partial(self._missing_dag, dag_id), time.monotonic() + timeout)

    def check_alive(self) -> None:
        """Raise when a component has ended by itself, with the end of its log."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise AirflowError(f"{name} ended with exit code {process.returncode}\n{self.log_tail(name)}")

    def log_file(self, name: str) -> Path:
        """What this component prints."""
        return self.logs_folder / f"{name}.log"

    def log_tail(self, name: str, lines: int = 25) -> str:
        """The end of that, for an error message."""
        path = self.log_file(name)
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join([f"the end of {path}:", *(f"  {line}" for line in text.splitlines()[-lines:])])

    def _missing_health(self) -> str | None:
        health = self.api.health()
        if not health:
            return "api-server"
        return next((name for name in self._components[1:] if health.get(HEALTH_NAMES[name]) != "healthy"), None)

    def _missing_dag(self, dag_id: str) -> str | None:
        if self.api.knows_dag(dag_id):
            return None
        errors = self.api.import_errors()
        if errors:
            texts = [f"{name}:\n{trace}" for name, trace in errors.items()]
            raise AirflowError("\n".join(["Airflow cannot read these DAG files:", *texts]))
        return "dag-processor"

    def _wait(self, what: str, missing: Callable[[], str | None], deadline: float) -> None:
        while (component := missing()) is not None:
            self.check_alive()
            if time.monotonic() > deadline:
                raise AirflowError(f"Airflow is not {what} in time because of {component}\n{self.log_tail(component)}")
            time.sleep(0.25)

    # -- the folder ------------------------------------------------------------------------------------------------

    def _take_home(self) -> None:
        self._lock = airflow_home.claim(self.home)
        if self._fresh:
            airflow_home.empty(self.home)
        self.logs_folder.mkdir(exist_ok=True)
        keys = airflow_home.load_or_make_keys(self.home)
        self.admin_password = keys.admin_password
        self._env = environment(
            self.home,
            self.port,
            keys,
            **self._folders,
            further_dags_folders=self._further_dags_folders,
            parallelism=self._parallelism,
        )
        self._env |= self._further_env
        self._api = AirflowApi(self.url, ADMIN, keys.admin_password, self.check_alive)

    def _migrate(self) -> None:
        with self.log_file("db-migrate").open("wb") as log:
            done = subprocess.run(  # noqa: S603
                [*_AIRFLOW, "db", "migrate"],
                env=self._env,
                cwd=self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise AirflowError(f"airflow db migrate failed\n{self.log_tail('db-migrate')}")


_AIRFLOW = [sys.executable, "-P", "-m", "airflow"]  # -P: the current folder is not on the path


def free_port(preferred: int = 0) -> int:
    """A port of the loopback interface that nobody listens on; the preferred one if it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
