"""What runs of the DAGs tell others: the assets that they emit, and the DAGs' place among assets."""

from __future__ import annotations

import json
from collections.abc import Callable

from sandbox.tableau import TableauCode, TableauServer, TableauState
from tests.dags.airflow_under_test import AirflowUnderTest
from tests.dags.rotations import Rotations
from tests.dags.small_tableau import BI, ETL, MARKETING, canary_of, small_tableau

ROTATED = "snowflake_pat_in_tableau"


def test_a_green_rotation_emits_what_it_did(
    airflow: AirflowUnderTest, rotate: Rotations, tableau: TableauServer
) -> None:
    run = rotate(tableau, connections_per_task=5)
    again = rotate(tableau, connections_per_task=5)
    told = {
        "asset": ROTATED,
        "run_id": run.run_id,
        "snowflake_conn_ids": ["snowflake_etl", "snowflake_bi", "snowflake_marketing"],
        "tableau_conn_ids": ["tableau_default"],
        "whole": True,
        "targets": 9,
        "updated": 9,
        "unchanged": 0,
        "failed": 0,
        "gone": 0,
        "not_attempted": 0,
        "rolled_back": 0,
    }
    assert airflow.events(run) == [told]
    assert airflow.events(again) == [told | {"run_id": again.run_id, "updated": 0, "unchanged": 9}]


def test_a_dry_run_emits_nothing(airflow: AirflowUnderTest, rotate: Rotations, tableau: TableauServer) -> None:
    run = rotate(tableau, dry_run=True)
    assert run.states("report") == ["success"]
    assert airflow.events(run) == []


def test_what_a_narrowed_rotation_emits_says_that_it_was_narrowed(
    airflow: AirflowUnderTest, rotate: Rotations, tableau: TableauServer
) -> None:
    [event] = airflow.events(rotate(tableau, content_types=["datasource"]))
    assert event["whole"] is False


def test_a_roll_back_emits_nothing(
    airflow: AirflowUnderTest, rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    server = serve(small_tableau(ETL))
    rotate(server)
    run = rotate(server, roll_back=True)
    assert run.states("report") == ["success"]
    assert airflow.events(run) == []


def test_a_red_rotation_emits_nothing(
    airflow: AirflowUnderTest, rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    state = small_tableau(ETL)
    server = serve(state)
    failing = canary_of(state.site, ETL)
    server.faults.script("update_connection", TableauCode("403004", "No."), {"content_id": failing.id})
    run = rotate(server)
    assert run.state == "failed"
    assert airflow.events(run) == []


def test_the_users_of_a_run_are_named_and_none_of_its_secrets(
    airflow: AirflowUnderTest, rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    run = rotate(serve(small_tableau(ETL, BI, MARKETING)), snowflake_conn_ids=["snowflake_bi"])
    [event] = airflow.events(run)
    assert (event["snowflake_conn_ids"], event["updated"]) == (["snowflake_bi"], 3)
    text = json.dumps(event)
    assert not [name for name, secret in rotate.secrets.items() if secret in text]
