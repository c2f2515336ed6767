"""The files of one run: inventory, plan, what each task left behind, and the report.

    <reports>/<dag id>/<run id>/        what an id holds beyond a name is escaped: file_names

    report.json, report.csv, report.html
    work/run.json                       shows that the folder can be written
    work/reading/<connection>/<time>    what discover has read so far, until it finishes (unfinished_reading)
    work/inventory-<connection>.json
    work/plan.json                      what is decided on each connection; gone while a new plan is being made
    work/plans/<plan>.json              of each plan of the run: its sites, and fingerprints of the tokens it is for
    work/answer.json                    what a person said who was asked to approve
    work/<plan>/batches/<batch>.json    the targets of a mapped task
    work/<plan>/journals/<batch>.json   their outcomes, while the task works
    work/<plan>/failed-<time>/...       one for each failure that stands (failure_marks)
    work/problems/<task>.json           why a task failed
    work/traffic/<task>-<try>.json      what it asked of Tableau

They are files and not XComs, because an inventory may be large; and not Airflow's task state store, because the report
must see what a killed task had done, and a task reads no other task's state. None holds a secret.

A run whose tasks a person clears plans again. What its earlier plans have led to stays, and is always read with the
rest: a task of an earlier plan may still be writing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from airflow.sdk import ObjectStoragePath

from credential_rotation.file_names import path_part

_Made = TypeVar("_Made")
_LOCAL = ("", "file", "local")


class FilesNotShared(RuntimeError):
    """A file that another task of the run wrote is not there."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not where this task looks for it. Where tasks run on several hosts, set "
            "CREDENTIAL_ROTATION_REPORTS to a shared folder or a bucket."
        )


def fresh_path(url: str) -> ObjectStoragePath:
    """A path that shows what is there now."""
    path = ObjectStoragePath(url)
    if path.protocol not in _LOCAL:
        # fsspec remembers what it has listed, with sizes and etags, and another process may have written meanwhile:
        # then it would read too little, or refuse. Without a connection, Airflow's `path.fs` is not the one that reads.
        path.__wrapped__.fs.invalidate_cache()
    return path


class Folder:
    """Reads and writes files on a local disk or an object store.

    :param root: its URL
    """

    def __init__(self, root: str) -> None:
        self._root = root

    def read(self, name: str) -> Any:
        """What is in a JSON file; None when it is missing, or a process was killed while it wrote it."""
        try:
            return json.loads(self._path(name).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None

    def elements(self, name: str, of: str) -> Iterator[dict[str, Any]]:
        """The elements of a list in a JSON file that :meth:`write` made, one by one; none when that is missing.

        :param of: the name of the list, which must be the last in the file
        """
        return self.head_and_elements(name, of)[1]

    def head(self, name: str, before: str) -> dict[str, Any]:
        """What stands in such a file before its last list; nothing when it is missing."""
        return self.head_and_elements(name, before)[0]

    def head_and_elements(
        self, name: str, of: str, *, containing: str = ""
    ) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
        """Both, in one reading.

        :param containing: a text; elements whose JSON is without it are passed over
        """
        lines = self._text_lines(name)
        before = list(takewhile(lambda line: not line.startswith(f'"{of}": ['), lines))
        head: dict[str, Any] = json.loads("".join(before).rstrip(",\n") + "}") if before else {}
        return head, (json.loads(line.rstrip(",\n")) for line in lines if line.startswith("{") and containing in line)

    def _text_lines(self, name: str) -> Iterator[str]:
        path = self._path(name)
        try:
            # Unlike Airflow's own `path.open`, this knows file systems for which Airflow has no connection.
            file = path.__wrapped__.open("r", encoding="utf-8", newline="\n")
        except (FileNotFoundError, NotADirectoryError):
            return
        with file:
            yield from file

    def write(self, name: str, value: Any) -> str:
        """Write a JSON file, in which each element of a list has a line; where it now is.

        :param value: as for JSON; what has an ``as_dict`` is written as that, a dataclass as its fields, and an
            iterator as a list
        """
        return self._write(name, _lines(value))

    def write_text(self, name: str, text: str | Iterable[str]) -> str:
        """Write a file, whose text may come in pieces; where it now is."""
        return self._write(name, [text] if isinstance(text, str) else text)

    def _write(self, name: str, pieces: Iterable[str]) -> str:
        """Write a file, as a whole or not at all, and without all of its text in memory where that is possible."""
        path = self._path(name)
        if path.protocol not in _LOCAL:
            path.write_text("".join(pieces), encoding="utf-8")
            return str(path)
        local = Path(path.path)
        local.parent.mkdir(parents=True, exist_ok=True)
        # Not named after the process: its threads, and other hosts, may write the same file.
        unfinished = local.with_name(f".{uuid.uuid4().hex}")
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                file.writelines(pieces)
            unfinished.replace(local)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return str(local)

    def names(self, folder: str) -> list[str]:
        """The files in a folder, as names that :meth:`read` takes."""
        try:
            names = [path.name for path in self._path(folder).iterdir() if path.is_file()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [f"{folder}/{name}" for name in sorted(names) if not name.startswith(".")]

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._path(name).unlink(missing_ok=True)

    def url(self, name: str) -> str:
        """Where a file is, or would be."""
        return f"{self._root}/{name}"

    def _path(self, name: str) -> ObjectStoragePath:
        return fresh_path(self.url(name))


def each_made(make: Callable[[dict[str, Any]], _Made], values: list[dict[str, Any]]) -> Iterator[_Made]:
    """Make something of each element of a list that was read, and let go of it: both take much room together."""
    values.reverse()
    while values:
        yield make(values.pop())


def _lines(value: Any) -> Iterator[str]:
    """The JSON text of a value, piece by piece: as one text, an inventory takes hundreds of megabytes to build."""
    if isinstance(value, dict) and value:
        for number, (key, each) in enumerate(value.items()):
            yield f"{',' if number else '{'}\n{_dumps(str(key))}: "
            yield from _lines(each)
        yield "\n}"
    elif isinstance(value, list | tuple | Iterator):
        yield "["
        for number, each in enumerate(value):
            yield f"{',' if number else ''}\n{_dumps(each)}"
        yield "\n]"
    else:
        yield _dumps(value)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_as_dict)


def _as_dict(value: Any) -> Any:
    return value.as_dict() if hasattr(value, "as_dict") else asdict(value)


class RunFolder(Folder):
    """The files of one run."""

    def __init__(self, dag_id: str, run_id: str, root: str) -> None:
        # Joined as text: a run id holds characters that mean something in a URL.
        super().__init__(f"{root}/{dag_id}/{path_part(run_id)}")
