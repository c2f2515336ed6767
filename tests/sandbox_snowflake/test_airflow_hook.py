"""The stock SnowflakeHook of Airflow, with nothing but a connection and the environment, drives the sandbox."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook
from snowflake.connector.errors import DatabaseError

from sandbox.snowflake import SnowflakeServer, SnowflakeState
from tests.sandbox_snowflake.small_account import ACCOUNT, ADMIN_ROLE, KEYS, ROLE, ROTATOR, SERVICE, TOKEN, token_of


def hook(
    server: SnowflakeServer, monkeypatch: pytest.MonkeyPatch, login: str, password: str | None = None, **extra: object
) -> SnowflakeHook:
    connection = {
        "conn_type": "snowflake",
        "login": login,
        "password": password,
        "extra": {"account": ACCOUNT, "host": "127.0.0.1", "port": server.port, **extra},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_UNDER_TEST", json.dumps(connection))
    return SnowflakeHook("snowflake_under_test")


def test_it_rotates_by_key_pair_and_signs_in_with_the_new_token(
    server: SnowflakeServer, snowflake_state: SnowflakeState, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = base64.b64encode(KEYS.private.encode()).decode()
    admin = hook(server, monkeypatch, ROTATOR, private_key_content=key, role=ADMIN_ROLE)
    rotated = admin.get_first(f"ALTER USER {SERVICE} ROTATE PAT {TOKEN}")
    assert rotated[1] == token_of(snowflake_state).secret
    shown = admin.get_records(f"SHOW USER PATS FOR USER {SERVICE}")
    assert [row[0] for row in shown] == [TOKEN, rotated[2]]
    statements = [entry.operation for entry in server.requests]
    assert {"login", "rotate_token", "show_tokens", "logout"} <= set(statements)
    assert "unknown_sql" not in statements

    service = hook(server, monkeypatch, SERVICE, rotated[1], role=ROLE, session_parameters={"QUERY_TAG": "check"})
    assert tuple(service.get_first("SELECT CURRENT_USER(), CURRENT_ROLE()")) == (SERVICE, ROLE)
    key_file = tmp_path / "key.p8"
    key_file.write_text(KEYS.private)
    assert hook(server, monkeypatch, ROTATOR, private_key_file=str(key_file)).get_first("SELECT 1")


def test_it_commits_what_it_runs(server: SnowflakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    key = base64.b64encode(KEYS.private.encode()).decode()
    admin = hook(server, monkeypatch, ROTATOR, private_key_content=key)
    admin.run(["SELECT 1", f"ALTER USER {SERVICE} MODIFY PAT {TOKEN} SET COMMENT = 'seen'"])
    counts = server.requests.counts()
    assert (counts["select"], counts["modify_token"]) == (1, 1)
    assert counts["alter_session"] >= 1
    assert counts["transaction"] >= 1
    admin.run("SELECT 1; SELECT 2", autocommit=True, split_statements=True)
    assert admin.test_connection() == (True, "Connection successfully tested")


def test_it_signs_in_by_the_tokens_own_authenticator(
    server: SnowflakeServer, snowflake_state: SnowflakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = token_of(snowflake_state).secret
    by_token = hook(server, monkeypatch, SERVICE, secret, authenticator="programmatic_access_token")
    assert by_token.get_first("SELECT CURRENT_ROLE()")[0] == ROLE
    (login,) = server.requests.all("login")
    assert login.parameters["authenticator"] == "PROGRAMMATIC_ACCESS_TOKEN"


def test_it_shows_why_it_is_refused(
    server: SnowflakeServer, snowflake_state: SnowflakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = token_of(snowflake_state).secret
    snowflake_state.advance(days=11)
    with pytest.raises(DatabaseError, match="Programmatic access token is expired"):
        hook(server, monkeypatch, SERVICE, secret).get_first("SELECT 1")
