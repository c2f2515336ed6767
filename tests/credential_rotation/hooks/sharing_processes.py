"""Several processes that work for one Airflow connection: a script. Prints how many requests succeeded in each.

It is a process of its own that imports Airflow once and then forks, before it has any threads.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.tableau import session_sharing
from tests.credential_rotation.hooks.session_stores import FileStore


def work(store: str, threads: int, requests: int) -> int:
    """Send requests from many threads; how many were answered."""
    hook = TableauHook("tableau_default", run="a run", session_store=FileStore(Path(store)))
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda _: hook.call("GET", "flows") is not None, range(requests)))


if __name__ == "__main__":
    session_sharing._HOST_JITTER_SECONDS = 0.0  # nothing but the lock keeps these processes apart
    store, processes, threads, requests = sys.argv[1], *map(int, sys.argv[2:])
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        print(*pool.starmap(work, [(store, threads, requests)] * processes, chunksize=1))  # noqa: T201
