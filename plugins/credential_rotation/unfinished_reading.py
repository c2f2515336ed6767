"""What a try of ``discover`` has read of a site, for the next try of the same run.

    work/reading/<connection>/<time>.json

Tableau Cloud pauses a user who sends too many requests in an hour. If each try began from zero, none would ever finish
on a site with more items than that. So what is read is kept in pieces, each written once, until a try finishes.

An item need not be read again while Tableau lists it with the same time of change; see :mod:`known_content`. That holds
for one start of the run: after a person has cleared a run that had ended, all items are read again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from credential_rotation.file_names import path_part
from credential_rotation.harmless import harmless
from credential_rotation.known_content import KnownItem, items_from_json, known_items, settled, unchanged
from credential_rotation.rotation.inventory import Item
from credential_rotation.run_folder import Folder
from credential_rotation.tableau.content import Connection, Content

log = logging.getLogger(__name__)

# A killed task loses no more than this.
_ITEMS_IN_A_PIECE = 1000


class UnfinishedReading:
    """Keeps what is read of a site; a context that forgets it on success. Safe to use from many threads.

    :param site_key: of the site that the Airflow connection leads to now
    :param generation: when the run was started, or started again since a person cleared tasks of it
    """

    def __init__(self, folder: Folder, tableau_conn_id: str, *, site_key: str, generation: str) -> None:
        self._folder = folder
        self._place = f"work/reading/{path_part(tableau_conn_id)}"
        self._head = {"site_key": site_key, "generation": generation}
        self._settled: frozenset[str] = frozenset()
        self._unsaved: dict[str, KnownItem] = {}
        self._lock = threading.Lock()

    def connections(self, listed: Sequence[Content]) -> dict[str, tuple[Connection, ...]]:
        """The connections of the items that an earlier try has read, by LUID.

        :param listed: all items of the site, as listed before any of them is read
        """
        self._settled = settled(listed)
        known: dict[str, KnownItem] = {}
        for name in self._folder.names(self._place):  # the latest last
            known |= self._read(name)
        return unchanged(known, listed)

    def keep(self, item: Item) -> None:
        """Keep an item that was read."""
        with self._lock:
            self._unsaved |= known_items([item], self._settled)
        if len(self._unsaved) >= _ITEMS_IN_A_PIECE:
            self._save()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is not None:
            self._save()
            return
        with harmless("What was read of the site can't be removed from the files of this run."):
            for name in self._folder.names(self._place):
                self._folder.remove(name)

    def _save(self) -> None:
        with self._lock:
            piece, self._unsaved = self._unsaved, {}
        if piece:
            with harmless("What was read of the site can't be kept. Another try reads it again."):
                self._folder.write(f"{self._place}/{time.time_ns()}.json", {**self._head, "items": piece})

    def _read(self, name: str) -> dict[str, KnownItem]:
        values = self._folder.read(name)
        try:
            return items_from_json(values["items"]) if self._head.items() <= values.items() else {}
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            log.warning("%s can't be used (%s): its items are read again.", name, type(problem).__name__)
            return {}
