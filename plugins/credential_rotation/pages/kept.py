"""A few pages that took long to make, for as long as the file they are made of stays as it is."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from credential_rotation.pages.answers import Busy
from credential_rotation.run_folder import fresh_path

_MOST = 4
# Of a page of 50,000 connections, several times over.
_MOST_BYTES = 32 * 1024 * 1024
# A report of a large site takes much room while it is read.
_AT_ONCE = 2
# Who waits holds a thread, of a few dozen that Airflow's own pages need, too.
_PATIENCE = 20.0


@dataclass(frozen=True)
class _Page:
    stamp: str
    content: bytes


class Kept:
    """Each is made by one of those who ask for it, and few of them at once.

    :param patience: how many seconds somebody waits for others
    """

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._pages: OrderedDict[Hashable, _Page] = OrderedDict()
        self._access, self._places = threading.Lock(), threading.Semaphore(_AT_ONCE)
        # A lock is there as long as somebody has it or waits for it.
        self._making: WeakValueDictionary[Hashable, threading.Lock] = WeakValueDictionary()

    def get(self, key: Hashable, stamp: str, make: Callable[[], bytes]) -> bytes:
        """The page of a key, made again when its stamp is another.

        :raises Busy: others took too long
        """
        if (found := self._find(key, stamp)) is not None:
            return found
        until = time.monotonic() + self._patience
        with self._access:
            making = self._making.setdefault(key, threading.Lock())
        with _held(making, until):
            # Somebody else may have waited for the same one.
            if (found := self._find(key, stamp)) is not None:
                return found
            with _held(self._places, until):
                made = make()
            self._keep(key, _Page(stamp, made))
            return made

    def _find(self, key: Hashable, stamp: str) -> bytes | None:
        with self._access:
            page = self._pages.get(key)
            if page is None or page.stamp != stamp:
                return None
            self._pages.move_to_end(key)
            return page.content

    def _keep(self, key: Hashable, page: _Page) -> None:
        with self._access:
            self._pages[key] = page
            self._pages.move_to_end(key)
            while self._pages and (len(self._pages) > _MOST or self._size() > _MOST_BYTES):
                self._pages.popitem(last=False)

    def _size(self) -> int:
        return sum(len(page.content) for page in self._pages.values())


@contextmanager
def _held(lock: threading.Lock | threading.Semaphore, until: float) -> Iterator[None]:
    if not lock.acquire(timeout=max(0.0, until - time.monotonic())):
        raise Busy
    try:
        yield
    finally:
        lock.release()


def stamp_of(url: str) -> str | None:
    """Differs once the file differs: its time and size on a disk, its etag in an object store; None without a file."""
    try:
        found: Any = fresh_path(url).__wrapped__.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    told = found.as_info()
    return "|".join(str(told.get(name, "")) for name in ("ETag", "etag", "mtime", "ino", "LastModified", "size"))
