"""What fails in a run, what goes on all the same, and what the report says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from sandbox.tableau import (
    Content,
    HtmlPage,
    RawAnswer,
    SandboxCredential,
    ServerError,
    TableauCode,
    TableauServer,
    TableauState,
)
from tests.dags.rotations import Rotations, holds_today
from tests.dags.small_tableau import (
    BI,
    ETL,
    MARKETING,
    DeletedJustBefore,
    RevokedJustBefore,
    canary_of,
    embedding,
    small_tableau,
)

USERS = (ETL, BI, MARKETING)


def test_where_one_credential_fails_its_canary_only_the_others_are_rotated(
    rotate: Rotations, tableau: TableauServer
) -> None:
    canary = canary_of(tableau.state.site, BI)
    tableau.faults.script("update_connection", TableauCode("403004", "No."), {"content_id": canary.id})
    run = rotate(tableau, connections_per_task=2)
    assert tableau.faults.left() == 0
    assert (run.state, run.report["state"]) == ("failed", "failed")
    assert set(holds_today(tableau, BI).values()) == {False}
    assert set(holds_today(tableau, ETL, MARKETING).values()) == {True}
    of_bi = [row for row in run.rows() if row["snowflake_conn_id"] == "snowflake_bi"]
    assert sorted((row["outcome"], row["canary"]) for row in of_bi) == [
        ("failed", True),
        ("not_attempted", False),
        ("not_attempted", False),
    ]
    assert len(run.rows("updated")) == 6
    assert sorted(run.states("validate_one")) == ["failed", "success", "success"]


def one_workbook_of_two() -> tuple[TableauState, Content]:
    """A workbook with a connection of each of two credentials."""
    state = small_tableau()
    account = state.accounts.accounts[ETL.account]
    for credential in (ETL, BI):
        state.site.credentials[credential.name] = credential
        account.add_user(credential.login, [credential.secret, credential.new_secret])
    return state, state.site.add_workbook("Both", connections=[embedding(ETL), embedding(BI)])


def test_two_credentials_whose_only_targets_are_in_one_workbook_are_validated_in_one_task(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    state, both = one_workbook_of_two()
    run = rotate(serve(state), canary_proof="saved")
    assert run.state == "success"
    assert [row["canary"] for row in run.rows("updated")] == [True, True]
    assert run.states("validate_one") == ["success"]
    assert run.labels("validate_one") == ["Default › Both · BI_USER, ETL_USER"]
    assert [each.password for each in both.connections] == [ETL.new_secret, BI.new_secret]


@pytest.mark.parametrize("failing", [ETL, BI], ids=["ETL", "BI"])
def test_where_one_canary_of_an_item_fails_the_other_is_good_and_its_credential_is_rotated(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer], failing: SandboxCredential
) -> None:
    state, both = one_workbook_of_two()
    good = BI if failing is ETL else ETL
    for credential in (ETL, BI):
        state.site.add_datasource(credential.name, connections=[embedding(credential)])
    tableau = serve(state)
    [connection] = [each for each in both.connections if each.username == failing.login]
    tableau.faults.script("update_connection", TableauCode("403004", "No."), {"connection_id": connection.id})
    run = rotate(tableau, canary_proof="saved", validate_on=both.id)
    assert (run.state, run.states("validate_one")) == ("failed", ["failed"])
    targets = [row for row in run.rows() if row["snowflake_conn_id"]]
    of_good, of_failing = f"snowflake_{good.name}", f"snowflake_{failing.name}"
    assert {(row["content_name"], row["snowflake_conn_id"]): row["outcome"] for row in targets} == {
        ("Both", of_good): "updated",
        (good.name, of_good): "updated",
        ("Both", of_failing): "failed",
        (failing.name, of_failing): "not_attempted",
    }
    assert run.states("update_connections") == ["success"]


@pytest.mark.parametrize("require_approval", [True, False])
def test_where_every_canary_fails_nobody_is_asked_and_nothing_follows(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer], *, require_approval: bool
) -> None:
    tableau = serve(small_tableau(ETL))
    tableau.faults.script("update_connection", TableauCode("403004", "No."))
    run = rotate(tableau, require_approval=require_approval)
    assert run.state == "failed"
    assert run.states("update_connections") == ["skipped"]
    assert (len(run.rows("failed")), len(run.rows("not_attempted"))) == (1, 2)


def test_where_one_update_is_refused_the_others_go_on_and_the_run_is_red(
    rotate: Rotations, tableau: TableauServer
) -> None:
    workbook = tableau.state.site.content("etl overview")
    refusal = TableauCode("403004", f"You may not set password={ETL.new_secret}.")
    tableau.faults.script("update_connection", refusal, {"content_id": workbook.id})
    run = rotate(tableau, max_failures=1)
    assert (run.state, run.report["state"]) == ("failed", "failed")
    assert [name for name, today in holds_today(tableau).items() if not today] == ["etl overview"]
    [failed] = run.rows("failed")
    assert failed["content_id"] == workbook.id
    assert "403004" in failed["reason"]
    assert "password=***" in failed["reason"]
    assert failed["attempts"] == 1
    assert len(run.rows("updated")) == 8
    assert "Default › etl overview · ETL_USER" in run.labels("update_connections")


def test_an_update_that_fails_for_a_while_is_tried_again_by_its_task(rotate: Rotations, tableau: TableauServer) -> None:
    workbook = tableau.state.site.content("etl overview")
    tableau.faults.script("update_connection", ServerError(500), {"content_id": workbook.id}, times=5)
    run = rotate(tableau, content_types=["workbook", "datasource"])
    assert tableau.faults.left() == 0
    assert run.state == "success"
    assert set(holds_today(tableau).values()) == {True}
    [row] = [row for row in run.rows() if row["content_id"] == workbook.id and row["snowflake_conn_id"]]
    assert (row["outcome"], row["attempts"]) == ("updated", 2)
    tries = {task["label"]: task["tries"] for task in run.tasks if task["task_id"] == "update_connections"}
    assert tries.pop("Default › etl overview · ETL_USER") == 2
    assert set(tries.values()) == {1}


def test_too_many_failures_stop_the_run(rotate: Rotations, tableau: TableauServer) -> None:
    canaries = {canary_of(tableau.state.site, credential).id for credential in (ETL, BI, MARKETING)}
    others = [target for target in tableau.state.site.expected_targets() if target.content_id not in canaries]
    for target in others:
        where = {"connection_id": target.connection_id}
        tableau.faults.script("update_connection", TableauCode("400039", "The connection is not editable."), where)
    run = rotate(tableau, max_failures=2)
    assert run.state == "failed"
    assert len(run.rows("updated")) == 3
    assert len(run.rows("failed")) == 3  # two are bearable; the third is one too many
    assert len(run.rows("not_attempted")) == 3
    assert tableau.faults.left() == 3


def test_another_takes_the_place_of_a_canary_that_is_deleted_meanwhile(
    rotate: Rotations, serve: Callable[[TableauState], TableauServer]
) -> None:
    tableau = serve(small_tableau(ETL))
    site = tableau.state.site
    canary = canary_of(site, ETL)
    tableau.faults.script("update_connection", DeletedJustBefore(site, canary), {"content_id": canary.id})
    run = rotate(tableau)
    assert run.state == "success"
    assert holds_today(tableau) == {target.content_name: True for target in site.expected_targets()}
    [gone] = run.rows("gone")
    assert gone["content_id"] == canary.id
    assert sorted(row["canary"] for row in run.rows("updated")) == [False, True]
    assert run.report["requests"] == len(tableau.requests) - 1  # signing out comes after the report


def test_an_item_that_can_not_be_read_makes_the_run_red_and_the_rest_goes_on(
    rotate: Rotations, tableau: TableauServer
) -> None:
    secret_item = tableau.state.site.content("etl overview")
    tableau.faults.script("query_connections", TableauCode("403004", "No."), {"content_id": secret_item.id})
    run = rotate(tableau, connections_per_task=10)
    assert run.state == "failed"
    assert len(run.rows("updated")) == 8
    [failed] = run.rows("failed")
    assert (failed["content_id"], failed["connection_id"]) == (secret_item.id, None)


def test_the_next_try_of_discover_reads_only_what_the_one_before_has_not(
    rotate: Rotations, tableau: TableauServer
) -> None:
    site = tableau.state.site
    newest, last = site.content("bi overview"), site.content("Linked")
    site.republish(newest, BI.secret)
    tableau.faults.script("query_connections", ServerError(), {"content_id": last.id}, times=4)
    run = rotate(tableau, environment={"CREDENTIAL_ROTATION_REQUESTS_IN_FLIGHT": "1"}, dry_run=True)
    assert tableau.faults.left() == 0
    assert run.state == "success"
    assert [task["tries"] for task in run.tasks if task["task_id"] == "discover"] == [2]
    read = Counter(each.parameters["content_id"] for each in tableau.requests.all("query_connections", status=200))
    # Another change of the newest item might not show.
    assert read == {content.id: 2 if content is newest else 1 for content in site.contents}
    assert len(run.rows()) == sum(len(content.connections) for content in site.contents)
    assert not any((run.folder / "work" / "reading" / "tableau_default").iterdir())


def test_two_credentials_that_fail_their_canary_do_not_stop_the_third(
    rotate: Rotations, tableau: TableauServer
) -> None:
    for credential in (BI, MARKETING):
        where = {"content_id": canary_of(tableau.state.site, credential).id}
        tableau.faults.script("update_connection", TableauCode("403004", "No."), where)
    run = rotate(tableau, connections_per_task=5)
    assert run.state == "failed"
    assert set(holds_today(tableau, ETL).values()) == {True}
    assert set(holds_today(tableau, BI, MARKETING).values()) == {False}


def test_a_sign_in_that_is_revoked_in_mid_run_is_tried_once_more_and_the_report_says_why(
    rotate: Rotations, tableau: TableauServer
) -> None:
    state = tableau.state
    others = [each for each in state.site.contents if each.id not in {canary_of(state.site, one).id for one in USERS}]
    for content in others:
        tableau.faults.script("update_connection", RevokedJustBefore(state=state), {"content_id": content.id})
    run = rotate(tableau, connections_per_task=1)
    assert (run.state, run.report["state"]) == ("failed", "failed")
    assert len(run.rows("updated")) == 3
    assert len(run.rows("not_attempted")) >= 4
    assert "401001" in run.told
    reasons = {row["reason"] for row in run.rows() if row["outcome"] in ("failed", "not_attempted")}
    assert [reason for reason in reasons if "401001" not in reason] == []
    # One that all were to share, and the one that was refused: accounts get locked.
    assert tableau.requests.count("sign_in") == 2


def test_a_404_that_passes_hides_no_target(rotate: Rotations, tableau: TableauServer) -> None:
    site = tableau.state.site
    not_found = TableauCode("404000", "No.")
    tableau.faults.script("list_flows", not_found)
    tableau.faults.script("list_virtual_connections", not_found)
    for name in ("etl orders 1", "bi overview"):
        tableau.faults.script("query_connections", not_found, {"content_id": site.content(name).id})
    run = rotate(tableau, connections_per_task=5)
    assert run.state == "success"
    assert tableau.faults.left() == 0
    assert set(holds_today(tableau).values()) == {True}
    assert run.rows("gone") == []
    assert not [note for note in run.report["notes"] if "were looked at" in note]


def test_pages_of_a_gateway_are_not_taken_for_deleted_content(rotate: Rotations, tableau: TableauServer) -> None:
    tableau.faults.script("query_connections", HtmlPage(404), times=999)
    run = rotate(tableau)
    assert run.state == "failed"
    assert set(holds_today(tableau).values()) == {False}
    assert "Tableau answered 404" in run.told


def test_flows_that_may_not_be_listed_make_the_run_red_and_the_rest_is_rotated(
    rotate: Rotations, tableau: TableauServer
) -> None:
    tableau.faults.script("list_flows", TableauCode("403004", "No."))
    run = rotate(tableau, connections_per_task=10)
    assert run.state == "failed"
    assert set(holds_today(tableau).values()) == {True}
    assert "no flows were looked at" in run.told


def test_an_item_at_which_tableau_always_fails_does_not_keep_the_others_from_their_token(
    rotate: Rotations, tableau: TableauServer
) -> None:
    broken = tableau.state.site.content("etl overview")
    tableau.faults.script("query_connections", ServerError(500), {"content_id": broken.id}, times=999)
    run = rotate(tableau, connections_per_task=10)
    assert run.state == "failed"
    assert [name for name, today in holds_today(tableau).items() if not today] == ["etl overview"]
    [failed] = run.rows("failed")
    assert "can't be read" in failed["reason"]


@pytest.mark.parametrize("status", [304, 200])
def test_an_update_without_tableau_s_answer_makes_the_run_red_and_is_no_success(
    rotate: Rotations, tableau: TableauServer, status: int
) -> None:
    """The connection embeds the same user before and after: to read it again shows nothing of the new token."""
    workbook = tableau.state.site.content("etl overview")
    nothing = RawAnswer(status, "", "application/xml")
    tableau.faults.script("update_connection", nothing, {"content_id": workbook.id}, times=999)
    run = rotate(tableau, connections_per_task=10)
    assert (run.state, run.report["state"]) == ("failed", "failed")
    assert [name for name, today in holds_today(tableau).items() if not today] == ["etl overview"]
    [failed] = run.rows("failed")
    assert (failed["content_id"], failed["proof"]) == (workbook.id, None)
    assert ("Tableau answered 304" if status == 304 else "the answer is empty") in failed["reason"]
    assert len(run.rows("updated")) == 8


def test_an_update_is_sent_again_until_tableau_answers_it(rotate: Rotations, tableau: TableauServer) -> None:
    workbook = tableau.state.site.content("etl overview")
    nothing = [RawAnswer(304, "", "application/xml"), RawAnswer(200, "", "application/xml")]
    tableau.faults.script("update_connection", nothing, {"content_id": workbook.id})
    run = rotate(tableau, connections_per_task=10)
    assert tableau.faults.left() == 0
    assert run.state == "success"
    assert set(holds_today(tableau).values()) == {True}
