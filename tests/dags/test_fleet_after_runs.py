"""What real runs leave for the page in the Airflow UI."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from credential_rotation.fleet.model import FleetRow
from credential_rotation.fleet.reading import read_connection, read_fleet, read_run
from sandbox.tableau import TableauCode, TableauServer, TableauState
from tests.dags.airflow_under_test import DAG_ID, Run
from tests.dags.rotations import Rotations
from tests.dags.small_tableau import ETL, small_tableau
from tests.dags.test_what_is_remembered import has_new_token

Serve = Callable[[TableauState], TableauServer]


def reports_of(run: Run) -> str:
    return f"file://{run.folder.parents[1]}"


def row_after(run: Run, tableau: TableauServer) -> FleetRow:
    fleet = read_fleet(reports_of(run), datetime.now(UTC))
    assert fleet.runs[0].run_id == run.run_id
    (row,) = [row for row in fleet.rows if f":{tableau.port}" in row.site_key]
    return row


def test_a_dry_run_shows_what_is_there_and_a_run_what_embeds_the_token(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL))
    row = row_after(rotate(tableau, dry_run=True, connections_per_task=5), tableau)
    assert (row.user, row.targets, row.current, row.conditions[0].reason) == (ETL.login, 3, 0, "NeverRotated")
    run = rotate(tableau, connections_per_task=5)
    row = row_after(run, tableau)
    assert (row.targets, row.current, row.conditions[0].reason) == (3, 3, "AllCurrent")
    report = read_run(reports_of(run), DAG_ID, run.run_id)
    assert report is not None
    one = next(each for each in report["connections"] if each["outcome"] == "updated")
    history = read_connection(reports_of(run), row.site_key, one["content_id"], one["connection_id"])
    assert history is not None
    assert [event.outcome for event in history.events] == ["updated", "planned"]
    assert history.holds_current is True


def test_a_run_with_another_token_that_fails_shows_what_holds_the_old_one(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL))
    rotate(tableau, connections_per_task=5)
    has_new_token(tableau.state, ETL)
    canary = rotate(tableau, dry_run=True, connections_per_task=5).rows("planned")[0]
    where = {"connection_id": canary["connection_id"]}
    tableau.faults.script("update_connection", TableauCode("400039", "The connection is not editable."), where, times=9)
    run = rotate(tableau, connections_per_task=5, validate_on=canary["connection_id"])
    assert run.state == "failed"
    row = row_after(run, tableau)
    assert (row.targets, row.current, row.old, row.failed) == (3, 0, 3, 1)
    assert row.conditions[0].reason == "ConnectionsFailed"
    assert row.last_run is not None
    assert "not editable" in row.last_run.verdict


def test_after_a_roll_back_the_token_in_force_is_nowhere(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL))
    rotate(tableau, connections_per_task=5)
    row = row_after(rotate(tableau, connections_per_task=5, roll_back=True), tableau)
    assert (row.targets, row.current, row.old, row.failed) == (3, 0, 3, 0)
    assert row.conditions[0].reason == "NotCurrent"
