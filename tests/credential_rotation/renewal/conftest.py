"""A small Snowflake account whose service user's token is to be renewed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.snowflake import SnowflakeServer, SnowflakeState
from tests.credential_rotation.renewal.renewing import Renewing, connection
from tests.credential_rotation.renewal.whole_runs import Runs
from tests.sandbox_snowflake.small_account import small_account


@pytest.fixture
def renewing(
    snowflake: SnowflakeServer, snowflake_state: SnowflakeState, monkeypatch: pytest.MonkeyPatch, nothing_masked: None
) -> Renewing:
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_ADMIN", connection(snowflake.port))
    return Renewing(snowflake, snowflake_state)


@pytest.fixture
def quick(snowflake_state: SnowflakeState, any_snowflake: SnowflakeServer) -> Renewing:
    """The same without Snowflake's driver, for what is played at each step."""
    return Renewing(any_snowflake, snowflake_state, by_the_driver=False)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_masked: None) -> Runs:
    """Whole runs of the renewal for a token that lives ten days yet."""
    return Runs(small_account(), f"file://{tmp_path}", monkeypatch)
