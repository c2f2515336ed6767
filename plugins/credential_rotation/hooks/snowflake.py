"""Signs in to Snowflake with a secret, to see whether it works before Tableau gets it.

Snowflake's provider and driver are imported where they are used: that takes seconds, and DAG files are parsed often.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from airflow.sdk import Connection

from credential_rotation.rotation.snowflake_words import (
    SnowflakeRefused,
    SnowflakeUnreachable,
    advice,
    refusal_in,
    without_noise,
)
from credential_rotation.secrecy import Redactor, hide_in_logs

if TYPE_CHECKING:
    from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

log = logging.getLogger(__name__)

# What says where Snowflake is and as which role; nothing that says how to sign in, and no proxy.
_KEPT = ("account", "region", "host", "port", "role", "insecure_mode", "ocsp_fail_open")
_OLD_PREFIX = "extra__snowflake__"

_HOW = {
    # Tries are counted: an answer that got lost may have been a refusal, so the driver is not to ask again by itself.
    # (The driver starts no further try once these have passed.)
    "login_timeout": 0,
    "network_timeout": 0,
    # For connecting, which urllib3 tries twice, and for each piece of the answer.
    "socket_timeout": 15,
    # No looking around for which cloud this machine is in: up to 5 seconds.
    "platform_detection_timeout_seconds": 0.0,
}


class SnowflakeDriverMissing(Exception):
    """The provider or the driver is not installed, or too old."""


def sign_in_with_password(conn: Connection, login: str, secret: str) -> None:
    """Sign in once, as Tableau does: the secret in the password field; and out again.

    Account, address and role are the connection's; its authenticator, keys, tokens and proxies are left out. The driver
    itself minds HTTPS_PROXY and NO_PROXY, and nothing that one can hand it changes that.

    https://docs.snowflake.com/en/developer-guide/python-connector/python-connector-api#connect

    :raises SnowflakeRefused: it said no, or the connection can't work: never try again by yourself
    :raises SnowflakeUnreachable: it could not be asked, within about 30 seconds; a later try may help
    :raises SnowflakeDriverMissing: there is nothing to ask it with
    """
    hide_in_logs(secret)
    # The driver's errors know the secret. One that is raised while another is handled would keep it as its context.
    if problem := _problem(conn, login, secret):
        raise problem


def _problem(conn: Connection, login: str, secret: str) -> Exception | None:
    try:
        hook = _hook(_as_tableau(conn, login, secret))
    except ImportError:
        return SnowflakeDriverMissing(
            "Snowflake's driver can't be used: install apache-airflow-providers-snowflake 6.20 or newer."
        )
    before = sys.exception()
    try:
        session = hook.get_conn()
    except Exception as error:  # noqa: BLE001 - whatever the driver raises; `_judged` decides
        return _judged(error, before, login, Redactor([secret]))
    # It is signed in; what becomes of the session does not matter.
    with contextlib.suppress(Exception):
        session.close(retry=False)
    log.info("Snowflake let %s in.", login)
    return None


def _hook(conn: Connection) -> SnowflakeHook:
    import snowflake.connector  # noqa: PLC0415, F401 (slow; the hook itself imports it when it connects)
    from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook  # noqa: PLC0415 (slow)

    if not callable(getattr(SnowflakeHook, "_get_conn_params", None)):
        raise ImportError("older providers have a property in this method's place")  # noqa: TRY004 (what it means here)

    class Hook(SnowflakeHook):
        """The provider's, with a connection that is in no secrets backend, and options that it does not hand on."""

        @classmethod
        def get_connection(cls, conn_id: str) -> Connection:  # noqa: ARG003
            return conn

        def _get_conn_params(self) -> dict[str, Any]:
            return {**super()._get_conn_params(), **_HOW}

    return Hook(conn.conn_id)


def _as_tableau(conn: Connection, login: str, secret: str) -> Connection:
    given = conn.extra_dejson
    extra = {key: given[key] for key in (*_KEPT, *(_OLD_PREFIX + key for key in _KEPT)) if given.get(key) is not None}
    return Connection(
        conn_id=conn.conn_id, conn_type="snowflake", login=login, password=secret, extra=json.dumps(extra)
    )


def _judged(error: Exception, before: BaseException | None, login: str, redact: Redactor) -> Exception:
    # Shortened last: half a secret would not be found.
    said = redact(str(error))
    words = without_noise(said)[:1000] or type(error).__name__
    refusal = refusal_in(said)
    if refusal is None and _could_not_ask(error):
        # "Could not connect ... after 1 attempt(s).Aborting" keeps the reason to itself.
        cause = without_noise(redact(_first_words(error, before)))[:500]
        why = f" ({cause})" if cause and cause not in words else ""
        return SnowflakeUnreachable(f"Snowflake could not be asked whether it lets {login} in: {words}{why}")
    code = getattr(error, "errno", None)
    number = f" (code {code})" if code and code != -1 else ""
    hint = f" {advice(refusal)}" if refusal else ""
    return SnowflakeRefused(f"Snowflake does not let {login} in: {words}{number}{hint}", refusal)


def _first_words(error: BaseException, before: BaseException | None) -> str:
    """The words of what went wrong first, but after `before`, which the caller may be handling."""
    said = ""
    cause: BaseException | None = error
    while cause is not None and cause is not before:
        said = str(cause) or said
        cause = cause.__cause__ or cause.__context__
    return said


def _could_not_ask(error: Exception) -> bool:
    """Whether nobody who decides has answered. What the driver says otherwise counts as a no, known or not."""
    from snowflake.connector import errors  # noqa: PLC0415 (slow)

    if isinstance(error, errors.HttpError):
        return (error.errno or 0) % 1000 >= 500  # 290000 and the status
    # Snowflake's own no is a DatabaseError. What is no error of the driver's is its stumbling over an odd answer.
    return isinstance(error, errors.OperationalError) or not isinstance(error, errors.Error)
