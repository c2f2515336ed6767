"""Looks at the tokens of Snowflake users and rotates them, signed in as somebody who may.

Snowflake's provider and driver are imported where they are used: that takes seconds, and DAG files are parsed often.
https://docs.snowflake.com/en/sql-reference/sql/alter-user-rotate-programmatic-access-token
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from airflow.sdk.exceptions import AirflowException

from credential_rotation.hooks.snowflake import SnowflakeDriverMissing
from credential_rotation.renewal.identifiers import identifier
from credential_rotation.renewal.tokens import NewSecret, SecretLost, Token, UnexpectedAnswer, read_time, read_token
from credential_rotation.rotation.snowflake_words import (
    SnowflakeRefused,
    SnowflakeUnreachable,
    advice,
    refusal_in,
    without_noise,
)
from credential_rotation.secrecy import hide_in_logs

log = logging.getLogger(__name__)


class SnowflakeAdmin:
    """The tokens of users, by the statements of one session. Users are given as identifiers of SQL.

    :param session: a connection of Snowflake's driver; see :func:`signed_in_as_admin`
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def tokens(self, user: str) -> list[Token]:
        """The tokens of a user, those that expired lately among them.

        :raises SnowflakeRefused: the user is not there, or the administrator may not look
        """
        rows = self._rows(f"SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER {user}")
        return [read_token(row) for row in rows]

    def now(self) -> datetime:
        """What time it is for Snowflake, in UTC: its times of expiry are only to be compared with that."""
        [row] = self._rows("SELECT CURRENT_TIMESTAMP() AS NOW")
        return read_time(next(iter(row.values())), "Snowflake's clock").astimezone(UTC)

    def rotate(self, user: str, token: str, overlap_hours: int) -> NewSecret:
        """Rotate a token; its new secret, which Snowflake shows this once.

        Without ``IF EXISTS``: with that, Snowflake can succeed and hand out no secret.

        :param overlap_hours: for how long the previous secret continues to work
        :raises SecretLost: when Snowflake hands out none all the same
        """
        rows = self._rows(
            f"ALTER USER {user} ROTATE PROGRAMMATIC ACCESS TOKEN {identifier(token)} "
            f"EXPIRE_ROTATED_TOKEN_AFTER_HOURS = {int(overlap_hours)}"
        )
        values = {str(name).lower(): value for name, value in rows[0].items()} if rows else {}
        secret = values.get("token_secret")
        if not isinstance(secret, str) or not secret:
            raise SecretLost(f"Snowflake says that the token {token} of {user} is rotated, but gives no secret.")
        hide_in_logs(secret)
        former = values.get("rotated_token_name")
        return NewSecret(secret, str(former) if former else None)

    def remove(self, user: str, token: str) -> None:
        """Remove a token for good."""
        self._rows(f"ALTER USER {user} REMOVE PROGRAMMATIC ACCESS TOKEN {identifier(token)}")

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        from snowflake.connector import DictCursor, errors  # noqa: PLC0415 (slow)

        log.info("%s", sql)
        problem: Exception
        try:
            with self._session.cursor(DictCursor) as cursor:
                rows: list[dict[str, Any]] = cursor.execute(sql).fetchall()
                return rows
        except errors.InterfaceError:
            # Its text quotes the value that the driver could not read, which may be a secret that nobody knows yet.
            problem = UnexpectedAnswer(f"Snowflake's answer to {sql} can't be read by its driver.")
        except errors.Error as error:
            problem = _problem(error, sql)
        raise problem


@contextmanager
def signed_in_as_admin(admin_conn_id: str) -> Iterator[SnowflakeAdmin]:
    """A session of the administrator, signed in to afresh through the provider's hook, and ended afterwards.

    :param admin_conn_id: an Airflow connection of type ``snowflake`` with a key pair. A session that was opened with a
        token can't rotate tokens.
    :raises SnowflakeRefused: Snowflake lets the administrator not in
    :raises SnowflakeUnreachable: it could not be asked; a later try may help
    """
    try:
        from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook  # noqa: PLC0415 (slow)
        from snowflake.connector import errors  # noqa: PLC0415 (slow)
    except ImportError:
        raise SnowflakeDriverMissing(
            "Snowflake's driver can't be used: install apache-airflow-providers-snowflake 6.20 or newer."
        ) from None
    problem: Exception | None = None
    try:
        session = SnowflakeHook(admin_conn_id).get_conn()
    except errors.Error as error:
        problem = _problem(error, f"the sign-in of '{admin_conn_id}'")
    except (ValueError, TypeError, OSError, AirflowException):
        # The text may quote the key.
        problem = SnowflakeRefused(
            f"The Airflow connection '{admin_conn_id}' can't sign in: check extra 'private_key_content' (base64 of the "
            "PEM) or 'private_key_file', and the password, which is the key's passphrase."
        )
    if problem is not None:
        raise problem
    try:
        yield SnowflakeAdmin(session)
    finally:
        with suppress(Exception):
            session.close()


def _problem(error: Exception, what: str) -> Exception:
    from snowflake.connector import errors  # noqa: PLC0415 (slow)

    words, refusal = without_noise(str(error))[:1000], refusal_in(str(error))
    # 290000 and the status: what stands before Snowflake has answered in its place.
    is_outage = isinstance(error, errors.HttpError) and (error.errno or 0) % 1000 >= 500
    if refusal is None and (is_outage or isinstance(error, errors.OperationalError)):
        return SnowflakeUnreachable(f"Snowflake could not be asked for {what}: {words}")
    hint = f" {advice(refusal)}" if refusal else ""
    return SnowflakeRefused(f"Snowflake refuses {what}: {words}{hint}", refusal)
