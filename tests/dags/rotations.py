"""Whole runs of the DAG against a sandbox Tableau, and what to look at afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox import stage
from sandbox.tableau import ADMIN_PASSWORD, TABLEAU_PAT_SECRET, SandboxCredential, TableauServer, TableauState
from tests.dags.airflow_under_test import AirflowUnderTest, Run

Connections = dict[str, dict[str, object]]


class Rotations:
    """Runs the DAG, and remembers every secret that a run got to see."""

    def __init__(self, airflow: AirflowUnderTest) -> None:
        self.airflow = airflow
        self.secrets = {"Tableau PAT": TABLEAU_PAT_SECRET, "Tableau password": ADMIN_PASSWORD}
        self.runs: list[Run] = []
        self._latest: TableauState | None = None

    def __call__(
        self,
        tableau: TableauServer,
        connections: Mapping[str, Mapping[str, object]] | None = None,
        answer: str | None = None,
        environment: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Run:
        site = tableau.state.site
        if self._latest is not tableau.state:
            self.airflow.forget_ledgers()
            self._latest = tableau.state
        connections = connections or stage.airflow_connections(tableau.port, site)
        conf = stage.conf(site.credentials.values(), **params)
        run = self.airflow.run(conf, connections, answer=answer, environment=environment)
        self.runs.append(run)
        for credential in site.credentials.values():
            self.secrets |= {f"{credential.name}, {each}": each for each in (credential.secret, credential.new_secret)}
        self.secrets |= {str(entry.session): str(entry.session) for entry in tableau.requests if entry.session}
        return run


def written(tableau: TableauServer) -> list[str]:
    """Every request that could change something; signing in and out changes nothing."""
    return [
        f"{entry.method} {entry.path}"
        for entry in tableau.requests
        if entry.method != "GET" and entry.operation not in ("sign_in", "sign_out")
    ]


def holds_today(tableau: TableauServer, *credentials: SandboxCredential) -> dict[str, bool]:
    """Of each target by its name: whether it embeds the new token."""
    site = tableau.state.site
    wanted = {credential.name: credential.new_secret for credential in credentials or site.credentials.values()}
    targets = [target for target in site.expected_targets() if target.credential in wanted]
    return {
        target.content_name: site.connection(target.connection_id).password == wanted[target.credential]
        for target in targets
    }
