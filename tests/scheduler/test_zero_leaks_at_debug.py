"""Both DAGs in a real Airflow of which every logger is at DEBUG, those of the driver and of HTTP, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from sandbox import stage
from sandbox.chaos.secrets import session_tokens
from sandbox.leaks import Scanner
from sandbox.playground import playground
from sandbox.tableau import build_site

pytestmark = [pytest.mark.scheduler, pytest.mark.kills]


def test_no_secret_can_be_read_though_all_is_logged(tmp_path: Path) -> None:
    site = build_site(seed=9, data_sources=4, workbooks=3, flows=1, virtual_connections=1)
    debug = {
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        # Else it logs the Variables that tasks set; then no token is kept in one (tests/dags/test_never_dark.py).
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "supervisor=INFO",
        "CREDENTIAL_ROTATION_SNOWFLAKE_CHECK": "on",
    }
    with playground(tmp_path / "airflow", console=Console(quiet=True), tableau_state=site, env=debug) as play:
        api = play.airflow.api
        for dag_id in (stage.DAG_ID, stage.RENEWAL_DAG_ID):
            api.unpause(dag_id)
        api.trigger(stage.RENEWAL_DAG_ID, {}, "renewal")
        assert api.wait_for_run(stage.RENEWAL_DAG_ID, "renewal", timeout=400).run.state == "success"
        rotation = play.started_by_the_asset()
        assert api.wait_for_run(stage.DAG_ID, rotation, timeout=400).run.state == "success"
        accounts = play.snowflake.state.accounts.values()
        tokens = [token for account in accounts for user in account.users.values() for token in user.tokens]
        secrets = {f"token {number}": token.secret for number, token in enumerate(tokens)}
        secrets |= session_tokens(play.tableau) | {"Tableau PAT": "".join(stage.TABLEAU_PAT_SECRET)}
        home = play.airflow.home
    logs = "".join(path.read_text(errors="replace") for path in home.rglob("*.log"))
    assert '"level":"debug"' in logs
    assert "snowflake.connector" in logs
    assert len(tokens) >= 6
    assert Scanner(secrets).folder(home) == []
