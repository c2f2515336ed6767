"""Whole runs of the renewal without an Airflow: its tasks one after the other, against the sandbox's Snowflake.

Snowflake is asked in this process, and not through its driver: thousands of runs take seconds. What the driver and a
real Airflow make of it is for other tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Connection, RetryAction
from airflow.sdk.exceptions import AirflowSkipException

from credential_rotation import renew_tasks, renewal_context, running_task, task_context
from credential_rotation.fingerprint import Fingerprints
from credential_rotation.renewal.tokens import NewSecret, Token
from credential_rotation.renewals import Arrival, Renewals
from credential_rotation.retry_policy import RotationRetryPolicy
from credential_rotation.settings import Settings
from sandbox.snowflake import SnowflakeState
from tests.credential_rotation.renewal.in_this_process import InThisProcess, sign_in
from tests.credential_rotation.renewal.renewing import Killed, Stepped, Steps
from tests.credential_rotation.token_keeping import MemoryTokenStore
from tests.sandbox_snowflake.small_account import ACCOUNT, SERVICE, TOKEN, service_of

CONN_ID = "snowflake_pat"
ADDRESS = f"{ACCOUNT}.snowflakecomputing.com"
PARAMS: dict[str, Any] = {
    "snowflake_conn_ids": [CONN_ID],
    "admin_conn_id": "snowflake_admin",
    "renew_before_days": 11,
    "overlap_hours": 72,
    "dry_run": False,
    "force": False,
    "remove_rotated": False,
}


class _Failing:
    """The administration, of which a request fails where a test says so."""

    def __init__(self, of: InThisProcess, runs: Runs) -> None:
        self._of, self._runs = of, runs
        self.now = of.now

    def tokens(self, user: str) -> list[Token]:
        self._runs.fail_if_asked_to()
        return self._of.tokens(user)

    def rotate(self, user: str, token: str, overlap_hours: int) -> NewSecret:
        self._runs.fail_if_asked_to()
        return self._of.rotate(user, token, overlap_hours)


@dataclass(frozen=True)
class Result:
    """What a run came to.

    :param report: what ``report.json`` says; None when no report could be written
    :param emitted: the extra of the asset's event; None when there was none
    :param said: why tasks failed
    """

    run_id: str
    report: dict[str, Any] | None
    emitted: dict[str, Any] | None
    said: str
    red: bool

    @property
    def readable(self) -> str:
        """All that a person can read of it."""
        return f"{self.said} {json.dumps(self.report)}"

    @property
    def users(self) -> dict[str, dict[str, Any]]:
        assert self.report is not None
        return {user["snowflake_conn_id"]: user for user in self.report["users"]}


@dataclass
class Runs:
    """One Snowflake user, its Airflow connection, and a Tableau that embeds its secret."""

    state: SnowflakeState
    reports: str
    monkeypatch: pytest.MonkeyPatch
    store: MemoryTokenStore = field(default_factory=MemoryTokenStore)
    fingerprints: Fingerprints = field(default_factory=lambda: Fingerprints(b"a key"))
    steps: Steps = field(default_factory=Steps)
    settings: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    recover: Callable[[], object] = lambda: None
    next_request: Exception | None = None
    number: int = 0
    worker_is_off: float = 0.0

    def __post_init__(self) -> None:
        self.embedded = self.in_force
        self.hold(CONN_ID, self.embedded)
        self.hold("snowflake_admin", None, login="ADMIN")
        self._context: dict[str, Any] = {}
        set_ = self.monkeypatch.setattr
        for module in (running_task, renew_tasks, task_context):
            set_(module, "get_current_context", lambda: self._context)
        for module in (task_context, renew_tasks, renewal_context):
            set_(module, "airflow_connection", self.connections.get)
        set_(running_task, "chosen_store", lambda _: self._stepped_store())
        set_(running_task, "fingerprints", lambda: self.fingerprints)
        set_(Settings, "from_environment", classmethod(lambda cls: _settings(cls, self)))
        set_(renewal_context, "signed_in_as_admin", self.signed_in)
        set_(renewal_context, "sign_in_with_password", self._sign_in)
        set_("credential_rotation.renewal.step._KEEPING_WAIT", 0.0)
        set_(renewal_context, "_this_worker_s_clock", self._worker_clock)

    # -- what the world holds -----------------------------------------------------------------------------------------

    @property
    def in_force(self) -> str:
        """The secret in force."""
        token = service_of(self.state).token(TOKEN)
        assert token is not None
        return token.secret

    @property
    def tableau_works(self) -> bool:
        """Whether Tableau connects with what it embeds."""
        return self.state.sign_in(address=ADDRESS, user=SERVICE, secret=self.embedded, client="tableau").ok

    @property
    def days_left(self) -> float:
        """How long what Tableau embeds still lives."""
        found = [token for token in service_of(self.state).tokens if token.secret == self.embedded]
        return (found[0].expires_at - self.state.clock.now()) / timedelta(days=1) if found else 0.0

    def hold(self, conn_id: str, password: str | None, **changes: Any) -> None:
        """Let Airflow hold a connection with this password."""
        extra = json.dumps({"account": ACCOUNT, **self.extra, **changes.pop("extra", {})})
        fields = {"login": SERVICE, "password": password, "extra": extra} | changes
        self.connections[conn_id] = Connection(conn_id=conn_id, conn_type="snowflake", **fields)

    def rotate_in_tableau(self) -> None:
        """The rotation: all of Tableau embeds what counts now."""
        credential = task_context.credential(CONN_ID, self.store)
        self.embedded = credential.token
        arrival = Arrival(self.fingerprints.of(credential.token), ["tableau_default"])
        Renewals(self.reports).arrived(CONN_ID, arrival)

    # -- runs ---------------------------------------------------------------------------------------------------------

    def run(self, steps: Steps | None = None, *, retries: int = 0, follows: bool = True, **params: Any) -> Result:
        """A run of all tasks; with its steps, of the first try of each task.

        :param retries: how often a task is tried again, where the retry policy lets it
        :param follows: whether the rotation follows where it is told to
        """
        self.number += 1
        run_id, asked = f"run_{self.number}", PARAMS | params
        self._xcoms: dict[str, Any] = {}
        said: list[str] = []
        self.steps = steps or Steps()

        def task(task_id: str, act: Callable[[], Any], map_index: int = -1) -> Any:
            for try_number in range(1, retries + 2):
                tries = {"try_number": try_number, "max_tries": retries}
                self._context = self._made(asked, run_id=run_id, task_id=task_id, map_index=map_index, **tries)
                try:
                    result = self.steps.around(task_id, act)()
                except AirflowSkipException:
                    return None
                except (Exception, Killed) as problem:  # noqa: BLE001 (as Airflow does)
                    said.append(str(problem))
                    self.steps = Steps()
                    if try_number > retries or not _is_tried_again(problem, try_number, retries):
                        return _FAILED
                    self.recover()
                else:
                    self._xcoms[task_id] = result
                    return result
            return _FAILED

        checked = task("check_params", renew_tasks.check_params)
        due = task("look", renew_tasks.look) if checked is not _FAILED else _FAILED
        for index, conn_id in enumerate(due if due is not _FAILED else []):
            task("renew", lambda conn_id=conn_id: renew_tasks.renew(conn_id), index)
        emitted = task("publish", renew_tasks.publish)
        emitted = None if emitted is _FAILED else emitted
        if emitted and follows and self.tableau_is_up:
            self.rotate_in_tableau()
        reported = task("report", renew_tasks.report)
        path = Path(self.reports.removeprefix("file://")) / "renew_snowflake_pat" / run_id / "report.json"
        report = json.loads(path.read_text()) if path.exists() else None
        return Result(run_id, report, emitted, " ".join(said), reported is _FAILED)

    tableau_is_up = True

    def _made(self, params: dict[str, Any], **of_the_task: Any) -> dict[str, Any]:
        instance = SimpleNamespace(
            dag_id="renew_snowflake_pat",
            xcom_pull=lambda task_ids: self._xcoms.get(task_ids),  # noqa: PLW0108 (its name matters)
            xcom_push=lambda key, value: None,
            **of_the_task,
        )
        dag_run = SimpleNamespace(conf={}, start_date=datetime.now(UTC))
        return {"ti": instance, "dag_run": dag_run, "params": params}

    def _stepped_store(self) -> Any:
        return Stepped(self.store, self.steps, "adopt", "check", "keep_pending", "promote", "drop_pending")

    @contextmanager
    def signed_in(self, admin_conn_id: str) -> Iterator[Any]:
        act = self.steps.around("admin", lambda: InThisProcess(self.state))
        yield Stepped(_Failing(act(), self), self.steps, "tokens", "rotate")

    def _sign_in(self, conn: Connection, login: str, secret: str) -> None:
        def ask() -> None:
            self.fail_if_asked_to()
            sign_in(self.state, login, secret)

        self.steps.around("sign_in", ask)()

    def fail_if_asked_to(self) -> None:
        """Fail the next request to Snowflake."""
        problem, self.next_request = self.next_request, None
        if problem is not None:
            raise problem

    def _worker_clock(self) -> datetime:
        """The worker's clock follows Snowflake's, but for what it is off."""
        return self.state.clock.now() + timedelta(hours=self.worker_is_off)


_FAILED = object()


def _is_tried_again(problem: BaseException, try_number: int, retries: int) -> bool:
    """Whether Airflow would: it knows a killed task by itself."""
    decision = RotationRetryPolicy().evaluate(problem, try_number, retries)
    return isinstance(problem, Killed) or decision.action is not RetryAction.FAIL


def _settings(cls: type[Settings], runs: Runs) -> Settings:
    environment = {"CREDENTIAL_ROTATION_REPORTS": runs.reports} | runs.settings
    return _REAL(environment)


_REAL = Settings.from_environment
