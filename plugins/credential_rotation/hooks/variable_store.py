"""Keeps the sealed Tableau session in an Airflow Variable."""

from __future__ import annotations

from airflow.sdk import Variable

# "token" in the name makes Airflow's UI and logs mask the value, sealed though it is.
_PREFIX = "credential_rotation_session_token_"


class VariableStore:
    """One Variable per Airflow connection: the only place that all tasks can write to and that Airflow encrypts."""

    def __init__(self, conn_id: str) -> None:
        self._key = _PREFIX + conn_id

    def read(self) -> str | None:
        """The sealed session, or None."""
        text: str | None = Variable.get(self._key, default=None)
        return text

    def write(self, text: str) -> None:
        """Store the sealed session."""
        Variable.set(
            self._key,
            text,
            description="The Tableau session that running tasks share, sealed. Safe to delete at any time.",
        )

    def delete(self) -> None:
        """Forget the session."""
        Variable.delete(self._key)
