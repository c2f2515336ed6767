"""A Tableau, the Snowflake behind it, and runs of both DAGs."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox import stage
from sandbox.snowflake import (
    KeyPair,
    SnowflakeServer,
)
from sandbox.tableau import TableauServer, TableauState
from tests.dags.airflow_under_test import AirflowUnderTest, Run
from tests.dags.rotations import Rotations
from tests.dags.small_tableau import BI, ETL

RENEWAL = "renew_snowflake_pat"
USERS = (ETL, BI)
Serve = Callable[[TableauState], TableauServer]


# Where tokens are kept does not matter to these.
in_variables = pytest.mark.parametrize("token_store", ["variable"], indirect=True)


@dataclass
class Stage:
    """A Tableau and the Snowflake behind it, and runs of both DAGs beside them."""

    airflow: AirflowUnderTest
    rotate: Rotations
    tableau: TableauServer
    snowflake: SnowflakeServer
    keys: KeyPair
    token_store: dict[str, str]

    def connections(self) -> dict[str, dict[str, object]]:
        connections = stage.airflow_connections(self.tableau.port, self.tableau.state.site)
        where = {"host": "127.0.0.1", "port": self.snowflake.port}
        for credential in USERS:
            fields = connections[stage.snowflake_conn_id(credential)]
            fields["password"] = credential.secret
            fields["extra"] = {"account": credential.account, **where}
        key = base64.b64encode(self.keys.private.encode()).decode()
        admin = {"account": "acme-prod", "role": "TOKEN_ROTATOR", "private_key_content": key, **where}
        connections["snowflake_admin"] = {"conn_type": "snowflake", "login": "TOKEN_ROTATION", "extra": admin}
        return connections

    @property
    def environment(self) -> dict[str, str]:
        return self.snowflake.environment | {"CREDENTIAL_ROTATION_SNOWFLAKE_CHECK": "on"} | self.token_store

    def renew(self, **params: Any) -> Run:
        conf = stage.conf(USERS, **params)
        run = self.airflow.run(conf, self.connections(), environment=self.environment, dag=RENEWAL)
        for credential in USERS:
            self.rotate.secrets |= {token.secret: token.secret for token in self.tokens(credential.login)}
        return run

    def tokens(self, login: str) -> list[Any]:
        return list(self.snowflake.state.accounts["acme-prod"].user(login).tokens)

    def in_force(self, login: str) -> Any:
        return next(token for token in self.tokens(login) if token.rotated_to is None)

    def rotate_in_tableau(self, **params: Any) -> Run:
        return self.rotate(
            self.tableau, self.connections(), environment=self.environment, connections_per_task=5, **params
        )

    @property
    def dark(self) -> list[str]:
        """The content of which Tableau can't reach the data any more."""
        site = self.tableau.state.site
        targets = [target for each in USERS for target in site.expected_targets(each.name)]
        return [target.content_name for target in targets if not self._connects(target.connection_id)]

    def _connects(self, connection_id: str) -> bool:
        connection = self.tableau.state.site.connection(connection_id)
        return self.snowflake.state.sign_in(
            address=connection.server_address,
            user=connection.username,
            secret=connection.password or "",
            client="tableau",
        ).ok


def said(run: Run) -> str:
    """All that its report says, in one text."""
    return json.dumps(run.report)
