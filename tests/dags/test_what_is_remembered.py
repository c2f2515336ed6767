"""Runs that know what runs before them did: what is left alone, what is repaired, what is put back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from sandbox import stage
from sandbox.leaks import Scanner
from sandbox.tableau import JobOutcome, SandboxCredential, TableauServer, TableauState, build_site
from sandbox.tableau.server import _Handler
from sandbox.verdict import judge, take_snapshot
from tests.dags.rotations import Rotations, holds_today, written
from tests.dags.small_tableau import BI, ETL, MARKETING, Meanwhile, embedding, small_tableau

Serve = Callable[[TableauState], TableauServer]


def writes(state: TableauState) -> dict[str, int]:
    """How often each connection was written to, by the name of its item; those apart that never were."""
    found = [(content, connection) for content in state.site.contents for connection in content.connections]
    return {content.name: len(connection.writes) for content, connection in found if connection.writes}


def asked_for_connections(tableau: TableauServer) -> set[str]:
    """The LUIDs of the items that were asked for their connections."""
    return {entry.parameters["content_id"] for entry in tableau.requests.all("query_connections")}


def has_new_token(state: TableauState, credential: SandboxCredential) -> SandboxCredential:
    """Its token of tomorrow, which Snowflake knows as well."""
    new = replace(credential, secret=credential.new_secret, new_secret=f"{credential.name}-token-of-tomorrow")
    state.accounts.accounts[credential.account].user(credential.login).secrets.add(new.new_secret)
    state.site.credentials[credential.name] = new
    return new


def test_a_second_run_of_an_unchanged_site_writes_nothing_and_asks_hardly_more_than_discovery_needs(
    rotate: Rotations, serve: Serve
) -> None:
    tableau = serve(build_site(data_sources=36, workbooks=24, flows=6, virtual_connections=3))
    site = tableau.state.site
    looked = rotate(tableau, dry_run=True, connections_per_task=20)
    before = take_snapshot(site)
    assert rotate(tableau, connections_per_task=20).state == "success"
    tableau.requests.clear()
    run = rotate(tableau, connections_per_task=20)
    assert run.state == "success"
    assert written(tableau) == []
    # Five are the last look, one or two for each type of content.
    assert run.report["requests"] <= looked.report["requests"] * 1.02 + 5
    assert run.report["summary"]["unchanged"] == run.report["summary"]["targets"] == len(site.expected_targets())
    assert judge(before, site, site.credentials).ok
    assert run.states("validate_one") == run.states("update_connections") == ["skipped"]


def test_a_dry_run_tells_what_is_left_to_do(rotate: Rotations, tableau: TableauServer) -> None:
    rotate(tableau, snowflake_conn_ids=["snowflake_etl"], connections_per_task=5)
    run = rotate(tableau, dry_run=True)
    assert (run.report["summary"]["unchanged"], run.report["summary"]["planned"]) == (3, 6)


def test_a_changed_token_updates_everything(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL, BI))
    rotate(tableau, connections_per_task=5)
    has_new_token(tableau.state, ETL)
    run = rotate(tableau, connections_per_task=5)
    assert run.state == "success"
    assert set(holds_today(tableau).values()) == {True}
    assert (run.report["summary"]["updated"], run.report["summary"]["unchanged"]) == (3, 3)


def test_force_updates_what_is_known_to_be_current(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL))
    rotate(tableau, connections_per_task=5)
    run = rotate(tableau, connections_per_task=5, force=True)
    assert run.report["summary"]["updated"] == 3
    assert set(writes(tableau.state).values()) == {2}


def test_content_that_was_published_again_is_repaired_and_so_is_what_a_person_changed(
    rotate: Rotations, serve: Serve
) -> None:
    tableau = serve(small_tableau(ETL))
    state = tableau.state
    rotate(tableau, connections_per_task=5)
    state.clock.advance(minutes=10)
    state.site.republish(state.site.content("etl orders 1"), password=ETL.secret)
    overview = state.site.content("etl overview")
    state.site.edit_by_hand(overview, overview.connections[0], password=ETL.secret)
    assert set(holds_today(tableau).values()) == {True, False}
    run = rotate(tableau, connections_per_task=5)
    assert run.state == "success"
    assert set(holds_today(tableau).values()) == {True}
    assert sorted(row["content_name"] for row in run.rows("updated")) == ["etl orders 1", "etl overview"]
    assert writes(state) == {"etl orders 1": 2, "etl orders 2": 1, "etl overview": 2}
    again = rotate(tableau, connections_per_task=5)
    assert again.report["summary"]["unchanged"] == 3


def test_content_published_again_with_new_luids_is_updated(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL))
    rotate(tableau, connections_per_task=5)
    tableau.state.site.republish(tableau.state.site.content("etl orders 1"), password=ETL.secret, new_ids=True)
    run = rotate(tableau, connections_per_task=5)
    assert [row["content_name"] for row in run.rows("updated")] == ["etl orders 1"]
    assert set(holds_today(tableau).values()) == {True}


def test_a_narrowed_run_does_not_hide_what_was_published_beside_it(rotate: Rotations, serve: Serve) -> None:
    state = small_tableau()
    state.site.credentials["etl"] = ETL
    state.accounts.accounts["acme-prod"].add_user(ETL.login, [ETL.secret, ETL.new_secret])
    workbook = state.site.add_workbook("two at once", connections=[embedding(ETL), embedding(ETL)])
    tableau = serve(state)
    rotate(tableau, connections_per_task=5, canary_proof="saved")
    state.clock.advance(minutes=10)
    state.site.republish(workbook, password=ETL.secret)
    state.clock.advance(minutes=10)
    rotate(tableau, ids=[workbook.connections[0].id], canary_proof="saved")
    run = rotate(tableau, connections_per_task=5, canary_proof="saved")
    assert run.state == "success"
    assert workbook.connections[1].id in [row["connection_id"] for row in run.rows("updated")]
    assert {connection.password for connection in workbook.connections} == {ETL.new_secret}
    # And then it is at rest.
    assert rotate(tableau, canary_proof="saved").report["summary"]["unchanged"] == 2


def test_where_the_ledger_is_lost_everything_is_updated_again(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL))
    rotate(tableau, connections_per_task=5)
    rotate.airflow.forget_ledgers()
    assert rotate(tableau, connections_per_task=5).report["summary"]["updated"] == 3


def test_what_a_run_without_a_report_did_is_known_to_the_next(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL))
    ledger = rotate.airflow.home / "credential_rotation" / "ledger"
    first = rotate(tableau, connections_per_task=5)
    # As if it had been killed before its report: what is open is still open, and nothing was learned.
    rotate.airflow.forget_ledgers()
    (ledger / "open").mkdir(parents=True)
    (ledger / "open" / "0123456789abcdef.json").write_text(f'{{"run_id": "{first.run_id}"}}')
    run = rotate(tableau, connections_per_task=5)
    assert run.report["summary"]["unchanged"] == 3
    assert set(writes(tableau.state).values()) == {1}


def test_a_roll_back_puts_back_what_the_latest_run_updated(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL))
    state = tableau.state
    assert rotate(tableau, connections_per_task=5).state == "success"
    assert set(holds_today(tableau).values()) == {True}
    run = rotate(tableau, connections_per_task=5, roll_back=True)
    assert (run.state, run.report["state"]) == ("success", "success")
    assert run.report["summary"]["rolled_back"] == 3
    targets = [state.site.connection(target.connection_id) for target in state.site.expected_targets()]
    assert {target.password for target in targets} == {ETL.secret}
    assert [row["canary"] for row in run.rows("rolled_back")].count(True) == 1
    assert {row["proof"] for row in run.rows("rolled_back")} == {"query", "saved"}
    # Nothing but the targets was written to in all of that.
    assert set(writes(state)) == {"etl orders 1", "etl orders 2", "etl overview"}
    # The next run embeds the current token again.
    assert rotate(tableau, connections_per_task=5).report["summary"]["updated"] == 3


def test_a_roll_back_embeds_nobodys_secret_under_the_name_of_another(rotate: Rotations, serve: Serve) -> None:
    etl = replace(ETL, tableau_usernames=("ann@example.com",))
    state = small_tableau(etl)
    state.accounts.accounts[etl.account].add_user("ann@example.com", ["ann-types-this"])
    anns = state.site.content("etl orders 2").connections[0]
    anns.username, anns.password = "ann@example.com", "ann-types-this"
    tableau = serve(state)
    assert rotate(tableau, connections_per_task=5).state == "success"
    assert (anns.username, anns.password) == (etl.login, etl.new_secret)
    run = rotate(tableau, connections_per_task=5, roll_back=True)
    assert run.state == "failed"
    [row] = run.rows("failed")
    assert row["content_name"] == "etl orders 2"
    assert "it embedded the user ann@example.com" in row["reason"]
    assert (anns.username, anns.password) == (etl.login, etl.new_secret)
    assert len(run.rows("rolled_back")) == 2


def test_a_canary_that_held_the_token_before_is_not_given_an_older_one(rotate: Rotations, serve: Serve) -> None:
    state = small_tableau()
    state.site.credentials["etl"] = ETL
    state.accounts.accounts[ETL.account].add_user(ETL.login, [ETL.new_secret])  # the secret before is dead by now
    extract = state.site.add_datasource("Extract", connections=[embedding(ETL)], has_extracts=True)
    tableau = serve(state)
    assert rotate(tableau).state == "success"
    extract.job_outcome = JobOutcome.CANCELLED
    run = rotate(tableau, force=True)
    assert run.state == "failed"
    assert extract.connections[0].password == ETL.new_secret
    assert "known to have held this token before" in run.rows("failed")[0]["reason"]


def test_a_roll_back_leaves_alone_what_the_run_did_not_update(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL))
    first = rotate(tableau, ids=[tableau.state.site.content("etl orders 1").id])
    rotate(tableau, connections_per_task=5)
    run = rotate(tableau, roll_back=True, roll_back_run=first.run_id)
    assert run.state == "success"
    assert [row["content_name"] for row in run.rows("rolled_back")] == ["etl orders 1"]
    assert [name for name, today in holds_today(tableau).items() if not today] == ["etl orders 1"]


@pytest.mark.parametrize("repair", [False, True], ids=["run 2 the rest", "and run 3 repairs one"])
def test_a_roll_back_takes_back_what_several_runs_embedded(rotate: Rotations, serve: Serve, repair: bool) -> None:
    tableau = serve(small_tableau(ETL))
    site = tableau.state.site
    part = rotate(tableau, ids=[site.content("etl orders 1").id])
    rest = rotate(tableau, connections_per_task=5)
    if repair:
        rotate(tableau, force=True, ids=[site.content("etl overview").id])
    run = rotate(tableau, connections_per_task=5, roll_back=True)
    assert run.state == "success"
    assert set(holds_today(tableau).values()) == {False}
    [note] = [note for note in run.report["notes"] if "rolls back" in note]
    assert f"1 of run '{part.run_id}'" in note
    assert f"2 of run '{rest.run_id}'" in note


def test_a_roll_back_takes_back_a_canary_that_was_being_written_while_discover_was_cleared_alone(
    rotate: Rotations, serve: Serve
) -> None:
    tableau = serve(small_tableau(ETL))

    def discover_is_cleared() -> None:
        plans = (rotate.airflow.home / "credential_rotation" / stage.DAG_ID).glob("*/work/plan.json")
        max(plans, key=lambda path: path.stat().st_mtime).unlink()

    tableau.faults.script("update_connection", Meanwhile(discover_is_cleared))
    assert rotate(tableau).state == "failed"
    assert list(holds_today(tableau).values()).count(True) == 1
    run = rotate(tableau, roll_back=True)
    assert run.state == "success"
    assert [row["canary"] for row in run.rows("rolled_back")] == [True]
    assert set(holds_today(tableau).values()) == {False}


def test_a_roll_back_to_a_secret_that_is_dead_fails_its_canary_and_the_token_stays(
    rotate: Rotations, serve: Serve
) -> None:
    tableau = serve(small_tableau(ETL))
    rotate(tableau, connections_per_task=5)
    tableau.state.accounts.accounts[ETL.account].user(ETL.login).secrets.discard(ETL.secret)
    run = rotate(tableau, connections_per_task=5, roll_back=True)
    assert run.state == "failed"
    assert set(holds_today(tableau).values()) == {True}
    [failed] = run.rows("failed")
    assert "Programmatic access token is invalid" in failed["reason"]
    assert len(run.rows("not_attempted")) == 2


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"roll_back": True, "roll_back_run": "no such run"}, "no run 'no such run' is known"),
        ({"roll_back_run": "manual__1"}, "roll_back is off"),
        ({"roll_back": True}, "no run is known to have updated anything"),
    ],
)
def test_a_roll_back_of_nothing_is_one_clear_error(
    rotate: Rotations, serve: Serve, params: dict[str, object], words: str
) -> None:
    tableau = serve(small_tableau(ETL))
    run = rotate(tableau, **params)
    assert run.state == "failed"
    assert words in run.told
    assert written(tableau) == []


def test_a_roll_back_without_a_secret_to_put_back_is_one_clear_error(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL, MARKETING))
    rotate(tableau, connections_per_task=5)
    connections = stage.airflow_connections(tableau.port, tableau.state.site)
    extra = connections["snowflake_etl"]["extra"]
    assert isinstance(extra, dict)
    del extra["previous_password"]
    tableau.requests.clear()
    run = rotate(tableau, connections, roll_back=True)
    assert run.state == "failed"
    assert "snowflake_etl" in run.told
    assert "previous_password" in run.told
    assert written(tableau) == []


def test_no_secret_is_in_the_ledger(rotate: Rotations, serve: Serve) -> None:
    tableau = serve(small_tableau(ETL, BI))
    rotate(tableau, connections_per_task=5)
    ledger = rotate.airflow.home / "credential_rotation" / "ledger"
    assert any(ledger.glob("*.json"))
    assert Scanner(rotate.secrets).folder(ledger) == []


def test_with_fewer_full_sweeps_only_what_changed_is_asked_and_repaired(rotate: Rotations, serve: Serve) -> None:
    environment = {"CREDENTIAL_ROTATION_FULL_SWEEP_EVERY": "4"}
    tableau = serve(small_tableau(ETL, BI))
    site = tableau.state.site
    newest = site.contents[-1]
    rotate(tableau, environment=environment, connections_per_task=5)
    tableau.state.clock.advance(minutes=5)
    site.republish(newest, "another password")
    rotate(tableau, environment=environment, connections_per_task=5)  # the first read what the first run then changed
    tableau.state.clock.advance(minutes=5)
    edited = site.contents[0]
    site.republish(edited, "an old password")
    tableau.requests.clear()
    run = rotate(tableau, environment=environment, connections_per_task=5)
    assert run.state == "success"
    assert asked_for_connections(tableau) == {edited.id, newest.id}
    assert set(holds_today(tableau, ETL, BI).values()) == {True}
    assert len(run.report["connections"]) == sum(len(content.connections) for content in site.contents)
    has_new_token(tableau.state, ETL)
    tableau.requests.clear()
    rotate(tableau, environment=environment, connections_per_task=5)
    assert asked_for_connections(tableau) == {content.id for content in site.contents}


def test_a_gateway_whose_clock_is_ahead_hides_no_change(
    rotate: Rotations, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        _Handler, "date_time_string", lambda self, _=None: format_datetime(datetime.now(UTC) + timedelta(minutes=20))
    )
    environment = {"CREDENTIAL_ROTATION_FULL_SWEEP_EVERY": "4"}
    tableau = serve(small_tableau(ETL))
    site = tableau.state.site
    workbook = site.content("etl overview")
    rotate(tableau, environment=environment, canary_proof="saved")
    tableau.state.clock.advance(minutes=5)
    site.republish(workbook, ETL.new_secret)
    rotate(tableau, environment=environment, dry_run=True)
    # Published once more within the second in which it was read: it is listed with the same time.
    added = site.add_connection(workbook, embedding(ETL))
    run = rotate(tableau, environment=environment, canary_proof="saved")
    assert run.state == "success"
    assert added.password == ETL.new_secret
