"""A stock Airflow with only DAGS_FOLDER and PLUGINS_FOLDER set, and runs of the DAG in it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from sandbox import stage
from sandbox.airflow_settings import connection_environment

REPOSITORY = Path(__file__).resolve().parents[2]
DAG_ID = "rotate_snowflake_pat_in_tableau"


@dataclass(frozen=True)
class Run:
    """A run of the DAG that is over."""

    run_id: str
    state: str
    seconds: float
    tasks: list[dict[str, Any]]
    folder: Path
    report: dict[str, Any] = field(repr=False)

    def states(self, task_id: str) -> list[str]:
        """The states of a task, by map index."""
        found = [task for task in self.tasks if task["task_id"] == task_id]
        return [task["state"] for task in sorted(found, key=lambda task: task["map_index"])]

    def labels(self, task_id: str) -> list[str | None]:
        """What the UI shows of each mapped task."""
        found = [task for task in self.tasks if task["task_id"] == task_id]
        return [task["label"] for task in sorted(found, key=lambda task: task["map_index"])]

    def rows(self, outcome: str | None = None) -> list[dict[str, Any]]:
        """The connections of the report."""
        return [row for row in self.report["connections"] if outcome in (None, row["outcome"])]

    @property
    def told(self) -> str:
        """What the report says went wrong."""
        return " ".join(self.report["problems"])


class AirflowUnderTest:
    """An AIRFLOW_HOME with a migrated database, and a process that runs the DAG there.

    :param settings: environment variables of this Airflow
    """

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self._settings = settings
        self.log = home / "runner.log"
        self._process: subprocess.Popen[str] | None = None
        self._results = -1

    def environment(self) -> dict[str, str]:
        """Nothing of this process's own Airflow or Python path, and no plain home folder."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "PYTHON"))}
        return kept | {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__FERNET_KEY": _FERNET_KEY,
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "NO_PROXY": "127.0.0.1",
            **stage.ENVIRONMENT,
            "DO_NOT_TRACK": "1",
            **self._settings,
        }

    def script(self, name: str, **environment: str) -> str:
        """What a script beside this file prints in this Airflow, run from a folder that is none of ours."""
        done = subprocess.run(  # noqa: S603
            [sys.executable, str(Path(__file__).with_name(name))],
            env=self.environment() | environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-5000:]
        return done.stdout

    def start(self) -> None:
        """Migrate the database and start the process."""
        airflow = [sys.executable, "-m", "airflow"]
        with self.log.open("wb") as log:
            subprocess.run(  # noqa: S603
                [*airflow, "db", "migrate"], env=self.environment(), cwd=self.home, stdout=log, stderr=log, check=True
            )
            self._results, theirs = os.pipe()
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, str(Path(__file__).with_name("dag_runner.py"))],
                env=self.environment() | {"RUNNER_RESULTS": str(theirs)},
                cwd=self.home,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[theirs],
                text=True,
            )
            os.close(theirs)

    def events(self, run: Run) -> list[dict[str, Any]]:
        """What a run emitted, as Airflow keeps it: the name of each asset, and the extra of its event."""
        with sqlite3.connect(self.home / "airflow.db") as database:
            found = database.execute(
                "SELECT asset.name, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_event.asset_id"
                " WHERE asset_event.source_run_id = ? ORDER BY asset_event.id",
                (run.run_id,),
            ).fetchall()
        return [{"asset": name, **json.loads(extra)} for name, extra in found]

    def forget_ledgers(self) -> None:
        """Let nothing be known of any Tableau: a new one may well have the port and the LUIDs of one before."""
        shutil.rmtree(self.home / "credential_rotation" / "ledger", ignore_errors=True)

    def forget_arrivals(self) -> None:
        """Let it not be known which tokens have arrived in Tableau."""
        shutil.rmtree(self.home / "credential_rotation" / "arrivals", ignore_errors=True)

    def forget_tokens(self) -> None:
        """Let nothing be kept of any Snowflake."""
        for name in ("renewals", "attempts", "arrivals", "fleet"):
            shutil.rmtree(self.home / "credential_rotation" / name, ignore_errors=True)
        with sqlite3.connect(self.home / "airflow.db") as database:
            database.execute("DELETE FROM variable WHERE key LIKE 'credential_rotation_token_of_%'")

    def encrypt_with_another_key(self) -> None:
        """As if this Airflow had got another Fernet key since the tokens were kept."""
        with sqlite3.connect(self.home / "airflow.db") as database:
            database.execute(
                "UPDATE variable SET val = ? WHERE key LIKE 'credential_rotation_token_of_%'",
                (Fernet(Fernet.generate_key()).encrypt(b"{}").decode(),),
            )

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            os.close(self._results)

    def run(
        self,
        conf: Mapping[str, Any],
        connections: Mapping[str, Mapping[str, object]],
        *,
        answer: str | None = None,
        environment: Mapping[str, str] | None = None,
        dag: str = DAG_ID,
    ) -> Run:
        """Run a DAG, with these Airflow connections and no others.

        :param environment: settings of this run alone
        :param answer: what a person says when the run asks, ``Approve`` or ``Reject``
        """
        assert self._process is not None
        assert self._process.stdin is not None
        asked = {
            "dag": dag,
            "conf": conf,
            "environment": connection_environment(connections) | dict(environment or {}),
            "answer": answer,
        }
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        with os.fdopen(os.dup(self._results)) as results:
            line = results.readline()
        if not line:
            raise AssertionError(f"the runner died: {self.log.read_text()[-5000:]}")
        result = json.loads(line)
        folder = self.home / "credential_rotation" / dag / result["run_id"]
        report = json.loads((folder / "report.json").read_text())
        return Run(**result, folder=folder, report=report)


_FERNET_KEY = Fernet.generate_key().decode()
