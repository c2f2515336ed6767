"""A few pages that took long to make, for as long as the file they are made of stays as it is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from credential_rotation.run_folder import fresh_path

_MOST = 4
# Of a page of 50,000 connections, several times over.
_MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class _Page:
    stamp: str
    content: bytes


class Kept:
    """They are made one at a time: a report of a large site takes much room while it is read."""

    def __init__(self) -> None:
        self._pages: OrderedDict[Hashable, _Page] = OrderedDict()
        self._access, self._making = threading.Lock(), threading.Lock()

    def get(self, key: Hashable, stamp: str, make: Callable[[], bytes]) -> bytes:
        """The page of a key, made again when its stamp is another."""
        if (found := self._find(key, stamp)) is not None:
            return found
        with self._making:
            # Somebody else may have waited for the same one.
            if (found := self._find(key, stamp)) is not None:
                return found
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


def stamp_of(url: str) -> str | None:
    """Differs once the file differs: its time and size on a disk, its etag in an object store; None without a file."""
    try:
        found: Any = fresh_path(url).__wrapped__.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    told = found.as_info()
    return "|".join(str(told.get(name, "")) for name in ("ETag", "etag", "mtime", "ino", "LastModified", "size"))
