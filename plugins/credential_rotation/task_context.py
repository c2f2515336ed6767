"""What a task learns from Airflow: its run and params, the credentials, and the hook for Tableau."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from airflow.sdk import BaseHook, Connection, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException

from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.rotation import credentials
from credential_rotation.rotation.credentials import SnowflakeCredential, UnusableCredential
from credential_rotation.rotation.params import RotationParams, UnusableParams
from credential_rotation.run_folder import RunFolder
from credential_rotation.secrets import hide_in_logs
from credential_rotation.settings import Settings
from credential_rotation.tableau import settings as tableau_settings
from credential_rotation.tableau.errors import UnusableSetting
from credential_rotation.tableau.settings import Auth, TableauSettings
from credential_rotation.tableau.traffic import Traffic

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ThisTask:
    """The task instance that is running."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    running_since: float
    params: RotationParams
    settings: Settings
    folder: RunFolder

    @property
    def run(self) -> str:
        """Names the run among all runs of all DAGs."""
        return f"{self.dag_id}/{self.run_id}"

    @contextmanager
    def tableau(self, conn_id: str, *, in_flight: int, sharers: int) -> Iterator[TableauHook]:
        """The hook for a Tableau site; what it asked of Tableau is left for the report, however the task ends.

        :param sharers: how many tasks may run at the same time, and so share ``max_requests_per_minute``
        """
        quota = self.params.max_requests_per_minute
        hook = TableauHook(
            conn_id,
            run=self.run,
            in_flight=in_flight,
            requests_per_minute=quota / sharers if quota else None,
        )
        try:
            yield hook
        finally:
            self._leave(hook.traffic)

    def _leave(self, traffic: Traffic) -> None:
        name = f"work/traffic/{self.task_id}-{self.map_index}-{self.try_number}.json"
        self.folder.write(name, traffic.as_dict())


def this_task() -> ThisTask:
    """Read the context of the running task.

    :raises UnusableParams: when the run was asked for something that can't be done
    """
    context = get_current_context()
    instance, run = context["ti"], context["dag_run"]
    started = run.start_date.timestamp() if run.start_date else time.time()
    return ThisTask(
        dag_id=instance.dag_id,
        run_id=instance.run_id,
        task_id=instance.task_id,
        map_index=instance.map_index if instance.map_index is not None else -1,
        try_number=instance.try_number,
        running_since=started,
        params=RotationParams.parse(context["params"], run.conf),
        settings=Settings.from_environment(),
        folder=RunFolder(instance.dag_id, instance.run_id),
    )


def credential(conn_id: str) -> SnowflakeCredential:
    """A Snowflake credential: that of the Airflow connection.

    :raises UnusableCredential: when the connection does not exist or can't serve as one
    """
    conn = _airflow_connection(conn_id)
    if conn is None:
        raise UnusableCredential(f"snowflake_conn_ids: there is no Airflow connection '{conn_id}'.")
    found = credentials.from_airflow_connection(conn)
    hide_in_logs(found.token)
    return found


def check_connections(params: RotationParams) -> None:
    """Check every Airflow connection that the run names, all of them before anything is asked of Tableau.

    :raises UnusableParams: with every problem that was found
    """
    problems: list[str] = []
    sites: list[TableauSettings] = []
    for conn_id in params.tableau_conn_ids:
        conn = _airflow_connection(conn_id)
        try:
            if conn is None:
                problems.append(f"tableau_conn_ids: there is no Airflow connection '{conn_id}'.")
            else:
                sites.append(tableau_settings.from_airflow_connection(conn))
        except UnusableSetting as problem:
            problems.append(str(problem))
    for conn_id in params.snowflake_conn_ids:
        try:
            credential(conn_id)
        except UnusableCredential as problem:
            problems.append(str(problem))
    problems += _sites_at_odds(sites)
    if problems:
        raise UnusableParams(" ".join(problems))


def _sites_at_odds(sites: Sequence[TableauSettings]) -> list[str]:
    problems = []
    for number, site in enumerate(sites):
        for other in sites[:number]:
            pair = f"The Airflow connections '{other.conn_id}' and '{site.conn_id}'"
            if other.site_key == site.site_key:
                problems.append(f"{pair} lead to the same Tableau site; leave one out of tableau_conn_ids.")
            elif site.auth is Auth.PAT and other.identity == site.identity:
                problems.append(
                    f"{pair} sign in to two sites with the same Tableau PAT, and each sign-in ends the session before "
                    "it. Give each site a Tableau PAT of its own, or run them one after the other."
                )
    return problems


def _airflow_connection(conn_id: str) -> Connection | None:
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None
