"""A server that the real driver and the stock hook are pointed at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.snowflake import SnowflakeServer, SnowflakeState
from tests.sandbox_snowflake.small_account import small_account


@pytest.fixture
def snowflake_state() -> SnowflakeState:
    return small_account()


@pytest.fixture(scope="session")
def any_server() -> Iterator[SnowflakeServer]:
    """One server, one certificate: drivers keep the authority that they have read."""
    with SnowflakeServer() as server:
        yield server


@pytest.fixture
def server(
    any_server: SnowflakeServer, snowflake_state: SnowflakeState, monkeypatch: pytest.MonkeyPatch
) -> SnowflakeServer:
    """It holds a new small account in each test, and this process trusts it."""
    any_server.state = snowflake_state
    any_server.requests.clear()
    for name, value in any_server.environment.items():
        monkeypatch.setenv(name, value)
    return any_server
