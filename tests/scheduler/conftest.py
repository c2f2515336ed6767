"""One real Airflow and one sandbox Tableau for all the tests of this folder: they take half a minute to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import stage
from sandbox.leaks import ArgumentWatch, Scanner
from sandbox.local_airflow import LocalAirflow
from sandbox.tableau import TableauServer, TableauState
from tests.scheduler import small_site
from tests.statsd_listener import StatsdListener

LEAKY_DAGS = Path(__file__).parent / "leaky_dags"
LEAKED = "this-one-is-let-out-on-purpose"
FOLLOWING = "after_the_rotation"


def example_of_the_docs() -> str:
    """The DAG that docs/monitoring.md lets follow the rotation."""
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
    return page.partition("```python\n")[2].partition("```")[0]


@pytest.fixture(scope="session")
def state() -> TableauState:
    return small_site.build()


@pytest.fixture(scope="session")
def tableau(state: TableauState) -> Iterator[TableauServer]:
    with TableauServer(state) as server:
        yield server


@pytest.fixture(scope="session")
def statsd() -> Iterator[StatsdListener]:
    """Where this Airflow's metrics go."""
    listening = StatsdListener()
    yield listening
    listening.close()


@pytest.fixture(scope="session")
def airflow(
    tableau: TableauServer, state: TableauState, statsd: StatsdListener, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalAirflow]:
    connections = stage.airflow_connections(tableau.port, state.site)
    connections["leaky"] = {"conn_type": "generic", "login": "nobody", "password": LEAKED}
    following = tmp_path_factory.mktemp("following")
    (following / "after_the_rotation.py").write_text(example_of_the_docs())
    with LocalAirflow(
        tmp_path_factory.mktemp("airflow"),
        dag_ids=[stage.DAG_ID, "leaky", FOLLOWING],
        connections=connections,
        further_dags_folders={"leaky": LEAKY_DAGS, "following": following},
        env=stage.ENVIRONMENT | statsd.environment,
    ) as started:
        started.api.unpause(FOLLOWING)
        yield started


@pytest.fixture(scope="session")
def argument_watch(state: TableauState) -> Iterator[ArgumentWatch]:
    """Looks at the arguments of every process as long as the tests run."""
    with ArgumentWatch(Scanner(small_site.secrets(state))) as watch:
        yield watch
