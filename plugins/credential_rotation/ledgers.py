"""The ledgers as files, one for each Tableau site, and how they learn what runs did.

    <reports>/ledger/

    <site>.json                 what is known to be embedded on a site
    open/<run>.json             a run whose doings the ledgers have not learned yet

The report of a run is what teaches them. Where a run was killed before, the next one does it first.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from credential_rotation.file_names import file_named_after
from credential_rotation.journal import read_journals
from credential_rotation.plan_files import PlannedCredential, plans_of, read_batches, read_secrets, read_sites
from credential_rotation.rotation.ledger import Ledger
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import Folder, RunFolder

log = logging.getLogger(__name__)

_OPEN = "open"
# Of the ledgers: what another one says may mean something else.
_VERSION = 1
# What it is to read a file that somebody else, or another version of this package, wrote.
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Ledgers:
    """All ledgers of this Airflow.

    :param reports: the URL below which reports are
    :param dag_id: the DAG whose runs they learn from
    """

    reports: str
    dag_id: str

    def read(self, site_key: str) -> Ledger:
        """The ledger of a site; empty where nothing is known, or nobody can tell what a file says."""
        name = file_named_after(site_key)
        values = self._folder.read(name)
        if values is None:
            return Ledger()
        try:
            if values["version"] != _VERSION:
                raise ValueError("another version")
            return Ledger.from_dict({key: _whole(entry) for key, entry in values["connections"].items()})
        except _UNREADABLE as problem:
            log.warning("The ledger %s can't be read (%s): all is updated again.", name, type(problem).__name__)
            return Ledger()

    def all(self) -> list[Ledger]:
        """The ledgers of all sites."""
        keys = [(self._folder.read(name) or {}).get("site") for name in self._folder.names("")]
        return [self.read(key) for key in keys if isinstance(key, str)]

    def write(self, site_key: str, ledger: Ledger) -> None:
        """Keep a ledger."""
        values = {"version": _VERSION, "site": site_key, "connections": ledger.as_dict()}
        self._folder.write(file_named_after(site_key), values)

    def open(self, run_id: str) -> None:
        """Let a later run know that this one is about to change something."""
        self._folder.write(_open_run(run_id), {"run_id": run_id})

    def learn_from_open_runs(self) -> None:
        """Learn what runs did that ended before they could tell."""
        for name in self._folder.names(_OPEN):
            values = self._folder.read(name)
            if isinstance(values, dict) and (run_id := values.get("run_id")):
                log.info("Run %s ended before its doings were put down; that is done now.", run_id)
                self.learn_from(str(run_id))
            self._folder.remove(name)

    def updated_by(self, run_id: str) -> dict[str, ConnectionRecord]:
        """What a run updated, by connection, each as it was before the run: as the first plan that led to it says."""
        found: dict[str, ConnectionRecord] = {}
        for doings in self._doings_of(run_id):
            # What failed after it was written needs to be put back most, and so does what nobody knows of.
            updated = [each for each in doings.records if each.touched and each.outcome is not Outcome.ROLLED_BACK]
            for record in (*updated, *doings.unknown):
                found.setdefault(record.key, record)
        return found

    def embedded_by(self, run_id: str) -> dict[str, str]:
        """The fingerprints of the tokens that a run embedded last, by the Airflow connection of their credential."""
        folder = RunFolder(self.dag_id, run_id, self.reports)
        try:
            plans = [read_secrets(folder, plan_id) for plan_id in plans_of(folder)]
        except _UNREADABLE:
            return {}
        return {conn_id: each.secrets.token for planned in plans for conn_id, each in planned.items()}

    def learn_from(self, run_id: str) -> None:
        """Learn what a run did, from its files."""
        ledgers: dict[str, Ledger] = {}
        for doings in self._doings_of(run_id):
            for site_key in sorted(set(doings.sites.values())):
                ledger = ledgers[site_key] = ledgers.get(site_key) or self.read(site_key)
                doings.teach(ledger, site_key)
        for site_key, ledger in ledgers.items():
            self.write(site_key, ledger)
        self._folder.remove(_open_run(run_id))

    def _doings_of(self, run_id: str) -> Iterator[_Doings]:
        """What each plan of a run has led to, the first plan first, whichever of them is the run's now.

        A task of an earlier plan may have gone on writing after that was dropped.
        """
        folder = RunFolder(self.dag_id, run_id, self.reports)
        for plan_id in plans_of(folder):
            try:
                started, records = read_journals(folder, plan_id)
                silent = set(started) - {record.key for record in records}
                unknown = [target for target in read_batches(folder, plan_id) if target.key in silent] if silent else []
                doings = _Doings(run_id, read_sites(folder, plan_id), read_secrets(folder, plan_id), records, unknown)
            except _UNREADABLE as problem:
                # An earlier version of this package wrote them, say. What it changed shows by the times of the items.
                log.warning("The files of run %s can't be read (%s).", run_id, type(problem).__name__)
            else:
                yield doings

    @property
    def _folder(self) -> Folder:
        return Folder(f"{self.reports}/ledger")


@dataclass(frozen=True)
class _Doings:
    """What a plan of a run has led to.

    :param records: the latest of each connection that has one
    :param unknown: the targets that were begun, and nobody knows what came of it
    """

    run_id: str
    sites: Mapping[str, str]
    secrets: Mapping[str, PlannedCredential]
    records: Sequence[ConnectionRecord]
    unknown: Sequence[ConnectionRecord]

    def teach(self, ledger: Ledger, site_key: str) -> None:
        """Put down in the ledger of a site what is known of it now, and take out what is not known any more."""
        for record in self.records:
            if self.sites.get(record.tableau_conn_id) == site_key:
                if planned := self.secrets.get(str(record.snowflake_conn_id)):
                    ledger.learn(record, planned.secrets, planned.login, self.run_id)
                else:
                    ledger.forget(record.place)
        for target in self.unknown:
            if self.sites.get(target.tableau_conn_id) == site_key:
                ledger.forget(target.place)


def _whole(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry, as this version writes it.

    :raises ValueError: when it is none
    """
    if not all(isinstance(entry[name], str) for name in ("token", "username", "saved_at", "run_id")):
        raise ValueError("an entry holds something else than texts")
    return entry


def _open_run(run_id: str) -> str:
    return f"{_OPEN}/{hashlib.sha256(run_id.encode()).hexdigest()[:16]}.json"
