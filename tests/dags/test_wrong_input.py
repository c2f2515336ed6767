"""Wrong input is one clear error, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox import stage
from sandbox.tableau import TableauServer
from tests.dags.rotations import Connections, Rotations, holds_today, written


def _without(connections: Connections, conn_id: str) -> Connections:
    return {name: fields for name, fields in connections.items() if name != conn_id}


def _changed(connections: Connections, conn_id: str, **fields: object) -> Connections:
    return connections | {conn_id: connections[conn_id] | fields}


WRONG_INPUT: dict[str, tuple[Callable[[Connections], Connections], dict[str, Any], tuple[str, ...]]] = {
    "an unknown param": (lambda c: c, {"dryrun": True}, ("'dryrun'", "did you mean 'dry_run'?")),
    "an unknown Snowflake connection": (
        lambda c: _without(c, "snowflake_bi"),
        {},
        ("there is no Airflow connection 'snowflake_bi'",),
    ),
    "an unknown Tableau connection": (
        lambda c: c,
        {"tableau_conn_ids": ["tableau_defualt"]},
        ("there is no Airflow connection 'tableau_defualt'",),
    ),
    "no Snowflake password": (
        lambda c: _changed(c, "snowflake_bi", password=""),
        {},
        ("'snowflake_bi'", "password is empty"),
    ),
    "a connection to something else": (
        lambda c: _changed(c, "snowflake_bi", conn_type="aws"),
        {},
        ("'snowflake_bi'", "its type is 'aws'", "'credential_rotation'"),
    ),
    "no Tableau password": (
        lambda c: _changed(c, "tableau_default", password=""),
        {},
        ("'tableau_default'", "password is empty"),
    ),
    "a bad URL": (
        lambda c: _changed(c, "tableau_default", host="https://tab leau.acme.example"),
        {},
        ("'tableau_default'", "host is no valid address"),
    ),
    "an unknown site": (
        lambda c: _changed(c, "tableau_default", extra={"site": "acmee", "auth": "pat"}),
        {},
        ("401001", "'tableau_default'", "'acmee'"),
    ),
    "a wrong sign-in": (
        lambda c: _changed(c, "tableau_default", password="not-the-secret"),
        {},
        ("401001", "'tableau_default'"),
    ),
    "an unknown LUID": (
        lambda c: c,
        {"ids": ["11111111-2222-3333-4444-555555555555"]},
        ("ids", "11111111-2222-3333-4444-555555555555"),
    ),
    "an unknown LUID to validate on": (lambda c: c, {"validate_on": "1111"}, ("validate_on", "1111")),
    "two credentials for one target": (
        lambda c: _changed(c, "snowflake_bi", login="etl_user"),
        {},
        ("snowflake_bi", "snowflake_etl", "More than one credential"),
    ),
    "a share that is none": (lambda c: c, {"max_failures": "10 percent"}, ("max_failures", "10 percent")),
    "the same connection twice": (
        lambda c: c,
        {"snowflake_conn_ids": ["snowflake_etl", "snowflake_etl"]},
        ("snowflake_etl twice",),
    ),
    "a run to roll back without a roll-back": (lambda c: c, {"roll_back_run": "manual__1"}, ("roll_back is off",)),
}


@pytest.mark.parametrize("wrong", WRONG_INPUT)
def test_wrong_input_is_one_clear_error_and_nothing_is_written(
    rotate: Rotations, tableau: TableauServer, wrong: str
) -> None:
    change, params, words = WRONG_INPUT[wrong]
    run = rotate(tableau, change(stage.airflow_connections(tableau.port, tableau.state.site)), **params)
    assert (run.state, run.report["state"]) == ("failed", "failed")
    assert written(tableau) == []
    assert set(holds_today(tableau).values()) == {False}
    nothing_written, *problems = run.report["problems"]
    assert nothing_written == "Nothing was written to Tableau."
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0]
    assert tableau.requests.count("sign_in") <= 1  # accounts get locked
    # What can't get better by itself is not tried again.
    assert {task["tries"] for task in run.tasks if task["state"] == "failed" and task["task_id"] != "report"} == {1}
