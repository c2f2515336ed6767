"""A stand-in for a mapped task of a run that has its plan, against a sandbox Tableau."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseHook

from credential_rotation.fingerprint import Fingerprints
from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.ledgers import Ledgers
from credential_rotation.plan_files import Plan, write_plan
from credential_rotation.rotation.credentials import SnowflakeCredential, from_airflow_connection
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import RunFolder
from credential_rotation.settings import Settings
from credential_rotation.tableau.content import ContentType
from sandbox import stage
from sandbox.airflow_settings import connection_environment
from sandbox.tableau import SandboxCredential, Site, TableauServer
from tests.builders import rotation_params
from tests.credential_rotation.hooks.session_stores import MemoryStore

PLAN = "plan"


def targets_on(site: Site) -> list[ConnectionRecord]:
    """What a run would find there, one for each connection that a credential claims."""
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
            username=site.connection(target.connection_id).username,
            has_extracts=site.content(target.content_id).has_extracts,
            snowflake_conn_id=f"snowflake_{target.credential}",
        )
        for target in site.expected_targets()
    ]


def hold_in_airflow(monkeypatch: pytest.MonkeyPatch, *credentials: SandboxCredential) -> None:
    """Let Airflow hold these from now on, as a person would change them."""
    connections = {stage.snowflake_conn_id(each): stage.snowflake_connection(each) for each in credentials}
    for name, value in connection_environment(connections).items():
        monkeypatch.setenv(name, value)


def task_of(
    tableau: TableauServer,
    targets: Sequence[ConnectionRecord],
    credentials: Iterable[SandboxCredential],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    **params: Any,
) -> Any:
    """A task of a run that has planned these targets. What is its own may be changed: its try, its generation."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    site, planned = tableau.state.site, list(credentials)
    for name, value in connection_environment(stage.airflow_connections(tableau.port, site)).items():
        monkeypatch.setenv(name, value)
    folder, fingerprints = RunFolder("a_dag", "a_run", f"file://{tmp_path}"), Fingerprints(b"a key")
    known = [_credential(stage.snowflake_conn_id(each)) for each in planned]
    write_plan(folder, Plan(PLAN, len(targets), (), (), tuple(targets)), known, fingerprints)
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
        params=rotation_params(**params),
        is_last_try=False,
        tableau=hook,
        credential=_credential,
        fingerprints=fingerprints,
    )


def _credential(conn_id: str) -> SnowflakeCredential:
    return from_airflow_connection(BaseHook.get_connection(conn_id))
