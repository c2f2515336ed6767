"""The first step: read every connection of a site. Writes nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import Protocol

from credential_rotation.tableau.content import ENDPOINTS, Connection, Content, ContentType
from credential_rotation.tableau.errors import (
    NotAllowed,
    NotFound,
    RandomRefusal,
    RequestRefused,
    ServerFault,
    TableauError,
    TableauTooOld,
)
from credential_rotation.tableau.tableau_site import NotOnThisSite

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_PROGRESS = 10.0


class Readable(Protocol):
    """What this step needs of a Tableau site."""

    def content(self, content_type: ContentType) -> list[Content]:
        """Every item of a type."""

    def connections(self, content: Content) -> list[Connection]:
        """The connections of an item."""

    def has(self, content: Content) -> bool:
        """Whether an item is there now."""

    def user_names(self) -> dict[str, str]:
        """Names of users by LUID."""


@dataclass(frozen=True)
class Item:
    """An item with its connections, or why they could not be read. ``gone`` is an item that vanished meanwhile."""

    content: Content
    connections: tuple[Connection, ...] = ()
    unreadable: str | None = None
    gone: bool = False


@dataclass(frozen=True)
class Inventory:
    """What was found on a site.

    ``missing_types`` says of each content type that the site lacks why that is so; ``refused_types`` of each that the
    signed-in user may not list, so that there may be targets which nobody saw; ``unknown_types`` of each of which it is
    not even known whether the site has it.
    """

    items: tuple[Item, ...]
    missing_types: dict[ContentType, str]
    refused_types: dict[ContentType, str] = field(default_factory=dict)
    unknown_types: dict[ContentType, str] = field(default_factory=dict)


def take_inventory(
    site: Readable,
    content_types: Collection[ContentType],
    in_flight: int,
    *,
    owners_must_have_names: bool = False,
    tolerate_broken_items: bool = False,
    known: Callable[[Sequence[Content]], Mapping[str, tuple[Connection, ...]]] = lambda _: {},
    keep: Callable[[Item], None] = lambda _: None,
    took: Callable[[Content, float], None] = lambda _content, _seconds: None,
) -> Inventory:
    """Read every item of these types with its connections, ``in_flight`` requests at a time.

    :param owners_must_have_names: owners are to be filtered by name, so showing them by LUID would not do
    :param tolerate_broken_items: an item at which Tableau fails again and again is unreadable, and no reason to leave
        all others with a token that dies; for the last try
    :param known: of all listed items, the connections of those that need not be asked, by LUID; called once
    :param keep: is given each item as soon as it was asked, from any thread: a later failure loses the inventory
    :param took: is told of each item how many seconds its connections took to read, from any thread
    :raises TableauError: when a list can't be read whole, or Tableau is unwell: half an inventory would miss targets;
        the list of users only where owners must have names
    """
    reader = _ItemReader(site, (ServerFault, RandomRefusal) if tolerate_broken_items else (), keep, took)
    with ThreadPoolExecutor(max_workers=max(1, in_flight), thread_name_prefix="inventory") as pool:
        try:
            contents, missing, refused, unknown = _read_lists(site, content_types, pool)
            # Nobody's name is needed to ask for connections.
            owners = pool.submit(_owner_names, contents, site, required=owners_must_have_names)
            connections = known(contents)
            as_before = {each.id: Item(each, connections[each.id]) for each in contents if each.id in connections}
            if as_before:
                log.info("%d of %d items are as they were when they were read last.", len(as_before), len(contents))
            to_ask = [content for content in contents if content.id not in as_before]
            asked = {item.content.id: item for item in _read_connections(reader, to_ask, pool, owners)}
            names = owners.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    # In the order of the lists, so that an inventory of an unchanged site is the same each time.
    items = [{**as_before, **asked}[content.id] for content in contents]
    return Inventory(tuple(_with_owner_name(item, names) for item in items), missing, refused, unknown)


_Why = dict[ContentType, str]


def _read_lists(
    site: Readable, content_types: Collection[ContentType], pool: Executor
) -> tuple[list[Content], _Why, _Why, _Why]:
    """Every item, in the order of the types; which types are missing, which refused, and of which nothing is known."""
    missing: _Why = {}
    refused: _Why = {}
    unknown: _Why = {}
    contents: list[Content] = []
    lists = {content_type: pool.submit(site.content, content_type) for content_type in content_types}
    for content_type, being_read in lists.items():
        try:
            found = being_read.result()
        except NotOnThisSite as reason:
            missing[content_type] = str(reason)
            log.warning("No %ss: %s", content_type.words, reason)
        except NotAllowed as error:
            endpoint = ENDPOINTS[content_type]
            if not endpoint.optional:
                raise
            (unknown if endpoint.licensed else refused)[content_type] = str(error)
            log.warning("No %ss are looked at: %s", content_type.words, error)
        else:
            log.info("Found %d %ss.", len(found), content_type.words)
            contents += found
    return contents, missing, refused, unknown


def _owner_names(contents: list[Content], site: Readable, *, required: bool) -> dict[str, str]:
    """Names by LUID, where a list did not name an owner; none where the users can't be listed, whatever the cause."""
    if all(content.owner or not content.owner_id for content in contents):
        return {}
    try:
        return site.user_names()
    except TableauError as error:
        # All that is lost is names, and that is no reason to leave a token to die.
        if required:
            raise
        log.warning("Owners are shown by LUID, since the users of the site can't be listed: %s", error)
        return {}


def _with_owner_name(item: Item, names: dict[str, str]) -> Item:
    content = item.content
    if content.owner:
        return item
    return replace(item, content=replace(content, owner=names.get(content.owner_id) or content.owner_id))


def _read_connections(
    reader: _ItemReader, contents: list[Content], pool: Executor, owners: Future[dict[str, str]]
) -> Iterable[Item]:
    progress = _Progress(len(contents))
    futures = [pool.submit(reader.read, content) for content in contents]
    for future in as_completed(futures):
        if owners.done():
            owners.result()  # raises at once what would be raised in the end
        future.result()
        progress.one_more()
    return [future.result() for future in futures]


class _ItemReader:
    """Reads one item, and knows which failures are that item's alone."""

    def __init__(
        self,
        site: Readable,
        tolerated: tuple[type[TableauError], ...],
        keep: Callable[[Item], None],
        took: Callable[[Content, float], None],
    ) -> None:
        self._site = site
        self._keep = keep
        self._took = took
        self._items_own: tuple[type[TableauError], ...] = (
            NotAllowed,
            NotFound,
            RequestRefused,
            TableauTooOld,
            *tolerated,
        )

    def read(self, content: Content) -> Item:
        """The item with its connections, or why they could not be read."""
        began = time.monotonic()
        try:
            item = self._read(content)
        finally:
            self._took(content, time.monotonic() - began)
        self._keep(item)
        return item

    def _read(self, content: Content) -> Item:
        try:
            return Item(content, tuple(self._site.connections(content)))
        except NotFound:
            return self._not_found(content)
        except self._items_own as error:
            return self._unreadable(content, error)

    def _not_found(self, content: Content) -> Item:
        """An item whose connections are not found: gone only if the item itself is, since a 404 may pass."""
        try:
            if self._site.has(content):
                return Item(content, tuple(self._site.connections(content)))
        except self._items_own as error:
            return self._unreadable(content, error)
        log.info("The %s '%s' was deleted in the meantime.", content.type.words, content.name)
        return Item(content, gone=True)

    def _unreadable(self, content: Content, error: TableauError) -> Item:
        log.warning("The connections of the %s '%s' can't be read: %s", content.type.words, content.name, error)
        return Item(content, unreadable=f"its connections can't be read: {error}")


class _Progress:
    """Says from time to time how far the reading is, and how long the rest will take."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._done = 0
        self._clock = clock
        self._start = self._last = clock()

    def one_more(self) -> None:
        self._done += 1
        now = self._clock()
        if self._done < self._total and now - self._last < _SECONDS_BETWEEN_PROGRESS:
            return
        self._last = now
        elapsed = now - self._start
        left = elapsed / self._done * (self._total - self._done)
        log.info("Read the connections of %d of %d items; about %.0f s left.", self._done, self._total, left)
