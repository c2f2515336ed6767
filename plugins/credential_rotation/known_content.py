"""What earlier runs read of a site, so that an item which has not changed since need not be asked again.

    <reports>/known/<site>.json

To ask each item for its connections is most of what a run costs, and on a large site little changes from one day to
the next. Tableau lists the time at which an item was changed; where that is the same as when its connections were read,
they are taken as they were. What might change without it, if anything does, is seen at the next full sweep. Whenever a
token is new, or a person asks for all, the sweep is full, since what is missed then breaks when the old token dies.

Tableau lists these times to the second, so a further change within the same second would not show: only *settled* items
are remembered. Tableau's times are compared only with each other, since a gateway with a clock of its own may answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from credential_rotation.file_names import file_named_after
from credential_rotation.rotation.inventory import Item
from credential_rotation.run_folder import Folder
from credential_rotation.tableau.content import Connection, Content

log = logging.getLogger(__name__)

_VERSION = 2
_A_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class KnownItem:
    """The connections of an item, and the time of its last change when they were read."""

    updated_at: str
    connections: tuple[Connection, ...]


def settled(listed: Iterable[Content]) -> frozenset[str]:
    """The LUIDs of the items whose next change will show by another time.

    Tableau's clock had reached the newest of the listed times before any connection was read. So an item that changes
    after that is not listed with an older time.
    """
    times = {content.id: time for content in listed if (time := _time(content.updated_at)) is not None}
    newest = max(times.values(), default=datetime.max.replace(tzinfo=UTC))
    return frozenset(luid for luid, time in times.items() if newest - time > _A_SECOND)


def known_items(items: Iterable[Item], are_settled: Collection[str]) -> dict[str, KnownItem]:
    """What is known, by LUID, now that these items were read.

    :param are_settled: see :func:`settled`
    """
    return {
        item.content.id: KnownItem(item.content.updated_at, item.connections)
        for item in items
        if item.content.id in are_settled and not item.gone and item.unreadable is None
    }


def unchanged(known: Mapping[str, KnownItem], listed: Iterable[Content]) -> dict[str, tuple[Connection, ...]]:
    """The connections, by LUID, of the listed items that have not changed since those were read."""
    return {
        content.id: known[content.id].connections
        for content in listed
        if content.id in known and known[content.id].updated_at == content.updated_at
    }


def items_from_json(values: Mapping[str, Any]) -> dict[str, KnownItem]:
    """Read known items back."""
    return {luid: _known_item(each) for luid, each in values.items()}


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

    def after_sweep(self, items: Sequence[Item], tokens: Collection[str]) -> KnownContent:
        """What is known after a run that asked all items."""
        return KnownContent(_read(items), 0, frozenset(tokens))

    def after(self, items: Sequence[Item]) -> KnownContent:
        """What is known after a run that asked only those that were not known, or had changed."""
        # Items of types that this run was not for stay; they are compared when they are listed again.
        return replace(self, items={**self.items, **_read(items)}, runs=self.runs + 1)


class SiteMemory:
    """Remembers a site for a run, and the run for those that follow.

    :param reports: the URL below which reports are
    :param every: a full sweep is due every so many runs; 1: always, and nothing is remembered
    :param tokens: the fingerprints of the tokens that are to be embedded; asked for only where something is remembered
    :param is_sweep: whether all items are to be asked in any case
    """

    def __init__(
        self,
        reports: str,
        site_key: str,
        *,
        every: int,
        tokens: Callable[[], Collection[str]],
        is_sweep: bool,
    ) -> None:
        self._reports, self._site_key = reports, site_key
        self._is_on = every > 1
        self._known = read_known(reports, site_key) if self._is_on else KnownContent()
        self._tokens = frozenset(tokens()) if self._is_on else frozenset()
        self._is_sweep = is_sweep or self._known.is_sweep_due(every, self._tokens)

    def connections(self, listed: Iterable[Content]) -> dict[str, tuple[Connection, ...]]:
        """The connections of the listed items that need not be asked, by LUID."""
        return {} if self._is_sweep else unchanged(self._known.items, listed)

    def keep(self, items: Sequence[Item]) -> None:
        """Keep what was read, for later runs."""
        if not self._is_on:
            return
        known = self._known.after_sweep(items, self._tokens) if self._is_sweep else self._known.after(items)
        write_known(self._reports, self._site_key, known)


def read_known(reports: str, site_key: str) -> KnownContent:
    """What is known of a site; nothing where nobody can tell what the file says."""
    values = Folder(f"{reports}/known").read(file_named_after(site_key))
    try:
        if values is None or values["version"] != _VERSION:
            return KnownContent()
        return KnownContent(items_from_json(values["items"]), int(values["runs"]), frozenset(values["tokens"]))
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        log.warning("What is known of %s can't be read (%s): all is asked again.", site_key, type(problem).__name__)
        return KnownContent()


def write_known(reports: str, site_key: str, known: KnownContent) -> None:
    """Keep what is known of a site."""
    items = {luid: asdict(item) for luid, item in known.items.items()}
    values = {"version": _VERSION, "site": site_key, "runs": known.runs, "tokens": sorted(known.tokens)}
    Folder(f"{reports}/known").write(file_named_after(site_key), values | {"items": items})


def _read(items: Sequence[Item]) -> dict[str, KnownItem]:
    return known_items(items, settled(item.content for item in items))


def _known_item(values: dict[str, Any]) -> KnownItem:
    connections = tuple(Connection(**connection) for connection in values["connections"])
    return KnownItem(values["updated_at"], connections)


def _time(text: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
