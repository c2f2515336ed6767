"""What earlier runs read of a site, so that an item which has not changed since need not be asked again.

    <reports>/known/<site>.json

To ask each item for its connections is most of what a run costs, and on a large site little changes from one day to
the next. Tableau lists the time at which an item was changed; where that is the same as when its connections were read,
they are taken as they were. What might change without it, if anything does, is seen at the next full sweep. Whenever a
token is new, or a person asks for all, the sweep is full, since what is missed then breaks when the old token dies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from credential_rotation.file_names import file_named_after
from credential_rotation.rotation.inventory import Item
from credential_rotation.run_folder import Folder
from credential_rotation.tableau.content import Connection, Content

log = logging.getLogger(__name__)

_VERSION = 1
# Tableau lists times to the second, and what changes within the same one would look unchanged.
_SETTLED = timedelta(minutes=1)


@dataclass(frozen=True)
class KnownItem:
    """The connections of an item, the time of its last change when they were read, and when that was."""

    updated_at: str
    read_at: str
    connections: tuple[Connection, ...]

    def is_settled(self) -> bool:
        """Whether a later change shows by its time."""
        updated_at, read_at = _time(self.updated_at), _time(self.read_at)
        return updated_at is not None and read_at is not None and read_at - updated_at >= _SETTLED


@dataclass(frozen=True)
class KnownContent:
    """What is known of a site.

    :param items: by LUID
    :param runs: how many runs there were since the last full sweep
    :param tokens: the fingerprints of the tokens that the last full sweep was for
    """

    items: Mapping[str, KnownItem] = field(default_factory=dict)
    runs: int = 0
    tokens: frozenset[str] = frozenset()

    def is_sweep_due(self, every: int, tokens: Collection[str]) -> bool:
        """Whether all items are to be asked.

        :param every: a full sweep is due every so many runs
        :param tokens: the fingerprints of the tokens that are to be embedded now
        """
        return self.runs + 1 >= every or not set(tokens) <= self.tokens

    def connections(self, content: Content) -> tuple[Connection, ...] | None:
        """The connections of an item that has not changed since they were read; None when it is to be asked."""
        known = self.items.get(content.id)
        if known is None or not content.updated_at or known.updated_at != content.updated_at or not known.is_settled():
            return None
        return known.connections

    def after_sweep(self, items: Sequence[Item], read_at: datetime, tokens: Collection[str]) -> KnownContent:
        """What is known after a run that asked all items."""
        return KnownContent(_read(items, read_at), 0, frozenset(tokens))

    def after(self, items: Sequence[Item], read_at: datetime) -> KnownContent:
        """What is known after a run that asked only those of which :meth:`connections` knew nothing."""
        fresh = _read([item for item in items if self.connections(item.content) is None], read_at)
        # Items of types that this run was not for stay; they are compared when they are listed again.
        return replace(self, items={**self.items, **fresh}, runs=self.runs + 1)


class SiteMemory:
    """Remembers a site for a run, and the run for those that follow.

    :param reports: the URL below which reports are
    :param every: a full sweep is due every so many runs; 1: always, and nothing is remembered
    :param tokens: the fingerprints of the tokens that are to be embedded; asked for only where something is remembered
    :param clock: what time it is for Tableau
    :param is_sweep: whether all items are to be asked in any case
    """

    def __init__(
        self,
        reports: str,
        site_key: str,
        *,
        every: int,
        tokens: Callable[[], Collection[str]],
        clock: Callable[[], datetime],
        is_sweep: bool,
    ) -> None:
        self._reports, self._site_key, self._clock = reports, site_key, clock
        self._is_on = every > 1
        self._known = read_known(reports, site_key) if self._is_on else KnownContent()
        self._tokens = frozenset(tokens()) if self._is_on else frozenset()
        self._is_sweep = is_sweep or self._known.is_sweep_due(every, self._tokens)
        self._began: datetime | None = None

    def connections(self, content: Content) -> tuple[Connection, ...] | None:
        """The connections of an item that need not be asked; None where it is to be."""
        # All lists are read by now, and no connection yet: what changes from here on has a later time than is listed.
        self._began = self._began or self._clock()
        return None if self._is_sweep else self._known.connections(content)

    def keep(self, items: Sequence[Item]) -> None:
        """Keep what was read, for later runs."""
        if not self._is_on:
            return
        began = self._began or self._clock()
        known = (
            self._known.after_sweep(items, began, self._tokens) if self._is_sweep else self._known.after(items, began)
        )
        write_known(self._reports, self._site_key, known)


def read_known(reports: str, site_key: str) -> KnownContent:
    """What is known of a site; nothing where nobody can tell what the file says."""
    values = Folder(f"{reports}/known").read(file_named_after(site_key))
    try:
        if values is None or values["version"] != _VERSION:
            return KnownContent()
        items = {luid: _known_item(each) for luid, each in values["items"].items()}
        return KnownContent(items, int(values["runs"]), frozenset(values["tokens"]))
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        log.warning("What is known of %s can't be read (%s): all is asked again.", site_key, type(problem).__name__)
        return KnownContent()


def write_known(reports: str, site_key: str, known: KnownContent) -> None:
    """Keep what is known of a site."""
    items = {luid: asdict(item) for luid, item in known.items.items()}
    values = {"version": _VERSION, "site": site_key, "runs": known.runs, "tokens": sorted(known.tokens)}
    Folder(f"{reports}/known").write(file_named_after(site_key), values | {"items": items})


def _read(items: Sequence[Item], read_at: datetime) -> dict[str, KnownItem]:
    return {
        item.content.id: KnownItem(item.content.updated_at, read_at.isoformat(), item.connections)
        for item in items
        if not item.gone and item.unreadable is None
    }


def _known_item(values: dict[str, Any]) -> KnownItem:
    return KnownItem(
        values["updated_at"],
        values["read_at"],
        tuple(Connection(**connection) for connection in values["connections"]),
    )


def _time(text: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
