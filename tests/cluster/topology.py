"""The services of docker-compose.yaml as processes of this machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from sandbox import process_sessions
from sandbox.airflow_api import AirflowApi
from sandbox.local_airflow import free_port
from tests.cluster.backing import REDIS_HOST, REDIS_PORT, Database
from tests.cluster.compose import REPOSITORY, Service

CONTAINER_HOME = "/opt/airflow"
INIT, API_SERVER, WORKER, SANDBOX = "airflow-init", "airflow-apiserver", "airflow-worker", "sandbox-tableau"
RUNNING_ALREADY = {"postgres", "redis"}
IN_EVERY_CONTAINER = Path(__file__).with_name("in_every_container")


class ClusterError(Exception):
    """A service does not come up, or ends; the text has the end of its log."""


@dataclass(frozen=True)
class Container:
    """One of the containers of a service."""

    name: str
    """Its host name, too, as it is for what runs in it."""
    service: Service


class Cluster:
    """Everything that `docker compose up --scale airflow-worker=...` starts, except PostgreSQL and Redis.

    What a container sees under another name or path is replaced in its environment and its commands: `_translation`
    and `_environment` are all that differs.

    :param workers: how many containers the service of the worker has
    :param settings: environment of every container beyond what docker-compose.yaml says
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        home: Path,
        database: Database,
        redis_db: int,
        *,
        workers: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.services = {name: service for name, service in services.items() if name not in RUNNING_ALREADY}
        self.workers = tuple(f"{WORKER}-{number}" for number in range(1, workers + 1))
        self.database = database
        self.seconds: dict[str, float] = {}
        self._settings = dict(settings or {})
        self._redis_db = redis_db
        names = ("api", "scheduler health", *self.workers, "triggerer logs", "sandbox")
        self._ports = {name: free_port() for name in names}
        self.url = f"http://127.0.0.1:{self._ports['api']}"
        self.sandbox_port = self._ports["sandbox"]
        self._there_to_here = self._translation()
        # All in one go, so that nothing which was put in is taken for a name again.
        self._names = re.compile("|".join(re.escape(name) for name in (*self._there_to_here, CONTAINER_HOME)))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._guard: subprocess.Popen[str] | None = None
        admin = self.services[INIT].environment
        self.api = AirflowApi(
            self.url, admin["AIRFLOW_ADMIN_USERNAME"], admin["AIRFLOW_ADMIN_PASSWORD"], self.check_alive
        )

    def __enter__(self) -> Self:
        try:
            self._mount()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self, name: str) -> str:
        """All that a container has printed."""
        path = self._log_file(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def check_alive(self) -> None:
        """Raise when a container has ended by itself."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise self._error(name, f"ended with exit code {process.returncode}")

    def kill(self, name: str) -> None:
        """What a host does to a container when it loses its power: all of it is gone at once, and stays away."""
        process = self._processes.pop(name)
        process_sessions.kill([process.pid])
        process.wait()

    def stop(self, patience: float = 10) -> None:
        """End every process, gently for a while, and then not."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(process.poll() is None for process in self._processes.values()):
            time.sleep(0.2)
        process_sessions.kill([process.pid for process in self._processes.values()])
        for process in self._processes.values():
            process.wait()
        if self._guard:
            self._guard.communicate()
            self._guard = None

    # -- start -----------------------------------------------------------------------------------------------------

    def _mount(self) -> None:
        """Put the same folders where each container would have them; named volumes are there once, for all of them."""
        (self.home / "process-logs").mkdir(parents=True)
        init = Container(INIT, self.services[INIT])
        for container in (init, *self._containers()):
            own_home = self._home_of(container.name)
            own_home.mkdir(parents=True)
            for mount in container.service.mounts:
                target = Path(self._here(mount.target, container.name))
                source = Path(mount.source)
                if mount.is_named_volume:
                    source = self.home / target.relative_to(own_home)
                    source.mkdir(exist_ok=True)
                target.symlink_to(source, target_is_directory=True)

    def _start(self) -> None:
        began = time.monotonic()
        self._run_to_the_end(Container(INIT, self.services[INIT]), timeout=120)
        self.seconds["init"] = time.monotonic() - began
        waiting = self._containers()
        # As Compose does: whoever waits only for init starts now, the others when those they wait for are healthy.
        for container in waiting:
            if API_SERVER not in container.service.waits_for:
                self._launch(container)
        self._wait(API_SERVER, lambda: bool(self.api.health()), began + 150)
        self.seconds["api server"] = time.monotonic() - began
        for container in waiting:
            if container.name not in self._processes:
                self._launch(container)
        # The health checks of the file import Airflow each time, so a cheap question goes first.
        self._wait("airflow-dag-processor", self._all_report_healthy, began + 150)
        for container in waiting:
            if container.service.healthcheck:
                ready = partial(self._passes_healthcheck, container)
                self._wait(container.name, ready, began + 180)
        self.seconds["healthy"] = time.monotonic() - began

    def _containers(self) -> list[Container]:
        """Those that stay up."""
        names = {name: self.workers if name == WORKER else (name,) for name in self.services if name != INIT}
        return [Container(each, self.services[service]) for service, all_of_it in names.items() for each in all_of_it]

    def _all_report_healthy(self) -> bool:
        health = self.api.health()
        return all(
            health.get(part) == "healthy" for part in ("metadatabase", "scheduler", "dag_processor", "triggerer")
        )

    def _passes_healthcheck(self, container: Container) -> bool:
        kind, *words = (self._here(word, container.name) for word in container.service.healthcheck)
        command = ["sh", "-c", words[0]] if kind == "CMD-SHELL" else words
        done = subprocess.run(  # noqa: S603
            command,
            env=self._environment(container),
            cwd=self._home_of(container.name),
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode == 0

    def _launch(self, container: Container) -> None:
        process = self._processes[container.name] = self._popen(container)
        # Ends the session of each container even if this process is killed.
        self._guard = self._guard or process_sessions.start_guard()
        if self._guard.stdin:
            self._guard.stdin.write(f"{process.pid}\n")
            self._guard.stdin.flush()

    def _run_to_the_end(self, container: Container, timeout: float) -> None:
        name, process = container.name, self._popen(container)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process_sessions.kill([process.pid])
            raise self._error(name, f"is not done after {timeout:.0f} s") from None
        if code:
            raise self._error(name, f"ended with exit code {code}")

    def _popen(self, container: Container) -> subprocess.Popen[bytes]:
        name, service = container.name, container.service
        words = [self._here(word, name) for word in service.command]
        if service.name == SANDBOX:
            here = {"0.0.0.0": "127.0.0.1", "8850": str(self.sandbox_port)}  # noqa: S104 - it is replaced
            command = ["python", "-m", "sandbox", *(here.get(word, word) for word in words)]  # that image's entrypoint
        else:
            # The official image's: a program it knows by name, else a subcommand of `airflow`.
            command = words if words[0] in {"bash", "python"} else ["airflow", *words]
        if service.name == WORKER:
            command += ["--celery-hostname", f"celery@{name}"]  # what Celery makes of a container's host name by itself
        environment = self._environment(container)
        program = shutil.which(command[0], path=environment["PATH"])
        if program is None:
            raise ClusterError(f"{command[0]} is not installed; make test-cluster installs requirements-cluster.lock")
        with self._log_file(name).open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [program, *command[1:]],
                env=environment,
                cwd=REPOSITORY if service.name == SANDBOX else self._home_of(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait(self, name: str, ready: Callable[[], bool], deadline: float) -> None:
        while not ready():
            self.check_alive()
            if time.monotonic() > deadline:
                raise self._error(name, "is not healthy in time")
            time.sleep(0.5)

    def _error(self, name: str, what: str) -> ClusterError:
        tail = "\n".join(f"  {line}" for line in self.log(name).splitlines()[-40:])
        return ClusterError(f"{name} {what}; the end of its log:\n{tail}")

    def _log_file(self, name: str) -> Path:
        return self.home / "process-logs" / f"{name}.log"

    # -- from container to process ---------------------------------------------------------------------------------

    def _home_of(self, name: str) -> Path:
        return self.home / "containers" / name

    def _here(self, text: str, name: str) -> str:
        """What a name or path inside a container is on this machine."""
        there_to_here = self._there_to_here | {CONTAINER_HOME: str(self._home_of(name))}
        return self._names.sub(lambda match: there_to_here[match[0]], text)

    def _translation(self) -> dict[str, str]:
        database, ports = self.database, self._ports
        return {
            "airflow@postgres:5432/airflow": f"{database.name}@{database.host}:{database.port}/{database.name}",
            "redis:6379/0": f"{REDIS_HOST}:{REDIS_PORT}/{self._redis_db}",
            "airflow-apiserver:8080": f"127.0.0.1:{ports['api']}",
            "localhost:8080": f"127.0.0.1:{ports['api']}",
            "localhost:8974": f"127.0.0.1:{ports['scheduler health']}",
            "localhost:8850": f"127.0.0.1:{ports['sandbox']}",
        }

    def _environment(self, container: Container) -> dict[str, str]:
        from_the_image = {
            "AIRFLOW_HOME": str(self._home_of(container.name)),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # Airflow puts it in where a setting, a secret for one, has $HOME; its path is the same in all containers.
            "HOME": str(self.home),
            "HOSTNAME": container.name,
            "LANG": "C.UTF-8",
        }
        ours = {name: self._here(value, container.name) for name, value in container.service.environment.items()}
        sharing_one_machine = {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._ports["api"]),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self._ports["scheduler health"]),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self._ports["triggerer logs"]),
            # The kernel knows one host name only, and each container has its own.
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "own_hostname.own_hostname",
            "PYTHONPATH": os.pathsep.join(filter(None, (ours.get("PYTHONPATH"), str(IN_EVERY_CONTAINER)))),
            # Sixteen, the default, is too much for two cores that do everything; so are five seconds for an answer.
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
        }
        if container.name in self.workers:
            sharing_one_machine["AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT"] = str(self._ports[container.name])
        # The sandbox is on loopback; a proxy of this machine has no business there.
        return from_the_image | ours | self._settings | sharing_one_machine | {"NO_PROXY": "127.0.0.1,localhost"}
