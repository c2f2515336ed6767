"""What every DAG of this package keeps to, in a stock Airflow that knows of the dags and plugins folders alone."""

from __future__ import annotations

import ast
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.dags.airflow_under_test import DAG_ID, REPOSITORY, AirflowUnderTest

Facts = dict[str, Any]

# Of the contract; plan_updates and check_params are between them.
TASKS = {"discover", "filter_connections", "validate_one", "approve", "update_connections", "report"}


def _load(home: Path, **environment: str) -> Facts:
    facts: Facts = json.loads(AirflowUnderTest(home).script("dag_facts.py", **environment).splitlines()[-1])
    return facts


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return _load(tmp_path_factory.mktemp("stock_airflow"))


@pytest.fixture
def rotation(facts: Facts) -> Facts:
    found: Facts = facts["dags"][DAG_ID]
    return found


def test_every_file_is_imported_without_an_error(facts: Facts) -> None:
    assert facts["import_errors"] == {}
    assert facts["plugin_errors"] == {}
    assert DAG_ID in facts["dags"]


def test_nothing_deprecated_is_used(facts: Facts) -> None:
    assert facts["warnings"] == []


def test_a_file_is_parsed_in_under_a_second_of_its_own(facts: Facts) -> None:
    assert facts["seconds"] < 1


def test_parsing_asks_nobody_and_writes_nothing(facts: Facts) -> None:
    assert facts["touched"] == []


def test_each_library_module_is_imported_once_under_its_own_name(facts: Facts) -> None:
    library = {path: names for path, names in facts["modules"].items() if path.startswith("credential_rotation/")}
    assert len(library) > 20
    for path, names in library.items():
        assert names == [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")]


def test_each_dag_says_what_it_is(facts: Facts) -> None:
    for dag_id, dag in facts["dags"].items():
        assert dag["doc"], dag_id
        assert {"snowflake", "credentials"} <= set(dag["tags"]), dag_id


def test_no_dag_runs_twice_at_once_or_for_days_gone_by(facts: Facts) -> None:
    for dag_id, dag in facts["dags"].items():
        assert (dag["max_active_runs"], dag["catchup"]) == (1, False), dag_id


def test_each_param_explains_itself(facts: Facts) -> None:
    for dag_id, dag in facts["dags"].items():
        for name, schema in dag["params"].items():
            assert all(schema.get(key) for key in ("title", "section", "description_md")), f"{dag_id}: {name}"


def test_each_task_ends_some_time_and_fails_by_our_policy(facts: Facts) -> None:
    for dag_id, dag in facts["dags"].items():
        for task_id, task in dag["tasks"].items():
            assert task["timeout"], f"{dag_id}: {task_id}"
            assert task["retries"] is not None, f"{dag_id}: {task_id}"
            assert task["policy"] == "RotationRetryPolicy", f"{dag_id}: {task_id}"


def test_the_tasks_are_those_of_the_contract(rotation: Facts) -> None:
    tasks = rotation["tasks"]
    assert set(tasks) >= TASKS
    assert {task_id for task_id, task in tasks.items() if task["mapped"]} == {
        "discover",
        "validate_one",
        "update_connections",
    }


def test_nothing_is_written_before_everything_was_read_and_one_was_validated(rotation: Facts) -> None:
    tasks = rotation["tasks"]
    order = ["check_params", "discover", "filter_connections", "validate_one", "approve", "plan_updates"]
    order += ["update_connections", "report", "sign_out"]
    assert set(order) == set(tasks)
    for task_id, following in itertools.pairwise(order):
        assert following in tasks[task_id]["downstream"]
    # The report also waits for each site to be read: where one fails, the other's traffic is to be in it.
    assert set(tasks["discover"]["downstream"]) == {"filter_connections", "report"}


def test_what_talks_to_tableau_is_tried_again(rotation: Facts) -> None:
    assert all(
        rotation["tasks"][task_id]["retries"] > 1 for task_id in ("discover", "validate_one", "update_connections")
    )


def test_the_report_is_made_whatever_happened_and_decides_the_colour_of_the_run(rotation: Facts) -> None:
    assert rotation["tasks"]["report"]["trigger_rule"].lower().endswith("all_done")
    # A teardown is no leaf: its success can not make a red run green.
    assert rotation["tasks"]["report"]["downstream"] == ["sign_out"]
    assert rotation["tasks"]["sign_out"]["teardown"]


def test_the_dags_are_linked_by_assets_as_airflow_and_lineage_see_them(facts: Facts) -> None:
    assert facts["dags"]["renew_snowflake_pat"]["dependencies"] == ["renew_snowflake_pat -> asset: snowflake_pat"]
    # An alias, since a task whose outlet is the asset itself emits it after a dry run, too.
    assert facts["dags"][DAG_ID]["dependencies"] == [
        f"asset -> {DAG_ID}: snowflake_pat",
        f"{DAG_ID} -> asset-alias: snowflake_pat_in_tableau",
    ]
    outlets = {task_id: task["outlets"] for task_id, task in facts["dags"][DAG_ID]["tasks"].items() if task["outlets"]}
    assert outlets == {"report": ["AssetAlias snowflake_pat_in_tableau"]}


def test_updates_are_bounded_by_the_setting(rotation: Facts, tmp_path: Path) -> None:
    assert rotation["tasks"]["update_connections"]["at_once"] == 8
    changed = _load(tmp_path, CREDENTIAL_ROTATION_MAX_PARALLEL_TASKS="3")
    assert changed["dags"][DAG_ID]["tasks"]["update_connections"]["at_once"] == 3


def test_a_setting_that_can_not_be_used_is_an_import_error_that_names_it(tmp_path: Path) -> None:
    airflow = AirflowUnderTest(tmp_path)
    with pytest.raises(AssertionError, match="CREDENTIAL_ROTATION_REQUESTS_IN_FLIGHT must be a number"):
        airflow.script("dag_facts.py", CREDENTIAL_ROTATION_REQUESTS_IN_FLIGHT="lots")


def test_a_dag_file_holds_no_logic() -> None:
    logic = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.Match, ast.Lambda)
    for file in (REPOSITORY / "dags").glob("*.py"):
        found = [node.lineno for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, logic)]
        assert found == [], file.name
