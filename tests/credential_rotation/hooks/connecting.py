"""Builds Airflow connections to the sandbox, and hooks that use them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tableau import (
    ADMIN_PASSWORD,
    ADMIN_USER,
    APP_CLIENT_ID,
    APP_SECRET_ID,
    APP_SECRET_VALUE,
    TABLEAU_PAT_NAME,
    TABLEAU_PAT_SECRET,
    TableauServer,
)
from tests.credential_rotation.hooks.session_stores import MemoryStore

if TYPE_CHECKING:
    from credential_rotation.hooks.tableau import TableauHook
    from credential_rotation.tableau.session_sharing import SessionStore

CONN_ID = "tableau_default"

SIGN_INS: dict[str, dict[str, Any]] = {
    "password": {"login": ADMIN_USER, "password": ADMIN_PASSWORD, "extra": {}},
    "pat": {"login": TABLEAU_PAT_NAME, "password": TABLEAU_PAT_SECRET, "extra": {"auth": "pat"}},
    "jwt": {
        "login": ADMIN_USER,
        "password": APP_SECRET_VALUE,
        "extra": {"auth": "jwt", "client_id": APP_CLIENT_ID, "secret_id": APP_SECRET_ID},
    },
}


def airflow_connection(url: str, auth: str = "password", **changes: Any) -> dict[str, Any]:
    """What AIRFLOW_CONN_... holds; changes are fields of the connection, or else of its extra."""
    fields = {"conn_type": "tableau", "host": url, **SIGN_INS[auth]}
    fields["extra"] = {"site": "acme", "timeout": 5, **fields["extra"]}
    for name, value in changes.items():
        (fields if name in ("host", "schema", "port", "login", "password") else fields["extra"])[name] = value
    return fields


class Connect:
    """`connect()` is a hook on the sandbox; `connect(auth="pat", timeout=1)` changes the Airflow connection first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, server: TableauServer, store: MemoryStore) -> None:
        self._monkeypatch = monkeypatch
        self._server = server
        self._store = store

    def __call__(
        self,
        auth: str = "password",
        *,
        run: str = "",
        in_flight: int = 16,
        requests_per_minute: float | None = None,
        store: SessionStore | None = None,
        **changes: Any,
    ) -> TableauHook:
        from credential_rotation.hooks.tableau import TableauHook  # noqa: PLC0415 (imports Airflow)

        fields = airflow_connection(self._server.url, auth, **changes)
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(fields))
        return TableauHook(
            CONN_ID,
            run=run,
            in_flight=in_flight,
            requests_per_minute=requests_per_minute,
            session_store=store or self._store,
        )
