"""What a task learns from Airflow: its run and params, the credentials, and the hook for Tableau."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from airflow.sdk import BaseHook, Connection, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException

from credential_rotation.dag_params import rotation_params
from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.ledgers import Ledgers
from credential_rotation.rotation import credentials
from credential_rotation.rotation.credentials import SnowflakeCredential, UnusableCredential
from credential_rotation.rotation.params import RotationParams
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.running_task import RunningTask
from credential_rotation.secrecy import hide_in_logs
from credential_rotation.tableau import settings as tableau_settings
from credential_rotation.tableau.errors import UnusableSetting
from credential_rotation.tableau.settings import Auth, TableauSettings
from credential_rotation.tableau.traffic import Traffic
from credential_rotation.token_stores.kept import TokenStore
from credential_rotation.triggering_events import NamedByEvents, named_by_events

log = logging.getLogger(__name__)


class ThisTask(RunningTask):
    """A task of the rotation."""

    def __init__(self) -> None:
        super().__init__()
        self.ledgers = Ledgers(self.settings.reports, self.instance.dag_id)
        self._traffic = Traffic()
        self._started = time.time_ns()

    @cached_property
    def params(self) -> RotationParams:
        """What the run was asked for.

        :raises UnusableParams: when that can't be done
        """
        if self.named_by_events.problem:
            log.warning(self.named_by_events.problem)
            if not self.named_by_events.followed:
                raise UnusableParams(self.named_by_events.problem)
        return RotationParams.parse(self._asked, self._dag_run.conf)

    @cached_property
    def named_by_events(self) -> NamedByEvents:
        """The Snowflake connections that asset events name, where that is what started the run."""
        return named_by_events(get_current_context(), self.settings.snowflake_conn_ids)

    @property
    def _asked(self) -> Mapping[str, Any]:
        named = self.named_by_events.all
        # A run that the renewal of tokens has started is about these, and not about whatever the form begins with.
        return {**self._params, "snowflake_conn_ids": named} if named else self._params

    @property
    def changed_params(self) -> dict[str, Any]:
        """What the run was asked for beyond the defaults, whatever is wrong with it.

        Only what the form has: anything may stand in what Airflow takes in silence, a secret, say.
        """
        defaults = {name: param.value for name, param in rotation_params(self.settings).items()}
        asked = self._asked
        return {name: asked[name] for name, usual in defaults.items() if asked.get(name, usual) != usual}

    @property
    def tableau_conn_ids(self) -> list[str]:
        """The Tableau connections of the run, whatever else is wrong with its params."""
        return [str(conn_id) for conn_id in self._params.get("tableau_conn_ids") or []]

    @property
    def snowflake_conn_ids(self) -> list[str]:
        """The Snowflake connections of the run, whatever else is wrong with its params."""
        return [str(conn_id) for conn_id in self._asked.get("snowflake_conn_ids") or []]

    @property
    def generation(self) -> str:
        """Tells a run that a person has started again, by clearing tasks, from what it was before."""
        return f"{self.started_at:%Y%m%dT%H%M%S}" if self.started_at else "0"

    def credential(self, conn_id: str) -> SnowflakeCredential:
        """A Snowflake credential as this run embeds it: in a roll-back, with the previous secret.

        :raises UnusableCredential: when the Airflow connection does not exist or can't serve as one
        """
        found = credential(conn_id, self.store)
        return found.reversed() if self.params.roll_back else found

    @contextmanager
    def tableau(self, conn_id: str, *, in_flight: int, sharers: int) -> Iterator[TableauHook]:
        """The hook for a Tableau site; what it asked of Tableau is left for the report, however the task ends.

        :raises UnusableParams: when there is no such Airflow connection

        :param sharers: how many tasks may run at the same time, and so share ``max_requests_per_minute``
        """
        if airflow_connection(conn_id) is None:
            raise UnusableParams(f"tableau_conn_ids: there is no Airflow connection '{conn_id}'.")
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

    def traffic(self) -> Traffic:
        """What all tasks of the run asked of Tableau, in all their tries; a file that can't be read is left out."""
        total = Traffic()
        for name in self.folder.names("work/traffic"):
            try:
                total.add(self.folder.read(name) or {})
            except Exception:  # another version may have left anything, and the report matters more
                log.warning("%s can't be read, and is not counted.", name, exc_info=True)
        return total

    def _leave(self, traffic: Traffic) -> None:
        # Added up, since a task may open several hooks, one after the other; by the start, since a try that waits for a
        # proof begins again.
        self._traffic.add(traffic.as_dict())
        name = f"{self.name}-{self.instance.try_number}-{self._started}"
        self.folder.write(f"work/traffic/{name}.json", self._traffic.as_dict())


def credential(conn_id: str, store: TokenStore) -> SnowflakeCredential:
    """A Snowflake credential: with the token that ``renew_snowflake_pat`` keeps, else with the Airflow connection's.

    :raises UnusableCredential: when the connection does not exist or can't serve as one
    """
    return credential_in(existing_connection(conn_id), store)


def existing_connection(conn_id: str) -> Connection:
    """The Airflow connection of a Snowflake credential.

    :raises UnusableCredential: when it does not exist
    """
    conn = airflow_connection(conn_id)
    if conn is None:
        raise UnusableCredential(f"snowflake_conn_ids: there is no Airflow connection '{conn_id}'.")
    return conn


def credential_in(conn: Connection, store: TokenStore) -> SnowflakeCredential:
    """The Snowflake credential that an Airflow connection stands for.

    The newest word counts: the renewed token that is kept, unless a person has written another password since.

    :raises UnusableCredential: when it can't serve as one
    """
    kept = store.read(conn.conn_id)
    renewed = kept.renewed(conn.password or "") if kept is not None else None
    found = credentials.from_airflow_connection(conn, token=renewed.secret if renewed else None)
    if renewed is not None and kept is not None:
        log.info("'%s': the token is the one that was renewed.", conn.conn_id)
        previous = kept.previous
        found = found.renewed(renewed.secret, previous.secret if previous and previous.works else None)
    elif kept is not None and kept.current.is_renewed and found.previous is None:
        # What a person has replaced is what Tableau still embeds.
        found = found.renewed(found.token, kept.current.secret)
    for secret in found.secrets:
        hide_in_logs(secret)
    return found


def check_connections(params: RotationParams, store: TokenStore) -> None:
    """Check every Airflow connection that the run names, all of them before anything is asked of Tableau.

    :raises UnusableParams: with every problem that was found
    """
    problems: list[str] = []
    sites: list[TableauSettings] = []
    for conn_id in params.tableau_conn_ids:
        conn = airflow_connection(conn_id)
        try:
            if conn is None:
                problems.append(f"tableau_conn_ids: there is no Airflow connection '{conn_id}'.")
            else:
                sites.append(tableau_settings.from_airflow_connection(conn))
        except UnusableSetting as problem:
            problems.append(str(problem))
    for conn_id in params.snowflake_conn_ids:
        try:
            found = credential(conn_id, store)
            if params.roll_back:
                found.reversed()
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


def airflow_connection(conn_id: str) -> Connection | None:
    """An Airflow connection; None where there is no such one."""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None
