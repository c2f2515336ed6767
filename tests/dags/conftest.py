"""One Airflow for all the runs of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox.tableau import TableauServer, TableauState
from tests.dags.airflow_under_test import AirflowUnderTest
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
