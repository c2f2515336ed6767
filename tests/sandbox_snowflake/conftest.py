"""A server that the real driver and the stock hook are pointed at."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from sandbox.snowflake import SnowflakeServer, SnowflakeState
from tests.sandbox_snowflake.small_account import small_account

# TODO: drop this, and the summary below, once apache-airflow-providers-snowflake is in requirements.txt.
DRIVER_IS_THERE = importlib.util.find_spec("snowflake") is not None
collect_ignore_glob = [] if DRIVER_IS_THERE else ["test_*.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not DRIVER_IS_THERE:
        text = "tests/sandbox_snowflake NOT RUN: the Snowflake provider is not installed"
        terminalreporter.write_sep("!", text, red=True)


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
