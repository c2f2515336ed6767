"""The process of a task, which can be killed: kill -9 at a request to Tableau, or at the write of a file.

What a killed process still does while Python unwinds it, in a ``finally`` say, has no effect, as if it had not come to
that: each further request and write of it raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from credential_rotation.run_folder import Folder
from tests.credential_rotation.sequences.small_airflow import Killed
from tests.credential_rotation.supervising import Supervisor


class Point(StrEnum):
    """Where a process is interrupted. An update is a request that changes a connection."""

    BEFORE_REQUEST = "before request"
    AFTER_REQUEST = "after request"  # it reached Tableau, its answer did not come back
    BEFORE_UPDATE = "before update"
    AFTER_UPDATE = "after update"
    BEFORE_FILE = "before file"  # is written or removed

    def __repr__(self) -> str:
        return f"Point.{self.name}"


class Process:
    """What the running task does to Tableau, to files and to Variables.

    :param interrupt: called at each point with the task, the point and how many there were before in this step; kills
        the process where it returns True
    :param updated: told of each update that reached Tableau, by the id of the connection
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        supervisor: Supervisor,
        *,
        interrupt: Callable[[str, Point, int], bool],
        updated: Callable[[str], None],
    ) -> None:
        self._interrupt, self._updated = interrupt, updated
        self._counts: Counter[tuple[str, Point]] = Counter()
        self._task_id = ""
        self._is_dead = False
        self._watch_requests(monkeypatch)
        for name in ("write", "write_text", "remove"):
            self._watch_files(monkeypatch, name)
        send = supervisor.send
        monkeypatch.setattr(supervisor, "send", lambda message: (self._live(), send(message))[1])

    def start_counting(self) -> None:
        """A step begins."""
        self._counts.clear()

    def run(self, task_id: str, function: Callable[[], Any]) -> Any:
        """Run a task's function, in this process or within that of another.

        :raises Killed: when it was killed
        """
        before, self._task_id = self._task_id, task_id
        try:
            result = function()
            self._live()
            return result
        finally:
            self._task_id, self._is_dead = before, False

    def _watch_requests(self, monkeypatch: pytest.MonkeyPatch) -> None:
        really_send = HTTPAdapter.send

        def send(adapter: HTTPAdapter, request: Any, **how: Any) -> Any:
            is_update = request.method == "PUT" and "/connections/" in request.path_url
            self._live()
            self._pass(Point.BEFORE_REQUEST)
            if is_update:
                self._pass(Point.BEFORE_UPDATE)
            response = really_send(adapter, request, **how)
            if is_update:
                if response.ok:
                    self._updated(request.path_url.rpartition("/")[2])
                self._pass(Point.AFTER_UPDATE)
            self._pass(Point.AFTER_REQUEST)
            return response

        monkeypatch.setattr(HTTPAdapter, "send", send)

    def _watch_files(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        really = getattr(Folder, name)

        def act(folder: Folder, *arguments: Any) -> Any:
            self._live()
            self._pass(Point.BEFORE_FILE)
            return really(folder, *arguments)

        monkeypatch.setattr(Folder, name, act)

    def _pass(self, point: Point) -> None:
        self._counts[self._task_id, point] += 1
        if self._interrupt(self._task_id, point, self._counts[self._task_id, point]):
            self._is_dead = True
            raise Killed

    def _live(self) -> None:
        if self._is_dead:
            raise Killed
