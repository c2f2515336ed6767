"""A server that the real driver and the stock hook are pointed at."""

from __future__ import annotations

import pytest

from sandbox.snowflake import SnowflakeServer


@pytest.fixture
def server(snowflake: SnowflakeServer) -> SnowflakeServer:
    return snowflake
