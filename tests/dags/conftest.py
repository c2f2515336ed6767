"""One Airflow for all the runs of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests

from sandbox.airflow_settings import connection_environment
from sandbox.snowflake import KeyPair, SnowflakeServer, SnowflakeState, make_key_pair, snowflake_behind
from sandbox.tableau import TableauServer, TableauState
from tests.dags.airflow_under_test import AirflowUnderTest
from tests.dags.renewal_stage import USERS, Serve, Stage
from tests.dags.rotations import Rotations
from tests.dags.small_tableau import BI, ETL, MARKETING, small_tableau


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowUnderTest]:
    started = AirflowUnderTest(tmp_path_factory.mktemp("airflow"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def rotate(airflow: AirflowUnderTest) -> Rotations:
    return Rotations(airflow)


@pytest.fixture
def serve() -> Iterator[Callable[[TableauState], TableauServer]]:
    servers: list[TableauServer] = []

    def start(state: TableauState) -> TableauServer:
        servers.append(TableauServer(state).start())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def tableau(serve: Callable[[TableauState], TableauServer]) -> TableauServer:
    """A small one, with three credentials."""
    return serve(small_tableau(ETL, BI, MARKETING))


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    return make_key_pair()


@pytest.fixture(params=["variable", "aws-secrets-manager://aws_default/credential_rotation/"], ids=["variable", "AWS"])
def token_store(request: pytest.FixtureRequest, aws: str) -> dict[str, str]:
    """The environment of runs that keep tokens there: nothing is kept yet."""
    requests.post(f"{aws}/moto-api/reset", timeout=10).raise_for_status()
    extra = {"endpoint_url": aws, "region_name": "eu-central-1"}
    connection = {"conn_type": "aws", "login": "AKIAEXAMPLE", "password": "signs-requests", "extra": extra}
    return {"CREDENTIAL_ROTATION_TOKEN_STORE": request.param, **connection_environment({"aws_default": connection})}


@pytest.fixture
def staged(
    airflow: AirflowUnderTest, rotate: Rotations, serve: Serve, keys: KeyPair, token_store: dict[str, str]
) -> Iterator[Stage]:
    tableau = serve(small_tableau(*USERS))
    state: SnowflakeState = snowflake_behind(tableau.state, keys)
    airflow.forget_tokens()
    with SnowflakeServer(state) as snowflake:
        yield Stage(airflow, rotate, tableau, snowflake, keys, token_store)
    # Tests of other files share this Airflow: a renewed token would be embedded in the place of their connections'.
    airflow.forget_tokens()
