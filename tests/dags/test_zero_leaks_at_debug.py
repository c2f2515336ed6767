"""Both DAGs in an Airflow that logs everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import stage
from sandbox.leaks import Scanner
from sandbox.snowflake import SnowflakeServer, make_key_pair, snowflake_behind
from sandbox.tableau import TableauServer
from tests.dags.airflow_under_test import AirflowUnderTest
from tests.dags.small_tableau import ETL, small_tableau


@pytest.fixture
def talkative(tmp_path: Path) -> Iterator[AirflowUnderTest]:
    """An Airflow whose loggers are all at DEBUG, its driver's and its HTTP library's, too."""
    airflow = AirflowUnderTest(tmp_path, AIRFLOW__LOGGING__LOGGING_LEVEL="DEBUG")
    airflow.start()
    yield airflow
    airflow.stop()


def test_no_secret_can_be_read_though_all_is_logged(talkative: AirflowUnderTest) -> None:
    keys = make_key_pair()
    with TableauServer(small_tableau(ETL)) as tableau:
        site = tableau.state.site
        with SnowflakeServer(snowflake_behind(tableau.state, keys)) as snowflake:
            connections = stage.renewal_connections(tableau.port, snowflake.port, site, keys.private)
            environment = stage.renewal_environment(site, snowflake) | {"CREDENTIAL_ROTATION_SNOWFLAKE_CHECK": "on"}
            for dag in (stage.RENEWAL_DAG_ID, stage.DAG_ID):
                conf = stage.conf([ETL], **({} if dag == stage.RENEWAL_DAG_ID else {"connections_per_task": 5}))
                run = talkative.run(conf, connections, environment=environment, dag=dag)
                assert run.state == "success", run.report
            tokens = snowflake.state.accounts[ETL.account].user(ETL.login).tokens
    secrets = {f"token {token.name}": token.secret for token in tokens}
    secrets |= {"key": "".join(keys.private.splitlines()[1:3]), "Tableau PAT": stage.TABLEAU_PAT_SECRET}
    secrets |= {f"session {number}": each for number, each in enumerate(_sessions(tableau))}
    said = talkative.log.read_text()
    assert "[debug" in said
    assert "snowflake.connector" in said
    assert len(secrets) >= 5
    assert Scanner(secrets).folder(talkative.home) == []


def _sessions(tableau: TableauServer) -> set[str]:
    return {str(entry.session) for entry in tableau.requests if entry.session}
