"""What all rounds share: an Airflow, a Tableau and a Snowflake, and a server to which nothing may come."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox import stage
from sandbox.chaos.elsewhere import Elsewhere
from sandbox.local_airflow import LocalAirflow
from sandbox.snowflake import SnowflakeServer
from sandbox.snowflake.believable import KeyPair, make_key_pair, snowflake_behind
from sandbox.supervising import ENVIRONMENT
from sandbox.tableau import TableauServer, TableauState, build_site

# For the seconds that a fault may add: longer than a request of these rounds waits for an answer.
TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Servers:
    """All of them, started."""

    airflow: LocalAirflow
    tableau: TableauServer
    snowflake: SnowflakeServer
    elsewhere: Elsewhere
    key: KeyPair

    def serve(self, state: TableauState) -> None:
        """Let this be the Tableau from now on, with a Snowflake behind it that knows the old and the new tokens."""
        self.snowflake.state = snowflake_behind(state, self.key, with_next=True)
        self.tableau.state = state
        self.tableau.requests.clear()
        self.elsewhere.requests.clear()
        connection = stage.tableau_connection(self.tableau.port, state.site)
        extra = {"site": state.site.content_url, "auth": "pat", "timeout": TIMEOUT_SECONDS}
        self.airflow.api.put_connection(stage.TABLEAU_CONN_ID, connection | {"extra": extra})


@contextlib.contextmanager
def started(home: Path) -> Iterator[Servers]:
    """Start them; the Tableau is one that no round will use."""
    state, key = build_site(content_url="nowhere"), make_key_pair()
    with TableauServer(state) as tableau, Elsewhere() as elsewhere, SnowflakeServer() as snowflake:
        connections = stage.airflow_connections(tableau.port, state.site)
        for credential in state.site.credentials.values():
            fields = stage.snowflake_connection(credential, host="127.0.0.1", port=snowflake.port)
            connections[stage.snowflake_conn_id(credential)] = fields
        env = ENVIRONMENT | snowflake.environment | {"CREDENTIAL_ROTATION_SNOWFLAKE_CHECK": "on"}
        with LocalAirflow(home, dag_ids=[stage.DAG_ID], connections=connections, env=env) as airflow:
            yield Servers(airflow, tableau, snowflake, elsewhere, key)
