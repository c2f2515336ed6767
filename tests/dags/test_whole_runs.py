"""Whole runs of the DAG against a sandbox Tableau: what Tableau holds afterwards, and what the report says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox import stage
from sandbox.tableau import (
    SandboxCredential,
    TableauServer,
    TableauState,
    build_site,
    make_large_site,
    snowflake_connection,
)
from sandbox.verdict import compare_with_report, judge, take_snapshot
from tests.credential_rotation.pages.seen_page import SeenPage
from tests.dags.airflow_under_test import Run
from tests.dags.rotations import Rotations, holds_today, written
from tests.dags.small_tableau import BI, ETL, canary_of, embedding, small_tableau

Connections = dict[str, dict[str, object]]
# One character of each kind that XML, JSON, URLs, shells or terminals write in their own way; as long as Tableau takes.
AWKWARD = "\"&<>'\\ %2B+/=;${HOME}`{{ x }}<![CDATA[]]>&amp;äß€𝄞🚀\u200d\u0301"
AWKWARD += "x" * (256 - len(AWKWARD))


RunAndMore = tuple[Run, list[str]]


@pytest.fixture(scope="module")
def believable() -> Iterator[TableauServer]:
    with TableauServer(build_site(data_sources=36, workbooks=24, flows=6, virtual_connections=3)) as server:
        yield server


@pytest.fixture(scope="module")
def dry_run(believable: TableauServer, rotate: Rotations) -> RunAndMore:
    return rotate(believable, dry_run=True), written(believable)


@pytest.fixture(scope="module")
def rotation(believable: TableauServer, rotate: Rotations, dry_run: RunAndMore) -> RunAndMore:
    before = take_snapshot(believable.state.site)
    run = rotate(believable, connections_per_task=10)
    return run, list(judge(before, believable.state.site, believable.state.site.credentials).differences)


def test_a_dry_run_is_green_and_sends_nothing_that_writes(dry_run: RunAndMore) -> None:
    run, writes = dry_run
    assert writes == []
    assert (run.state, run.report["state"], run.report["dry_run"]) == ("success", "success", True)


def test_a_dry_run_lists_every_target_as_planned_and_every_other_with_its_reason(
    believable: TableauServer, dry_run: RunAndMore
) -> None:
    credentials = believable.state.site.credentials
    assert compare_with_report(believable.state.site, credentials, dry_run[0].report, "planned") == []


def test_a_dry_run_signs_out(believable: TableauServer, dry_run: RunAndMore) -> None:
    assert believable.requests.count("sign_out", status=204) >= 1


def test_every_target_holds_its_new_token_and_nothing_else_was_touched(rotation: RunAndMore) -> None:
    assert rotation[1] == []
    assert rotation[0].state == "success"


def test_the_report_says_of_each_connection_what_is_so(believable: TableauServer, rotation: RunAndMore) -> None:
    assert compare_with_report(believable.state.site, believable.state.site.credentials, rotation[0].report) == []


def test_the_report_counts_right(believable: TableauServer, rotation: RunAndMore) -> None:
    sandbox, summary = believable.state.site, rotation[0].report["summary"]
    targets = len(sandbox.expected_targets())
    assert summary["content"] == len(sandbox.contents)
    assert summary["connections"] == sum(1 for _ in sandbox.connections())
    assert summary["targets"] == summary["updated"] == targets
    assert sum(summary["excluded"].values()) == summary["connections"] - targets


def test_each_credential_has_one_canary(believable: TableauServer, rotation: RunAndMore) -> None:
    canaries = [row["snowflake_conn_id"] for row in rotation[0].rows() if row["canary"]]
    assert sorted(canaries) == sorted(map(stage.snowflake_conn_id, believable.state.site.credentials.values()))


def test_a_run_signs_in_once(believable: TableauServer, rotation: RunAndMore) -> None:
    assert rotation[0].report["sign_ins"] == 1
    assert believable.requests.count("sign_in") == 2  # one of them the dry run's


def test_the_report_counts_every_request(believable: TableauServer, dry_run: RunAndMore, rotation: RunAndMore) -> None:
    # The two that sign out come after the report.
    assert dry_run[0].report["requests"] + rotation[0].report["requests"] == len(believable.requests) - 2


def test_the_table_of_the_report_has_a_line_for_each_connection(rotation: RunAndMore) -> None:
    run = rotation[0]
    lines = (run.folder / "report.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(run.report["connections"])


def test_the_page_of_the_report_has_a_row_for_each_connection(dry_run: RunAndMore, rotation: RunAndMore) -> None:
    for run, verdict in ((dry_run[0], "would be updated"), (rotation[0], "embed the current token")):
        seen = SeenPage((run.folder / "report.html").read_text(encoding="utf-8"))
        assert verdict in seen.text
        assert "What took longest" in seen.text
        told = [(row["connection_id"], row["outcome"]) for row in seen.rows]
        assert sorted(told) == sorted((row["connection_id"], row["outcome"]) for row in run.report["connections"])


def test_a_site_without_a_target_is_green_and_says_for_whom_there_is_none(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    state = small_tableau()
    state.site.credentials["etl"] = ETL
    tableau = serve(state)
    run = rotate(tableau)
    assert (run.state, run.report["state"]) == ("success", "success")
    assert written(tableau) == []
    assert run.report["summary"]["targets"] == 0
    assert run.report["summary"]["connections"] == 4
    assert any("snowflake_etl" in note for note in run.report["notes"])
    assert any("'Okta' (1)" in note for note in run.report["notes"])


def test_an_empty_site_is_green(rotate: Rotations, serve: Callable[[TableauState], TableauServer]) -> None:
    state = small_tableau(neighbours=False)
    state.site.credentials["etl"] = ETL
    run = rotate(serve(state))
    assert run.state == "success"
    assert run.report["summary"]["content"] == 0
    assert run.report["connections"] == []


def test_two_sites_are_rotated_in_one_run(rotate: Rotations, serve: Callable[[TableauState], TableauServer]) -> None:
    here, there = serve(small_tableau(ETL)), serve(small_tableau(ETL))
    connections = stage.airflow_connections(here.port, here.state.site)
    connections["tableau_2"] = stage.tableau_connection(there.port, there.state.site)
    # A copy of a site would have the same LUIDs, and that is what tells one site from another.
    for content in there.state.site.contents:
        content.id = content.id[:-4] + "ffff"
    run = rotate(here, connections, tableau_conn_ids=["tableau_default", "tableau_2"], connections_per_task=5)
    assert run.state == "success", run.told
    assert set(holds_today(here).values()) | set(holds_today(there).values()) == {True}
    assert sorted(run.labels("discover")) == ["tableau_2", "tableau_default"]


def test_an_older_tableau_without_virtual_connections_is_rotated_and_the_report_notes_it(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    state = small_tableau(ETL)
    state.rest_api_version = "3.17"
    tableau = serve(state)
    run = rotate(tableau, connections_per_task=10)
    assert run.state == "success"
    assert set(holds_today(tableau).values()) == {True}
    assert any("virtual connection" in note for note in run.report["notes"])


def test_validate_on_says_which_is_first(rotate: Rotations, tableau: TableauServer) -> None:
    site = tableau.state.site
    usual = canary_of(site, BI)
    other = next(site.content(name) for name in ("bi orders 1", "bi orders 2") if site.content(name) is not usual)
    run = rotate(tableau, validate_on=other.id, connections_per_task=10)
    assert run.state == "success"
    [canary] = [row for row in run.rows() if row["canary"] and row["snowflake_conn_id"] == "snowflake_bi"]
    assert canary["content_id"] == other.id


def test_a_narrowed_run_leaves_the_rest_alone(rotate: Rotations, tableau: TableauServer) -> None:
    run = rotate(tableau, content_name="ETL *1", connections_per_task=10)
    assert run.state == "success"
    assert [name for name, today in holds_today(tableau).items() if today] == ["etl orders 1"]
    assert run.report["summary"]["excluded"]["filtered_out"] == 8


def test_after_a_person_approved_the_rest_is_updated(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    tableau = serve(small_tableau(ETL))
    run = rotate(tableau, answer="Approve", require_approval=True, connections_per_task=5)
    assert run.state == "success"
    assert set(holds_today(tableau).values()) == {True}


def test_after_a_person_rejected_only_the_canary_is_updated_and_the_report_says_who_it_was(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    tableau = serve(small_tableau(ETL))
    run = rotate(tableau, answer="Reject", require_approval=True, connections_per_task=5)
    assert (run.state, run.report["state"]) == ("failed", "failed")
    assert list(holds_today(tableau).values()).count(True) == 1
    left = run.rows("not_attempted")
    assert len(left) == 2
    assert all(row["reason"].startswith("not approved (by ann, ") for row in left)


def test_any_token_reaches_tableau_byte_for_byte(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    odd = SandboxCredential("odd", "acme-prod", "Øđđ & <User>", "odd-token-of-last-year", AWKWARD)
    state = small_tableau(odd)
    state.site.add_flow("odd load", connections=[embedding(odd)])
    state.site.add_virtual_connection("odd warehouse", connections=[embedding(odd)])
    tableau = serve(state)
    run = rotate(tableau, connections_per_task=5)
    assert run.state == "success", run.told
    held = {target.content_name: state.site.connection(target.connection_id) for target in state.expected_targets()}
    assert len(held) == 5
    for connection in held.values():
        assert connection.password == AWKWARD
        assert connection.username == odd.login


def test_fifteen_hundred_targets_are_updated_in_a_bounded_number_of_tasks(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    tableau = serve(make_large_site(1500, targets_every=1))
    run = rotate(tableau)
    assert run.state == "success"
    assert run.report["summary"]["updated"] == 1500
    assert set(holds_today(tableau).values()) == {True}
    assert len(run.states("update_connections")) <= 60
    assert {len(connection.writes) for _, connection in tableau.state.site.connections()} == {1}
    log = rotate.airflow.log.read_text(encoding="utf-8")
    assert max(map(len, log.splitlines())) < 20_000, "a task prints the whole list of targets into its log"


def test_batches_too_small_for_so_many_targets_are_refused_before_anything_is_written(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    tableau = serve(make_large_site(1010, targets_every=1))
    run = rotate(tableau, connections_per_task=1)
    assert run.state == "failed"
    assert written(tableau) == []
    assert "connections_per_task" in run.told
    assert [task["tries"] for task in run.tasks if task["task_id"] == "filter_connections"] == [1]


def test_names_too_long_for_a_label_are_cut_short(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    # The column holds 250 characters; SQLite takes more, PostgreSQL does not.
    state = small_tableau(ETL, neighbours=False)
    for content in state.site.contents:
        content.name, content.project.name = f"{content.name} {'n' * 240}", "p" * 255
    run = rotate(serve(state), connections_per_task=2)
    assert run.state == "success"
    labels = [label for label in run.labels("validate_one") + run.labels("update_connections") if label]
    assert [len(label) for label in labels] == [250, 250]


def test_what_asks_people_is_written_only_when_that_is_asked_for(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    state = small_tableau(ETL)
    state.site.add_datasource("Asks people", connections=[snowflake_connection(ETL.login, embedded=False)])
    tableau = serve(state)
    asking = state.site.content("Asks people").connections[0]
    run = rotate(tableau, connections_per_task=5)
    assert run.report["summary"]["excluded"]["password_not_embedded"] == 1
    assert (asking.embedded, asking.password) == (False, None)
    run = rotate(tableau, connections_per_task=5, embed_where_prompting=True)
    assert run.state == "success"
    assert (asking.embedded, asking.password) == (True, ETL.new_secret)
