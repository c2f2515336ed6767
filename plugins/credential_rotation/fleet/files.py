"""The files behind the page in the Airflow UI.

<reports>/fleet/

sites/<site>.json           the users on a site, counted
targets/<site>.json         its targets, and what runs did about each
tokens/<connection>.json    how a user's token stands
runs/<dag id>.json          the latest runs of a DAG

Tokens stand in them as fingerprints. No run reads them to decide anything: ledgers are for that.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from credential_rotation.fleet.model import RunBrief, TokenBrief
from credential_rotation.fleet.site_state import SiteState, Targets, key_of
from credential_rotation.ledgers import file_of_site
from credential_rotation.run_folder import Folder

log = logging.getLogger(__name__)

_VERSION = 1
_MOST_RUNS = 100
# What it is to read a file that somebody else, or another version of this package, wrote.
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)


class FleetFiles:
    """Reads and writes them. What can't be read counts as not there: all of it comes back with the next runs.

    :param reports: the URL below which reports are
    """

    def __init__(self, reports: str) -> None:
        self._folder = Folder(f"{reports}/fleet")

    def sites(self) -> list[SiteState]:
        """All sites, in the order of their names."""
        found = [self._read(name) for name in self._folder.names("sites")]
        return sorted(filter(None, found), key=lambda site: (site.site, site.site_key))

    def site(self, site_key: str) -> SiteState:
        """What is known of a site; nothing where it is new."""
        return self._read(f"sites/{file_of_site(site_key)}") or SiteState(site_key)

    def targets(self, site_key: str) -> Targets:
        """Its targets."""
        try:
            return Targets.from_dict(self._folder.read(_targets(site_key)) or {"runs": {}, "connections": []})
        except _UNREADABLE as problem:
            log.warning("The targets of %s can't be read (%s).", site_key, type(problem).__name__)
            return Targets()

    def target(self, site_key: str, key: str) -> tuple[dict[str, Any], Targets] | None:
        """One of its targets with the runs that its events name; None when there is no such one."""
        connection_id = json.dumps(key.partition("/")[2], ensure_ascii=False)
        for each in self._folder.elements(_targets(site_key), "connections", containing=connection_id):
            if key_of(each) == key:
                runs = self._folder.head(_targets(site_key), "connections").get("runs", {})
                return each, Targets.from_dict({"runs": runs, "connections": []})
        return None

    def write_site(self, state: SiteState, targets: Targets) -> None:
        """Keep what is known of a site."""
        self._folder.write(_targets(state.site_key), targets.as_dict())
        self._folder.write(f"sites/{file_of_site(state.site_key)}", {"version": _VERSION, **state.as_dict()})

    def runs(self, dag_id: str) -> list[RunBrief]:
        """The latest runs of a DAG; the newest first."""
        try:
            return [RunBrief(**each) for each in self._folder.read(f"runs/{dag_id}.json") or ()]
        except _UNREADABLE as problem:
            log.warning("The runs of %s can't be read (%s).", dag_id, type(problem).__name__)
            return []

    def add_run(self, run: RunBrief) -> None:
        """Keep a run, instead of what was known of it before a person cleared tasks of it."""
        others = [each for each in self.runs(run.dag_id) if each.run_id != run.run_id]
        self._folder.write(f"runs/{run.dag_id}.json", [run, *others][:_MOST_RUNS])

    def token(self, conn_id: str) -> TokenBrief | None:
        """How a user's token stood when it was looked at; None where it never was."""
        try:
            values = self._folder.read(f"tokens/{conn_id}.json")
            return TokenBrief(**values) if values else None
        except _UNREADABLE:
            return None

    def write_token(self, conn_id: str, token: TokenBrief) -> None:
        """Keep how a user's token stands."""
        self._folder.write(f"tokens/{conn_id}.json", token)

    def _read(self, name: str) -> SiteState | None:
        values = self._folder.read(name)
        try:
            if values is None or values.pop("version") != _VERSION:
                return None
            return SiteState.from_dict(values)
        except _UNREADABLE as problem:
            log.warning("%s can't be read (%s).", name, type(problem).__name__)
            return None


def _targets(site_key: str) -> str:
    return f"targets/{file_of_site(site_key)}"
