"""Safe to kill, safe to repeat: one round of `make kills`, on the Airflow of the other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox import stage
from sandbox.killing import Way
from sandbox.kills import Plan, play_round
from sandbox.local_airflow import LocalAirflow
from sandbox.tableau import TableauServer, TableauState, build_site

pytestmark = [pytest.mark.scheduler, pytest.mark.kills]


@pytest.fixture
def site_of_this_test(airflow: LocalAirflow, tableau: TableauServer, state: TableauState) -> Iterator[TableauState]:
    """A Tableau of its own, served on the port that Airflow knows; the other tests get theirs back."""
    own = build_site(seed=9, data_sources=8, workbooks=6, flows=2, virtual_connections=1, content_url="kills")
    own.latency.write_seconds = 0.5
    connections = stage.airflow_connections(tableau.port, own.site)
    for conn_id, fields in connections.items():
        airflow.api.put_connection(conn_id, fields)
    yield own
    tableau.state = state
    for conn_id, fields in stage.airflow_connections(tableau.port, state.site).items():
        airflow.api.put_connection(conn_id, fields)


def test_nothing_is_lost_when_tasks_are_killed_while_they_write(
    airflow: LocalAirflow, tableau: TableauServer, site_of_this_test: TableauState
) -> None:
    # The tasks alone: that a worker is gone, this Airflow would notice after five minutes only.
    plan = Plan(number=1, seed=7, way=Way.TASK, everyone=True, seconds=0.2, update=5)
    done = play_round(airflow, tableau, site_of_this_test, plan)
    assert done.killed
    assert {name.partition("[")[0] for name in done.killed} <= {"validate_one", "update_connections"}
    assert done.tasks_tried_again >= len(done.killed)
    assert done.states == ["success", "success"]
    assert done.wrong == []
    assert done.writes.total() == len(site_of_this_test.expected_targets())
