"""What a mapped task does with its targets when their token is no longer the one that was validated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from credential_rotation.failure_marks import FailureMarks
from credential_rotation.fingerprint import Fingerprints
from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.journal import read_journals
from credential_rotation.ledgers import Ledgers
from credential_rotation.plan_files import Plan, write_plan
from credential_rotation.retry_policy import ConnectionsFailed
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import RunFolder
from credential_rotation.settings import Settings
from credential_rotation.tableau.content import ContentType
from credential_rotation.task_context import credential
from credential_rotation.updating import update_targets
from sandbox import stage
from sandbox.airflow_settings import connection_environment
from sandbox.tableau import TableauServer
from tests.builders import rotation_params
from tests.credential_rotation.hooks.session_stores import MemoryStore
from tests.dags.small_tableau import BI, ETL, small_tableau


@pytest.fixture
def tableau() -> Iterator[TableauServer]:
    with TableauServer(small_tableau(ETL, BI)) as server:
        yield server


@pytest.fixture
def targets(tableau: TableauServer) -> list[ConnectionRecord]:
    site = tableau.state.site
    return [
        ConnectionRecord(
            tableau_conn_id="tableau_default",
            site=site.content_url,
            content_type=ContentType(target.content_type),
            content_id=target.content_id,
            content_name=target.content_name,
            project="",
            owner="",
            connection_id=target.connection_id,
            server_address=site.connection(target.connection_id).server_address,
            server_port="",
            username="",
            snowflake_conn_id=f"snowflake_{target.credential}",
        )
        for target in site.expected_targets()
    ]


@pytest.fixture
def task(
    tableau: TableauServer, targets: list[ConnectionRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """A task of a run that has planned these targets; afterwards the token of BI was changed in Airflow."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    connections = stage.airflow_connections(tableau.port, tableau.state.site)
    for name, value in connection_environment(connections).items():
        monkeypatch.setenv(name, value)
    folder = RunFolder("a_dag", "a_run", f"file://{tmp_path}")
    fingerprints = Fingerprints(b"a key")
    planned = [credential(conn_id) for conn_id in ("snowflake_etl", "snowflake_bi")]
    write_plan(folder, Plan("plan", 6, (), (), tuple(targets)), planned, fingerprints)
    changed = stage.snowflake_connection(replace(BI, new_secret="pasted-by-mistake"))
    for name, value in connection_environment({"snowflake_bi": changed}).items():
        monkeypatch.setenv(name, value)
    store = MemoryStore()

    @contextmanager
    def hook(conn_id: str, **_: object) -> Iterator[TableauHook]:
        yield TableauHook(conn_id, session_store=store)

    return SimpleNamespace(
        folder=folder,
        run_id="a_run",
        generation="now",
        ledgers=Ledgers(f"file://{tmp_path}", "a_dag"),
        name="a_task",
        settings=Settings.from_environment(stage.ENVIRONMENT),
        params=rotation_params(canary_proof="saved"),
        is_last_try=False,
        tableau=hook,
        credential=credential,
        fingerprints=fingerprints,
    )


def test_of_a_token_that_was_changed_nothing_is_written_and_the_other_credential_goes_on(
    tableau: TableauServer, task: Any, targets: list[ConnectionRecord]
) -> None:
    marks = FailureMarks(task.folder, "plan", "now")
    with pytest.raises(ConnectionsFailed, match="the token was changed"):
        update_targets(task, "plan", "batch", targets, in_flight=2, marks=marks, budget=0)
    _, records = read_journals(task.folder, "plan")
    outcomes = {(record.snowflake_conn_id, record.outcome) for record in records}
    assert outcomes == {("snowflake_etl", Outcome.UPDATED), ("snowflake_bi", Outcome.NOT_ATTEMPTED)}
    assert all("the token was changed" in str(r.reason) for r in records if r.snowflake_conn_id == "snowflake_bi")
    held = {tableau.state.site.connection(str(r.connection_id)).password for r in records}
    assert held == {ETL.new_secret, BI.secret}


def test_a_canary_whose_token_was_changed_fails_and_is_not_skipped(task: Any, targets: list[ConnectionRecord]) -> None:
    canary = next(target for target in targets if target.snowflake_conn_id == "snowflake_bi")
    with pytest.raises(ConnectionsFailed, match="the token was changed"):
        update_targets(task, "plan", "canary", [canary], in_flight=1, marks=None)
