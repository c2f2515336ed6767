"""The files of a run as they are: a report may be large, and is nothing that has to be understood to be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from credential_rotation.fleet.reading import DAG_IDS
from credential_rotation.run_folder import RunFolder, fresh_path

_AT_ONCE = 256 * 1024


def run_file(reports: str, dag_id: str, run_id: str, name: str) -> Iterator[bytes] | None:
    """A file of a run, piece by piece; None where there is none."""
    if dag_id not in DAG_IDS:
        return None
    try:
        file = fresh_path(RunFolder(dag_id, run_id, reports).url(name)).__wrapped__.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _pieces(file)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_AT_ONCE):
            yield piece
