"""The whole story on a real scheduler: what Tableau holds, what the report says, what nobody may read."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox import stage
from sandbox.airflow_api import Progress
from sandbox.chaos.secrets import session_tokens
from sandbox.leaks import ArgumentWatch, Scanner
from sandbox.local_airflow import LocalAirflow
from sandbox.tableau import TableauCode, TableauServer
from sandbox.verdict import compare_with_report, judge, take_snapshot
from tests.scheduler import small_site
from tests.scheduler.conftest import FOLLOWING, LEAKED
from tests.statsd_listener import StatsdListener

pytestmark = pytest.mark.scheduler


@dataclass(frozen=True)
class Rotation:
    """A run that is over, and what was found afterwards."""

    end: Progress
    report: dict[str, Any]
    wrong_in_tableau: list[str]
    wrong_in_report: list[str]
    writes: int  # updates that Tableau accepted


def rotate(airflow: LocalAirflow, tableau: TableauServer, run_id: str, done: str, **params: object) -> Rotation:
    site = tableau.state.site
    before, writes_before = take_snapshot(site), _writes(tableau)
    airflow.api.unpause(stage.DAG_ID)
    airflow.api.trigger(stage.DAG_ID, stage.conf(site.credentials.values(), **params), run_id)
    end = airflow.api.wait_for_run(stage.DAG_ID, run_id, timeout=400)
    folder = airflow.home / "credential_rotation" / stage.DAG_ID / run_id
    report = json.loads((folder / "report.json").read_text())
    return Rotation(
        end,
        report,
        wrong_in_tableau=list(judge(before, site, site.credentials).differences),
        wrong_in_report=compare_with_report(site, site.credentials, report, done),
        writes=_writes(tableau) - writes_before,
    )


def _writes(tableau: TableauServer) -> int:
    return sum(len(connection.writes) for _, connection in tableau.state.site.connections())


@pytest.fixture(scope="module")
def dry_run(airflow: LocalAirflow, tableau: TableauServer, argument_watch: ArgumentWatch) -> Rotation:
    return rotate(airflow, tableau, "dry_run", "planned", dry_run=True)


@pytest.fixture(scope="module")
def rotation(airflow: LocalAirflow, tableau: TableauServer, dry_run: Rotation) -> Rotation:
    stage.script_faults(tableau)
    small_site.script_echoes(tableau)
    tableau.state.job_seconds = 20  # longer than a task waits for it
    return rotate(airflow, tableau, "rotation", "updated")


@pytest.fixture(scope="module")
def repeated(airflow: LocalAirflow, tableau: TableauServer, rotation: Rotation) -> Rotation:
    return rotate(airflow, tableau, "repeated", "unchanged")


def test_a_dry_run_writes_nothing(dry_run: Rotation, tableau: TableauServer) -> None:
    assert dry_run.end.run.state == "success"
    assert dry_run.writes == 0
    assert dry_run.wrong_in_report == []
    left = [text for text in dry_run.wrong_in_tableau if text.endswith("still holds the old secret")]
    assert len(left) == len(tableau.state.site.expected_targets())


def test_every_target_holds_its_new_token_and_nothing_else_was_touched(rotation: Rotation) -> None:
    assert rotation.wrong_in_tableau == []
    assert rotation.wrong_in_report == []
    assert (rotation.end.run.state, rotation.report["state"]) == ("success", "success")


def test_each_target_is_written_once(rotation: Rotation, tableau: TableauServer) -> None:
    # And one of them again: its update took effect, but its answer never came.
    assert rotation.writes == len(tableau.state.site.expected_targets()) + 1


def test_the_report_counts_right(rotation: Rotation, tableau: TableauServer) -> None:
    site = tableau.state.site
    summary = rotation.report["summary"]
    targets = len(site.expected_targets())
    assert summary["content"] == len(site.contents)
    assert summary["connections"] == sum(1 for _ in site.connections())
    assert summary["targets"] == summary["updated"] == targets
    assert sum(summary["excluded"].values()) == summary["connections"] - targets
    canaries = [row["snowflake_conn_id"] for row in rotation.report["connections"] if row["canary"]]
    assert sorted(canaries) == sorted(map(stage.snowflake_conn_id, site.credentials.values()))


def test_the_brief_report_is_an_xcom(rotation: Rotation, airflow: LocalAirflow) -> None:
    brief = airflow.api.xcom(stage.DAG_ID, "rotation", "report")
    assert brief["summary"] == rotation.report["summary"]


def test_all_faults_happened_and_two_of_them_show_as_retries(
    rotation: Rotation, airflow: LocalAirflow, tableau: TableauServer
) -> None:
    assert tableau.faults.left() == 0
    attempted_twice = [row for row in rotation.report["connections"] if row["attempts"] > 1]
    assert len(attempted_twice) == 2
    # Others may have been held up by these two (max_failures), and then had a second try, too.
    again = [task for task in rotation.end.tasks if task.try_number > 1]
    assert len(again) >= 2
    for task in again:
        tries = airflow.api.tries(stage.DAG_ID, "rotation", task.task_id, task.map_index)
        assert (tries[0].state, tries[-1].state) == ("failed", "success")


def test_the_sign_ins_are_few(rotation: Rotation) -> None:
    # One, and another for the session that was lost on purpose; each task of its own would be dozens.
    assert rotation.report["sign_ins"] <= 3


def test_a_second_run_finds_nothing_left_to_do(repeated: Rotation) -> None:
    assert repeated.end.run.state == "success"
    assert repeated.wrong_in_tableau == []
    assert repeated.wrong_in_report == []
    assert repeated.writes == 0


def test_its_metrics_arrive_where_airflow_s_do(
    repeated: Rotation, tableau: TableauServer, statsd: StatsdListener
) -> None:
    heard, targets = statsd.heard(), len(tableau.state.site.expected_targets())
    assert (heard["run.targets"], heard["run.unchanged"], heard["run.failed"]) == (
        f"{targets}|g",
        f"{targets}|g",
        "0|g",
    )
    assert heard["unchanged.snowflake_bi.tableau_default"] == f"{len(tableau.state.site.expected_targets('bi'))}|g"
    assert heard["run.requests"] == f"{repeated.report['requests']}|g"
    assert heard["run.duration"].endswith("|ms")


def test_a_dag_that_follows_runs_after_each_green_run_but_not_after_a_dry_one(
    dry_run: Rotation, rotation: Rotation, repeated: Rotation, airflow: LocalAirflow
) -> None:
    deadline = time.monotonic() + 60
    while not all(run.finished for run in airflow.api.dag_runs(FOLLOWING)) or len(airflow.api.dag_runs(FOLLOWING)) < 2:
        assert time.monotonic() < deadline, airflow.api.dag_runs(FOLLOWING)
        time.sleep(0.5)
    said = [airflow.api.logs(FOLLOWING, run.run_id, "tell") for run in airflow.api.dag_runs(FOLLOWING)]
    for run, number in ((rotation, rotation.report["summary"]["updated"]), (repeated, 0)):
        words = f"{number} connections embed a new token since {run.report['run_id']}"
        assert len([log for log in said if words in log]) == 1
    assert not any(dry_run.report["run_id"] in log for log in said)


def test_a_refresh_is_waited_for_without_a_worker(
    rotation: Rotation, airflow: LocalAirflow, tableau: TableauServer
) -> None:
    assert [row["proof"] for row in rotation.report["connections"] if row["canary"]] == ["refresh_job", "refresh_job"]
    assert tableau.requests.count("refresh", status=202) == 2
    canaries = [task for task in rotation.end.tasks if task.task_id == "validate_one"]
    assert [(task.state, task.try_number) for task in canaries] == [("success", 1)] * 2
    for task in canaries:
        log = airflow.api.logs(stage.DAG_ID, "rotation", task.task_id, 1, task.map_index)
        assert "Looking again in" in log
        assert "UP_FOR_RESCHEDULE" in log


@pytest.fixture(scope="module")
def answered(airflow: LocalAirflow, tableau: TableauServer, repeated: Rotation) -> dict[str, Rotation]:
    """Two runs about a few connections, of which a person lets the one go on and not the other."""
    tableau.state.job_seconds = 0
    narrow = {"content_name": "bi o*", "snowflake_conn_ids": ["snowflake_bi"], "force": True}
    runs = {}
    for option in ("Reject", "Approve"):
        with ThreadPoolExecutor(1) as person:
            said = person.submit(_answer, airflow, option)
            runs[option] = rotate(airflow, tableau, option, "updated", require_approval=True, **narrow)
            said.result()
    return runs


def _answer(airflow: LocalAirflow, option: str) -> None:
    """What a person does in the UI: by Airflow's REST API, once it is asked."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if option in {run.run_id for run in airflow.api.dag_runs(stage.DAG_ID)}:
            asked = [task for task in airflow.api.task_instances(stage.DAG_ID, option) if task.task_id == "approve"]
            if asked and asked[0].state == "awaiting_input":
                # No person is that quick; a task that goes on before the scheduler has noticed that it waits is taken
                # for one that was lost, and asks again.
                time.sleep(3)
                airflow.api.answer(stage.DAG_ID, option, "approve", option)
                return
        time.sleep(0.5)
    raise AssertionError("nobody was asked")


def test_after_a_no_nothing_more_is_written_and_the_report_says_who_said_it(answered: dict[str, Rotation]) -> None:
    run = answered["Reject"]
    assert run.end.run.state == "failed"
    assert (run.report["summary"]["updated"], run.writes) == (1, 1)
    left = [row for row in run.report["connections"] if row["outcome"] == "not_attempted"]
    assert len(left) == 5
    assert all("not approved (by admin" in row["reason"] for row in left)


def test_after_a_yes_the_rest_is_written(answered: dict[str, Rotation]) -> None:
    run = answered["Approve"]
    assert (run.end.run.state, run.report["summary"]["updated"], run.writes) == ("success", 6, 6)


def test_no_secret_can_be_read_anywhere(
    answered: dict[str, Rotation],
    repeated: Rotation,
    airflow: LocalAirflow,
    tableau: TableauServer,
    argument_watch: ArgumentWatch,
) -> None:
    sessions = session_tokens(tableau)
    assert sessions, "no request carried a session token, so a leak of one could not be seen"
    scanner = Scanner(small_site.secrets(tableau.state) | sessions)
    assert scanner.folder(airflow.home) == []
    assert scanner.processes() == []
    assert argument_watch.looks > 10
    assert argument_watch.findings == set()


def test_a_leak_would_be_seen(airflow: LocalAirflow) -> None:
    airflow.api.unpause("leaky")
    run_id = airflow.api.trigger("leaky")
    assert airflow.api.wait_for_run("leaky", run_id, timeout=120).run.state == "success"
    findings = Scanner({"leaked": LEAKED}).folder(airflow.home)
    places = {finding.place for finding in findings}
    assert "airflow.db, table xcom, column value" in places
    assert any(finding.form.startswith("base64") and "into_the_log" in finding.place for finding in findings)


@pytest.fixture(scope="module")
def resumed(airflow: LocalAirflow, tableau: TableauServer, repeated: Rotation) -> tuple[Rotation, Rotation]:
    """A run of which two updates are refused; and the same run after a person has cleared only what failed."""
    others = [target for target in tableau.state.site.expected_targets() if target.content_type == "workbook"][:2]
    for target in others:
        refusal = TableauCode("400039", "The connection is not editable.")
        tableau.faults.script("update_connection", refusal, {"connection_id": target.connection_id})
    red = rotate(airflow, tableau, "resumed", "updated", force=True, max_failures=5)
    before, writes_before = take_snapshot(tableau.state.site), _writes(tableau)
    airflow.api.clear(stage.DAG_ID, "resumed", only_failed=True)
    end = airflow.api.wait_for_run(stage.DAG_ID, "resumed", timeout=400)
    site = tableau.state.site
    report = json.loads((airflow.home / "credential_rotation" / stage.DAG_ID / "resumed" / "report.json").read_text())
    green = Rotation(
        end,
        report,
        wrong_in_tableau=list(judge(before, site, site.credentials).differences),
        wrong_in_report=compare_with_report(site, site.credentials, report, "updated"),
        writes=_writes(tableau) - writes_before,
    )
    return red, green


def test_clearing_only_what_failed_does_only_that(resumed: tuple[Rotation, Rotation]) -> None:
    red, green = resumed
    assert (red.end.run.state, red.report["summary"]["failed"]) == ("failed", 2)
    assert green.end.run.state == "success"
    assert green.writes == 2
    assert green.wrong_in_report == []
    again = [task for task in green.end.tasks if task.try_number > 1]
    assert sorted(task.task_id for task in again) == ["report", "update_connections", "update_connections"]
