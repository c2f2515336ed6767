"""The first step: read every connection of a site. Writes nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Protocol

from credential_rotation.tableau.content import Connection, Content, ContentType
from credential_rotation.tableau.errors import (
    BadAnswer,
    NotAllowed,
    NotFound,
    RequestRefused,
    TableauError,
)
from credential_rotation.tableau.site import NotOnThisSite

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_PROGRESS = 10.0


class Readable(Protocol):
    """What this step needs of a Tableau site."""

    def content(self, content_type: ContentType) -> list[Content]:
        """Every item of a type."""

    def connections(self, content: Content) -> list[Connection]:
        """The connections of an item."""

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
    """What was found on a site. ``missing_types`` says of each content type that the site lacks why that is so."""

    items: tuple[Item, ...]
    missing_types: dict[ContentType, str]


def take_inventory(site: Readable, content_types: Collection[ContentType], in_flight: int) -> Inventory:
    """Read every item of these types with its connections, ``in_flight`` requests at a time.

    :raises TableauError: when a list can't be read whole, or Tableau is unwell: half an inventory would miss targets
    """
    missing: dict[ContentType, str] = {}
    contents: list[Content] = []
    for content_type in content_types:
        try:
            found = site.content(content_type)
        except NotOnThisSite as reason:
            missing[content_type] = str(reason)
            log.warning("No %ss: %s", content_type.words, reason)
            continue
        log.info("Found %d %ss.", len(found), content_type.words)
        contents += found
    contents = _with_owner_names(contents, site)
    return Inventory(tuple(_read_connections(site, contents, in_flight)), missing)


def _with_owner_names(contents: list[Content], site: Readable) -> list[Content]:
    if all(content.owner or not content.owner_id for content in contents):
        return contents
    try:
        names = site.user_names()
    except (NotAllowed, NotFound, RequestRefused, BadAnswer) as error:
        log.warning("Owners are shown by LUID, since the users of the site can't be listed: %s", error)
        names = {}
    return [
        content if content.owner else replace(content, owner=names.get(content.owner_id, content.owner_id))
        for content in contents
    ]


def _read_connections(site: Readable, contents: list[Content], in_flight: int) -> Iterable[Item]:
    """In the order of ``contents``, so that an inventory of an unchanged site is the same each time."""
    progress = _Progress(len(contents))
    with ThreadPoolExecutor(max_workers=max(1, in_flight), thread_name_prefix="inventory") as pool:
        futures = [pool.submit(_read_item, site, content) for content in contents]
        try:
            for future in as_completed(futures):
                future.result()
                progress.one_more()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _read_item(site: Readable, content: Content) -> Item:
    try:
        return Item(content, tuple(site.connections(content)))
    except NotFound:
        log.info("The %s '%s' was deleted meanwhile.", content.type.words, content.name)
        return Item(content, gone=True)
    except (NotAllowed, RequestRefused) as error:
        log.warning("The connections of the %s '%s' can't be read: %s", content.type.words, content.name, error)
        return Item(content, unreadable=_reason(error))


def _reason(error: TableauError) -> str:
    return f"its connections can't be read: {error}"


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
