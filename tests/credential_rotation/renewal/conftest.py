"""A small Snowflake account whose service user's token is to be renewed."""

from __future__ import annotations

import pytest

from sandbox.snowflake import SnowflakeServer, SnowflakeState
from tests.credential_rotation.renewal.renewing import Renewing, connection


@pytest.fixture
def renewing(
    snowflake: SnowflakeServer, snowflake_state: SnowflakeState, monkeypatch: pytest.MonkeyPatch, nothing_masked: None
) -> Renewing:
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_ADMIN", connection(snowflake.port))
    return Renewing(snowflake, snowflake_state)
