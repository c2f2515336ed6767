"""The files behind the page in the Airflow UI.

<reports>/fleet/

sites/<site>.json           the users on a site, counted
targets/<site>.json         its targets, and what runs did about each
tokens/<connection>.json    how a user's token stands
runs/<dag id>.json          the latest runs of a DAG

Tokens stand in them as fingerprints. No run reads them to decide anything: ledgers are for that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from credential_rotation.file_names import file_named_after
from credential_rotation.fleet.learning import Runs, Target
from credential_rotation.fleet.model import RunBrief, TokenBrief
from credential_rotation.fleet.site_state import SiteState
from credential_rotation.run_folder import Folder

log = logging.getLogger(__name__)

_VERSION = 1
_MOST_RUNS = 100
# What it is to read a file that somebody else, or another version of this package, wrote.
_SHOWN = ("content_name", "snowflake_conn_id", "username")
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
        return self._read(f"sites/{file_named_after(site_key)}") or SiteState(site_key)

    def targets(self, site_key: str, *, containing: str = "") -> tuple[Runs, Iterator[Target]]:
        """The runs that events name, and the targets of a site, one by one.

        :param containing: a text; targets in whose line it does not stand are passed over
        """
        name = _targets(site_key)
        try:
            head, found = self._folder.head_and_elements(name, "connections", containing=containing)
            runs = {str(number): (str(run_id), str(at)) for number, (run_id, at) in head.get("runs", {}).items()}
        except _UNREADABLE as problem:
            log.warning("%s can't be read (%s).", name, type(problem).__name__)
            return {}, iter(())
        return runs, _readable(found)

    def write_targets(self, site_key: str, runs: Runs, targets: Iterator[Target]) -> None:
        """Keep the targets of a site, a line for each."""
        self._folder.write(_targets(site_key), {"runs": runs, "connections": targets})

    def write_site(self, state: SiteState) -> None:
        """Keep what is known of a site."""
        self._folder.write(f"sites/{file_named_after(state.site_key)}", {"version": _VERSION, **state.as_dict()})

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
            values = self._folder.read(f"tokens/{file_named_after(conn_id)}")
            return TokenBrief(**values) if values else None
        except _UNREADABLE:
            return None

    def write_token(self, conn_id: str, token: TokenBrief) -> None:
        """Keep how a user's token stands."""
        self._folder.write(f"tokens/{file_named_after(conn_id)}", token)

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
    return f"targets/{file_named_after(site_key)}"


def _readable(targets: Iterator[Target]) -> Iterator[Target]:
    """Those that are whole; another version of this package may have written something else."""
    try:
        for target in targets:
            if isinstance(target.get("events"), list) and {"content_id", "connection_id", *_SHOWN} <= target.keys():
                yield target
    except ValueError as problem:
        log.warning("A file of targets can't be read to its end (%s).", type(problem).__name__)
