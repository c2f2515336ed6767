"""A small Snowflake account whose service user's token is to be renewed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.snowflake import SnowflakeServer, SnowflakeState
from tests.credential_rotation.renewal.renewing import Renewing, connection
from tests.sandbox_snowflake.small_account import small_account


@pytest.fixture(scope="module")
def any_server() -> Iterator[SnowflakeServer]:
    with SnowflakeServer() as server:
        yield server


@pytest.fixture
def snowflake_state() -> SnowflakeState:
    """The token expires in ten days."""
    return small_account()


@pytest.fixture
def renewing(
    any_server: SnowflakeServer, snowflake_state: SnowflakeState, monkeypatch: pytest.MonkeyPatch, nothing_masked: None
) -> Renewing:
    any_server.state = snowflake_state
    any_server.requests.clear()
    for name, value in any_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_ADMIN", connection(any_server.port))
    return Renewing(any_server, snowflake_state)
