"""Signs in to Snowflake with a token, as a password.

Before anything is written with it, and where Tableau has no way to show that it connects.
"""

from __future__ import annotations

import logging
import threading

from credential_rotation.hooks.snowflake import sign_in_with_password
from credential_rotation.rotation.proof import Embedded
from credential_rotation.rotation.snowflake_words import SnowflakeRefused
from credential_rotation.secrecy import hide_in_logs
from credential_rotation.task_context import airflow_connection

log = logging.getLogger(__name__)


class SnowflakeCheck:
    """Signs in once for each secret, however many connections ask: a refusal is not asked for twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[Embedded, SnowflakeRefused | None] = {}

    def sign_in(self, embedded: Embedded) -> None:
        """Sign in to Snowflake with what is, or is to be, embedded in Tableau.

        :raises SnowflakeRefused: with Snowflake's own words
        :raises SnowflakeUnreachable: when Snowflake could not be asked
        """
        with self._lock:
            if embedded not in self._results:
                self._results[embedded] = self._ask(embedded)
            refused = self._results[embedded]
        if refused is not None:
            raise SnowflakeRefused(str(refused), refused.refusal)

    def _ask(self, embedded: Embedded) -> SnowflakeRefused | None:
        hide_in_logs(embedded.secret)
        conn = airflow_connection(embedded.conn_id)
        if conn is None:
            return SnowflakeRefused(f"There is no Airflow connection '{embedded.conn_id}' any more.")
        try:
            sign_in_with_password(conn, embedded.username, embedded.secret)
        except SnowflakeRefused as refused:
            return refused
        log.info("'%s': %s can sign in to Snowflake from here.", embedded.conn_id, embedded.username)
        return None
