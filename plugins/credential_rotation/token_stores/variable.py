"""Keeps tokens in Airflow Variables, which Airflow encrypts with its Fernet key."""

from __future__ import annotations

import json
from dataclasses import replace

from credential_rotation.secrecy import hide_in_logs
from credential_rotation.token_stores.kept import KeptToken, KeptTokens, StoreUnusable
from credential_rotation.variables import VariableTrouble, read_variable, write_variable

# "token" in the name makes Airflow's UI and logs mask the value.
_PREFIX = "credential_rotation_token_of_"


class VariableTokenStore:
    """One Variable per credential, so that each change of it is one write.

    :param fernet_key: Airflow's; without one, Airflow would keep the tokens as plain text
    :param is_logged: whether Airflow would write them into a log
    """

    def __init__(self, fernet_key: str, *, is_logged: bool = False) -> None:
        self._fernet_key = fernet_key
        self._is_logged = is_logged

    def read(self, conn_id: str) -> KeptTokens | None:
        """What is kept of a credential; None when nothing is.

        :raises StoreUnusable: when the Variable holds something else
        """
        try:
            text = read_variable(_PREFIX + conn_id)
        except VariableTrouble as problem:
            # Taken for "not there", the token of the Airflow connection would count, which is an old one.
            raise StoreUnusable(f"The Airflow Variable '{_PREFIX}{conn_id}' {problem}.") from None
        if text is None:
            return None
        hide_in_logs(text)
        try:
            values = json.loads(text)
            kept = {name: KeptToken.from_dict(values[name]) if values.get(name) else None for name in _NAMES}
        except (ValueError, TypeError, AttributeError):
            kept = {"current": None}
        if kept["current"] is None:
            raise StoreUnusable(
                f"The Airflow Variable '{_PREFIX}{conn_id}' holds something else than the tokens of '{conn_id}'. Put "
                "back what was there; deleted, the Airflow connection's password counts again."
            )
        for token in filter(None, kept.values()):
            hide_in_logs(token.secret)
        return KeptTokens(kept["current"], kept.get("previous"), kept.get("pending"))

    def adopt(self, conn_id: str, current: KeptToken) -> None:
        """Begin to keep a credential."""
        self._write(conn_id, KeptTokens(current))

    def keep_pending(self, conn_id: str, pending: KeptToken) -> None:
        """Keep a new token beside the current one."""
        self._write(conn_id, replace(self._of(conn_id), pending=pending))

    def promote(self, conn_id: str) -> None:
        """Make the pending token the current one."""
        kept = self._of(conn_id)
        if kept.pending is None:
            raise StoreUnusable(f"There is no pending token of '{conn_id}' that could become the current one.")
        self._write(conn_id, KeptTokens(kept.pending, previous=kept.current))

    def drop_pending(self, conn_id: str) -> None:
        """Forget the pending token."""
        self._write(conn_id, replace(self._of(conn_id), pending=None))

    def check(self, conn_id: str) -> None:
        """See that the Variable can be written, by writing what it holds."""
        self._write(conn_id, self._of(conn_id))

    def _of(self, conn_id: str) -> KeptTokens:
        kept = self.read(conn_id)
        if kept is None:
            raise StoreUnusable(f"Nothing is kept of '{conn_id}' any more; was its Airflow Variable deleted?")
        return kept

    def _write(self, conn_id: str, kept: KeptTokens) -> None:
        if not self._fernet_key:
            raise StoreUnusable(
                "This Airflow has no Fernet key, so it would keep tokens as plain text: set [core] fernet_key "
                "(AIRFLOW__CORE__FERNET_KEY), the same everywhere."
            )
        if self._is_logged:
            raise StoreUnusable(
                "While [logging] logging_level is DEBUG, Airflow writes each Variable that a task sets into the log of "
                "its worker, as plain text: set it to INFO, or namespace_levels to 'supervisor=INFO', or keep tokens "
                "in AWS Secrets Manager. Nothing was kept."
            )
        tokens = {"current": kept.current, "previous": kept.previous, "pending": kept.pending}
        text = json.dumps({name: token.as_dict() for name, token in tokens.items() if token is not None})
        hide_in_logs(text)
        why = "Renewed Snowflake tokens. Deleted, the password of the Airflow connection counts again."
        try:
            write_variable(_PREFIX + conn_id, text, why)
        except VariableTrouble as problem:
            raise StoreUnusable(f"The Airflow Variable '{_PREFIX}{conn_id}' {problem}.") from None
        if self.read(conn_id) != kept:
            raise StoreUnusable(
                f"The Airflow Variable '{_PREFIX}{conn_id}' was written, and reads differently: is there another of "
                "that name in the environment or in a secrets backend?"
            )


_NAMES = ("current", "previous", "pending")
