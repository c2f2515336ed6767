"""What the page in the Airflow UI reads: files that runs have left, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from credential_rotation.announcements import ROTATION
from credential_rotation.fleet.conditions import Standing, conditions_of
from credential_rotation.fleet.files import FleetFiles
from credential_rotation.fleet.learning import key_of
from credential_rotation.fleet.model import (
    ConnectionEvent,
    ConnectionHistory,
    Fleet,
    FleetRow,
    SiteBrief,
    TokenBrief,
)
from credential_rotation.fleet.site_state import SiteState, UserState
from credential_rotation.renewals import Renewal, Renewals
from credential_rotation.run_folder import RunFolder
from credential_rotation.triggering_events import RENEWAL

DAG_IDS = (ROTATION, RENEWAL)


def read_fleet(reports: str, now: datetime) -> Fleet:
    """All users and sites, and the latest runs of both DAGs."""
    files = FleetFiles(reports)
    sites, runs = files.sites(), {dag_id: files.runs(dag_id) for dag_id in DAG_IDS}
    in_force = _InForce(sites, Renewals(reports))
    # A user may be on many sites, and each file may be far away.
    tokens = {conn_id: _token(files, conn_id, now) for conn_id in {each for site in sites for each in site.users}}
    rows = []
    for site in sites:
        for conn_id, user in sorted(site.users.items()):
            standing = Standing(user, in_force.of(conn_id), in_force.renewal(conn_id), tokens[conn_id])
            rows.append(_row(site, conn_id, standing, now))
    return Fleet(
        rows=tuple(rows),
        runs=tuple(sorted((run for of_dag in runs.values() for run in of_dag), key=lambda run: run.ended_at)[::-1]),
        sites=tuple(
            SiteBrief(site.site_key, site.site, site.tableau_conn_id, site.excluded, site.last_run) for site in sites
        ),
    )


def read_run(reports: str, dag_id: str, run_id: str) -> dict[str, Any] | None:
    """The report of a run; None where there is none."""
    if dag_id not in DAG_IDS:
        return None
    report = RunFolder(dag_id, run_id, reports).read("report.json")
    return report if isinstance(report, dict) else None


def read_connection(reports: str, site_key: str, content_id: str, connection_id: str) -> ConnectionHistory | None:
    """What runs did about a connection; None where none knows it as a target."""
    files = FleetFiles(reports)
    runs, targets = files.targets(site_key, containing=json.dumps(connection_id, ensure_ascii=False))
    values = next((each for each in targets if key_of(each) == f"{content_id}/{connection_id}"), None)
    if values is None:
        return None
    site, conn_id = files.site(site_key), str(values["snowflake_conn_id"])
    events = []
    for number, outcome, proof, reason, attempts, canary in reversed(values["events"]):
        run_id, at = runs.get(number, ("", ""))
        events.append(ConnectionEvent(run_id, at, outcome, proof, reason, attempts, canary))
    token, held = _InForce(files.sites(), Renewals(reports)).of(conn_id), values.get("token")
    shown = {name: value for name, value in values.items() if name not in ("events", "token")}
    return ConnectionHistory(
        **shown,
        site_key=site_key,
        site=site.site,
        tableau_conn_id=site.tableau_conn_id,
        holds_current=held == token if held and token else None,
        events=tuple(events),
    )


def count_holding(reports: str, conn_id: str, token: str | None) -> tuple[int, int] | None:
    """How many connections are not known to embed a token, of how many targets; None where no run has seen any.

    :param token: its fingerprint
    """
    users = [site.users[conn_id] for site in FleetFiles(reports).sites() if conn_id in site.users]
    targets = sum(user.targets for user in users)
    return (targets - sum(user.holding.get(token or "", 0) for user in users), targets) if targets else None


class _InForce:
    """Which token of each credential is in force, as far as runs have told: on any site, or by a renewal."""

    def __init__(self, sites: list[SiteState], renewals: Renewals) -> None:
        self._renewals = renewals
        self._known: dict[str, Renewal] = {}
        self._seen: dict[str, UserState] = {}
        for site in sites:
            for conn_id, user in site.users.items():
                known = self._seen.get(conn_id)
                if known is None or user.seen_at > known.seen_at:
                    self._seen[conn_id] = user

    def renewal(self, conn_id: str) -> Renewal:
        """The latest renewal of a credential."""
        if conn_id not in self._known:
            self._known[conn_id] = self._renewals.renewal(conn_id)
        return self._known[conn_id]

    def of(self, conn_id: str) -> str:
        """The fingerprint of its token in force; empty where no run has told."""
        seen, renewal = self._seen.get(conn_id), self.renewal(conn_id)
        if renewal.token and (seen is None or (renewal.renewed_at or "") >= seen.seen_at):
            return renewal.token
        return seen.token if seen else ""


def _row(site: SiteState, conn_id: str, standing: Standing, now: datetime) -> FleetRow:
    user = standing.user
    return FleetRow(
        snowflake_conn_id=conn_id,
        user=user.login,
        tableau_conn_id=site.tableau_conn_id,
        site=site.site,
        site_key=site.site_key,
        targets=user.targets,
        current=standing.current,
        old=standing.old,
        failed=user.failed,
        excluded=user.excluded,
        token=standing.token,
        conditions=conditions_of(standing, now),
        last_run=user.last_run,
    )


def _token(files: FleetFiles, conn_id: str, now: datetime) -> TokenBrief | None:
    """How a token stands, its days counted from now."""
    token = files.token(conn_id)
    if token is None or token.expires_at is None:
        return token
    left = datetime.fromisoformat(token.expires_at) - now
    return replace(token, days_left=round(left / timedelta(days=1), 2))
