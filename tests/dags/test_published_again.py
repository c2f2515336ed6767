"""Content that is published again after its update: a run that is green has none, and the next run repairs it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.tableau import Pass, ServerError, TableauServer, TableauState
from tests.dags.rotations import Rotations, holds_today
from tests.dags.small_tableau import (
    BI,
    ETL,
    Meanwhile,
    canary_of,
    embedding,
    published_again_just_before,
    small_tableau,
)

Serve = Callable[[TableauState], TableauServer]


@pytest.mark.parametrize("seconds", [1, 2, 5, 3600])
@pytest.mark.parametrize("ahead", [0, 20, -20], ids=lambda minutes: f"gateway {minutes:+} min")
def test_however_soon_and_whatever_the_clock_of_a_gateway_says_the_next_run_repairs_it(
    rotate: Rotations, serve: Serve, seconds: int, ahead: int
) -> None:
    tableau = serve(small_tableau(ETL))
    state = tableau.state
    state.gateway_minutes_ahead = ahead
    assert rotate(tableau, connections_per_task=5).state == "success"
    state.clock.advance(seconds=seconds)
    for content in state.site.contents[:3]:
        state.site.republish(content, password=ETL.secret)
    assert rotate(tableau, connections_per_task=5).state == "success"
    assert set(holds_today(tableau).values()) == {True}


def test_a_run_that_it_happens_in_is_red_and_says_where(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL, BI))
    site = tableau.state.site
    content = canary_of(site, ETL)
    # Looked at by its own task first, and then by the report.
    fault = published_again_just_before(site, content)
    tableau.faults.script("list_datasources", [Pass(), fault])
    run = rotate(tableau, connections_per_task=5)
    assert run.state == "failed"
    [row] = run.rows("failed")
    assert row["content_name"] == content.name
    assert "its item was changed in Tableau since this run last embedded or saw the token" in row["reason"]
    # What is known of the others is not lost.
    run = rotate(tableau, connections_per_task=5)
    assert run.state == "success"
    assert run.report["summary"]["updated"] == 1
    assert set(holds_today(tableau).values()) == {True}


def test_so_is_one_that_found_nothing_to_do(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL, BI))
    site = tableau.state.site
    assert rotate(tableau, connections_per_task=5).state == "success"
    tableau.faults.script("list_datasources", [Pass(), published_again_just_before(site, site.contents[0])])
    run = rotate(tableau, connections_per_task=5)
    assert (run.state, len(run.rows("failed"))) == ("failed", 1)
    assert rotate(tableau, connections_per_task=5).state == "success"
    assert set(holds_today(tableau).values()) == {True}


def test_where_the_end_of_a_run_can_not_be_seen_it_is_red(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL, BI))
    tableau.faults.script("list_datasources", [Pass(), *[ServerError()] * 9])
    run = rotate(tableau, connections_per_task=5)
    assert run.state == "failed"
    assert "whether anything was published again since its update could not be seen" in run.told
    assert set(holds_today(tableau).values()) == {True}


def test_between_a_canary_and_the_rest_of_its_item_it_is_written_over(rotate: Rotations, serve: Serve) -> None:
    state = small_tableau()
    site = state.site
    site.credentials["etl"] = ETL
    state.accounts.accounts[ETL.account].add_user(ETL.login, [ETL.secret, ETL.new_secret])
    workbook = site.add_workbook("two", connections=[embedding(ETL), embedding(ETL)])
    tableau = serve(state)
    # Before the update of the second connection.
    fault = published_again_just_before(site, workbook)
    tableau.faults.script("update_connection", [Pass(), fault])
    run = rotate(tableau, connections_per_task=5, canary_proof="saved")
    assert run.state == "success"
    assert {connection.password for connection in workbook.connections} == {ETL.new_secret}
    assert rotate(tableau, canary_proof="saved").report["summary"]["unchanged"] == 2


def test_where_a_refresh_moves_the_time_a_run_is_green_and_the_next_one_writes_it_again(
    rotate: Rotations, serve: Serve
) -> None:
    state = small_tableau(ETL)
    state.refresh_moves_updated_at = True
    state.job_polls = 1
    state.site.add_datasource("Extract", connections=[embedding(ETL)], has_extracts=True)
    tableau = serve(state)
    tableau.faults.script("get_job", Meanwhile(lambda: state.clock.advance(seconds=10)))
    for updated in (4, 1):
        run = rotate(tableau, connections_per_task=5)
        assert (run.state, run.report["summary"]["updated"]) == ("success", updated)
    assert set(holds_today(tableau).values()) == {True}


def test_a_tableau_that_is_unwell_at_the_end_of_a_run_is_looked_at_again(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL, BI))
    tableau.faults.script("list_datasources", [Pass(), *[ServerError()] * 4])
    run = rotate(tableau, connections_per_task=5)
    assert run.state == "success"
    assert tableau.faults.left() == 0
    assert [task["tries"] for task in run.tasks if task["task_id"] == "report"] == [2]
