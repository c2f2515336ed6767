"""The ledgers as files, one for each Tableau site, and how they learn what runs did.

    <reports>/ledger/

    <site>.json                 what is known to be embedded on a site
    open/<run>.json             a run whose doings the ledgers have not learned yet

The report of a run is what teaches them. Where a run was killed before, the next one does it first.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from credential_rotation.journal import read_journals
from credential_rotation.plan_files import Plan, find_plan, read_secrets
from credential_rotation.rotation.ledger import Ledger
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import Folder, RunFolder

log = logging.getLogger(__name__)

_OPEN = "open"


@dataclass(frozen=True)
class Ledgers:
    """All ledgers of this Airflow.

    :param reports: the URL below which reports are
    :param dag_id: the DAG whose runs they learn from
    """

    reports: str
    dag_id: str

    def read(self, site_key: str) -> Ledger:
        """The ledger of a site; empty where nothing is known."""
        values = self._folder.read(_name(site_key))
        return Ledger.from_dict(values["connections"]) if values else Ledger()

    def write(self, site_key: str, ledger: Ledger) -> None:
        """Keep a ledger."""
        self._folder.write(_name(site_key), {"site": site_key, "connections": ledger.as_dict()})

    def open(self, run_id: str) -> None:
        """Let a later run know that this one is about to change something."""
        self._folder.write(_open_run(run_id), {"run_id": run_id})

    def learn_from_open_runs(self) -> None:
        """Learn what runs did that ended before they could tell."""
        for name in self._folder.names(_OPEN):
            run_id = (self._folder.read(name) or {}).get("run_id")
            if run_id:
                log.info("Run %s ended before its doings were put down; that is done now.", run_id)
                self.learn_from(str(run_id))
            self._folder.remove(name)

    def updated_by(self, run_id: str) -> dict[str, ConnectionRecord]:
        """What a run updated, by connection."""
        folder = RunFolder(self.dag_id, run_id, self.reports)
        plan = find_plan(folder)
        records = read_journals(folder, plan.plan_id)[1] if plan else []
        return {record.key: record for record in records if record.outcome is Outcome.UPDATED}

    def learn_from(self, run_id: str) -> None:
        """Learn what a run did, from its files."""
        folder = RunFolder(self.dag_id, run_id, self.reports)
        plan = find_plan(folder)
        if plan is not None:
            started, done = read_journals(folder, plan.plan_id)
            for site_key in sorted(set(plan.sites.values())):
                self._learn(site_key, plan, run_id, set(started), {record.key: record for record in done})
        self._folder.remove(_open_run(run_id))

    def _learn(
        self, site_key: str, plan: Plan, run_id: str, started: Iterable[str], done: Mapping[str, ConnectionRecord]
    ) -> None:
        ledger = self.read(site_key)
        secrets = read_secrets(RunFolder(self.dag_id, run_id, self.reports), plan.plan_id)
        for target in plan.targets:
            if plan.sites.get(target.tableau_conn_id) != site_key:
                continue
            record = done.get(target.key)
            of_credential = secrets.get(str(target.snowflake_conn_id))
            if record is not None and of_credential is not None:
                ledger.learn(record, of_credential.secrets, of_credential.login, run_id)
            elif target.key in started:
                ledger.forget(target)
        self.write(site_key, ledger)

    @property
    def _folder(self) -> Folder:
        return Folder(f"{self.reports}/ledger")


def _name(site_key: str) -> str:
    readable = re.sub("[^a-z0-9.-]+", "-", site_key.partition("://")[2] or site_key).strip("-.")[:80]
    return f"{readable}-{hashlib.sha256(site_key.encode()).hexdigest()[:8]}.json"


def _open_run(run_id: str) -> str:
    return f"{_OPEN}/{hashlib.sha256(run_id.encode()).hexdigest()[:16]}.json"
