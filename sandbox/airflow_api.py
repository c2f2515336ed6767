"""Airflow's public REST API, as much of it as the demo and the tests use."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

FINISHED = frozenset({"success", "failed"})
PAGE = 100  # `[api] maximum_page_limit`

# SQLite has one writer at a time; while many tasks report, a read may fail for it.
_PATIENCE = Retry(connect=0, read=2, status=3, backoff_factor=0.5, status_forcelist=(500, 503), raise_on_status=False)


class AirflowError(Exception):
    """The local Airflow does not do what was asked; the text says why, as far as Airflow does."""


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG."""

    dag_id: str
    run_id: str
    state: str
    conf: Mapping[str, object]

    @property
    def finished(self) -> bool:
        """Whether it is over, well or not."""
        return self.state in FINISHED


@dataclass(frozen=True)
class TaskInstance:
    """One task of a run, or one instance of a mapped one."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int
    label: str | None


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    run: DagRun
    tasks: tuple[TaskInstance, ...]
    seconds: float

    def counts(self) -> dict[str, Counter[str]]:
        """How many instances of each task are in which state."""
        counts: dict[str, Counter[str]] = {}
        for task in self.tasks:
            counts.setdefault(task.task_id, Counter())[task.state or "waiting"] += 1
        return counts


class AirflowApi:
    """A signed-in client; signs in again when its token has run out."""

    def __init__(self, url: str, username: str, password: str, check_alive: Callable[[], None] | None = None) -> None:
        self.url = url.rstrip("/")
        self._credentials = {"username": username, "password": password}
        self._check_alive = check_alive or (lambda: None)
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy of this machine has no business with loopback
        self._http.mount("http://", HTTPAdapter(max_retries=_PATIENCE))

    # -- the server ------------------------------------------------------------------------------------------------

    def health(self) -> dict[str, str | None]:
        """The state of each component; empty as long as the API server itself does not answer."""
        try:
            response = self._http.get(f"{self.url}/api/v2/monitor/health", timeout=10)
        except requests.RequestException:
            return {}
        return {name: part.get("status") for name, part in response.json().items()} if response.ok else {}

    def put_connection(self, conn_id: str, fields: Mapping[str, object]) -> None:
        """Create the connection, or replace it; `extra` may be a dict."""
        body = {"connection_id": conn_id, **fields}
        if isinstance(body.get("extra"), Mapping):
            body["extra"] = json.dumps(body["extra"])
        response = self._request("POST", "/connections", json=body, accept=(409,))
        if response.status_code == 409:
            self._request("PATCH", f"/connections/{conn_id}", json=body)

    def import_errors(self) -> dict[str, str]:
        """File name to traceback, for each DAG file that could not be read."""
        return {item["filename"]: item["stack_trace"] for item in self._pages("/importErrors", "import_errors")}

    def knows_dag(self, dag_id: str) -> bool:
        """Whether the DAG processor has read this DAG."""
        return self._request("GET", f"/dags/{dag_id}", accept=(404,)).status_code == 200

    def unpause(self, dag_id: str) -> None:
        """Let runs of this DAG begin."""
        self._request("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def page(self, path: str, **params: str) -> requests.Response:
        """What a plugin's page answers, whether it is an error or not; the path begins with the plugin's own."""
        if "Authorization" not in self._http.headers:
            self._sign_in()
        return self._http.get(f"{self.url}{path}", params=params, timeout=60)

    # -- runs ------------------------------------------------------------------------------------------------------

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None, run_id: str | None = None) -> str:
        """Start a run (of a DAG that is not paused) and tell its id."""
        body = {"logical_date": None, "conf": dict(conf or {}), "dag_run_id": run_id}
        return str(self._request("POST", f"/dags/{dag_id}/dagRuns", json=body).json()["dag_run_id"])

    def dag_run(self, dag_id: str, run_id: str) -> DagRun:
        """One run."""
        return _dag_run(self._request("GET", f"/dags/{dag_id}/dagRuns/{run_id}").json())

    def dag_runs(self, dag_id: str) -> list[DagRun]:
        """All runs of a DAG."""
        return [_dag_run(item) for item in self._pages(f"/dags/{dag_id}/dagRuns", "dag_runs")]

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """All task instances of a run, mapped ones each."""
        return [_task(item) for item in self._pages(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")]

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[TaskInstance]:
        """Every try of one instance, the oldest first."""
        mapped = f"/{map_index}" if map_index >= 0 else ""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}{mapped}/tries"
        tries = [_task(item) for item in self._request("GET", path).json()["task_instances"]]
        return sorted(tries, key=lambda task: task.try_number)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """The value; an error when there is none."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        params = {"map_index": map_index, "deserialize": True}
        return self._request("GET", path, params=params).json()["value"]

    def logs(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """The log of one try as lines of text."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        params = {"map_index": map_index, "full_content": True}
        content = self._request("GET", path, params=params).json()["content"]
        return "\n".join(_log_line(entry) for entry in content)

    def clear(
        self,
        dag_id: str,
        run_id: str,
        task_ids: list[str] | None = None,
        *,
        only_failed: bool = False,
        downstream: bool = True,
    ) -> list[TaskInstance]:
        """Let tasks of a run, and what comes after them, run again; all of them when none is named."""
        body: dict[str, object] = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": only_failed,
            "include_downstream": downstream,
            "reset_dag_runs": True,
        }
        if task_ids is not None:
            body["task_ids"] = task_ids
        response = self._request("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)
        return [_task(item) for item in response.json()["task_instances"]]

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """What a person does in the UI when a task waits for approval."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        self._request("PATCH", path, json={"chosen_options": [option], "params_input": {}})

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        on_progress: Callable[[Progress], None] | None = None,
        timeout: float = 300,
        poll: float = 1.0,
    ) -> Progress:
        """Wait until the run is over, well or not; an error when that takes too long or a component dies."""
        started = time.monotonic()
        while True:
            # The run first: when it says finished, the instances read after it are final.
            run = self.dag_run(dag_id, run_id)
            if on_progress or run.finished:
                tasks = tuple(self.task_instances(dag_id, run_id))
                progress = Progress(run, tasks, time.monotonic() - started)
                if on_progress:
                    on_progress(progress)
                if run.finished:
                    return progress
            self._check_alive()
            if time.monotonic() - started > timeout:
                raise AirflowError(self._why_not_finished(dag_id, run_id, timeout))
            time.sleep(poll)

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def _why_not_finished(self, dag_id: str, run_id: str, timeout: float) -> str:
        tasks = [task for task in self.task_instances(dag_id, run_id) if task.state not in {"success", "skipped"}]
        lines = [f"  {task.task_id}[{task.map_index}] {task.state} try {task.try_number}" for task in tasks[:20]]
        return "\n".join([f"{dag_id} run {run_id} is not over after {timeout:.0f} s; what is not done:", *lines])

    def _request(self, method: str, path: str, accept: tuple[int, ...] = (), **options: Any) -> requests.Response:
        response = self._send(method, path, **options)
        if response.status_code == 401:
            self._sign_in()
            response = self._send(method, path, **options)
        if not response.ok and response.status_code not in accept:
            raise AirflowError(f"{method} {path}: HTTP {response.status_code}: {_reason(response)}")
        return response

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self._http.request(method, f"{self.url}/api/v2{path}", timeout=60, **options)
        except requests.RequestException as error:
            self._check_alive()
            raise AirflowError(f"{method} {path}: no answer from {self.url} ({type(error).__name__})") from error

    def _sign_in(self) -> None:
        response = self._http.post(f"{self.url}/auth/token", json=self._credentials, timeout=60)
        if not response.ok:
            raise AirflowError(f"Airflow at {self.url} refuses the login: HTTP {response.status_code}")
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"

    def _pages(self, path: str, key: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = self._request("GET", path, params={"limit": PAGE, "offset": offset}).json()
            yield from answer[key]
            offset += PAGE
            if offset >= answer["total_entries"]:
                return


def _dag_run(item: Mapping[str, Any]) -> DagRun:
    return DagRun(item["dag_id"], item["dag_run_id"], item["state"], item.get("conf") or {})


def _task(item: Mapping[str, Any]) -> TaskInstance:
    return TaskInstance(
        item["task_id"], item["map_index"], item["state"], item["try_number"], item.get("rendered_map_index")
    )


def _log_line(entry: Mapping[str, Any] | str) -> str:
    if isinstance(entry, str):
        return entry
    known = ("timestamp", "level", "event")
    more = [f"{key}={value}" for key, value in entry.items() if key not in known]
    return " ".join(str(part) for part in (*(entry.get(key) for key in known), *more) if part)


def _reason(response: requests.Response) -> str:
    try:
        detail = response.json().get("detail", "")
    except (ValueError, AttributeError):
        detail = response.text
    if isinstance(detail, list):  # pydantic's: its `input` would echo the whole body
        detail = [{"loc": part.get("loc"), "msg": part.get("msg")} for part in detail if isinstance(part, dict)]
    return str(detail)[:500]
