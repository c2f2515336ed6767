"""What tests of several folders stand on: a Snowflake that the real driver signs in to, and what stands for AWS."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

from sandbox.snowflake import SnowflakeServer, SnowflakeState
from tests.sandbox_snowflake.small_account import small_account

# What requirements-browser.lock installs the other tests do without.
collect_ignore = [] if find_spec("playwright") else ["browser"]

# Generated sequences (test_state_sequences.py): the same few each time in `make test`; many new ones in `make chaos`,
# where one that failed is kept, and is the first to be played the next time.
settings.register_profile("test", max_examples=15, derandomize=True, deadline=None)
settings.register_profile(
    "chaos",
    max_examples=300,
    deadline=None,
    print_blob=True,
    report_multiple_bugs=False,
    database=DirectoryBasedExampleDatabase(".cache/hypothesis"),
)
settings.load_profile("test")

# Folders whose tests start an Airflow.
_SLOW_FIRST = {"scheduler": 0, "dags": 1}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-matrix", action="store_true", help="write what becomes of a renewal into docs/renewal.md")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that the other process is busy meanwhile; the order within a file stays."""
    items.sort(key=lambda item: _SLOW_FIRST.get(item.path.parent.name, len(_SLOW_FIRST)))


@pytest.fixture
def snowflake_state() -> SnowflakeState:
    """A small account whose service user has a token that expires in ten days."""
    return small_account()


@pytest.fixture(scope="session")
def any_snowflake() -> Iterator[SnowflakeServer]:
    """One server, one certificate: drivers keep the authority that they have read."""
    with SnowflakeServer() as server:
        yield server


@pytest.fixture
def snowflake(
    any_snowflake: SnowflakeServer, snowflake_state: SnowflakeState, monkeypatch: pytest.MonkeyPatch
) -> SnowflakeServer:
    """It holds a new small account in each test, and this process trusts it."""
    any_snowflake.state = snowflake_state
    any_snowflake.requests.clear()
    for name, value in any_snowflake.environment.items():
        monkeypatch.setenv(name, value)
    return any_snowflake


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """The address of a server that stands for AWS."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 (slow)

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
