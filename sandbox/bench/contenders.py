"""What is measured, each in a process of its own: `python -m sandbox.bench.contenders NAME ...`.

`one_at_a_time` is the script of tableauserverclient's samples: ask each item for its connections, update those of the
user. `thread_pool` is the best that a user would write by hand with it. `library` are the steps of this package,
without Airflow.

https://github.com/tableau/server-client-python/blob/master/samples/update_connection.py
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sandbox.tableau import TABLEAU_PAT_NAME, TABLEAU_PAT_SECRET
from sandbox.tableau.inventory_credentials import CREDENTIALS

CREDENTIAL = CREDENTIALS[0]
PLUGINS = Path(__file__).resolve().parents[2] / "plugins"


@dataclass(frozen=True)
class Measured:
    """What a contender says of itself. Memory is the most that it took; seconds are counted from after its imports."""

    updated: int
    seconds: float
    cpu_seconds: float
    memory_mb: float


_clock: dict[str, float] = {}


def _start_the_clock() -> None:
    """Imports are over; what they cost is no matter of speed."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _clock.update(began=time.monotonic(), cpu=usage.ru_utime + usage.ru_stime)


def one_at_a_time(options: argparse.Namespace) -> int:
    """As the samples do it; how many connections were updated."""
    TSC: Any = importlib.import_module("tableauserverclient")  # noqa: N806 (so its documentation calls it)
    _start_the_clock()
    server = TSC.Server(options.url, use_server_version=True)
    with server.auth.sign_in(TSC.PersonalAccessTokenAuth(TABLEAU_PAT_NAME, TABLEAU_PAT_SECRET, site_id=options.site)):
        items = (
            (endpoint, item) for endpoint in (server.datasources, server.workbooks) for item in TSC.Pager(endpoint)
        )
        return sum(_update_item(endpoint, item) for endpoint, item in islice(items, options.only))


def thread_pool(options: argparse.Namespace) -> int:
    """The same with one session for many threads."""
    import requests  # noqa: PLC0415

    TSC: Any = importlib.import_module("tableauserverclient")  # noqa: N806
    _start_the_clock()

    def session() -> requests.Session:
        made = requests.Session()
        made.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=options.in_flight))
        return made

    server = TSC.Server(options.url, use_server_version=True, session_factory=session)
    with (
        server.auth.sign_in(TSC.PersonalAccessTokenAuth(TABLEAU_PAT_NAME, TABLEAU_PAT_SECRET, site_id=options.site)),
        ThreadPoolExecutor(options.in_flight) as pool,
    ):
        endpoints = (server.datasources, server.workbooks)
        items = [(endpoint, item) for endpoint in endpoints for item in TSC.Pager(endpoint)][: options.only]
        return sum(pool.map(lambda pair: _update_item(*pair), items))


def _update_item(endpoint: Any, item: Any) -> int:
    endpoint.populate_connections(item)
    updated = 0
    for connection in item.connections:
        if connection.connection_type == "snowflake" and connection.username == CREDENTIAL.login:
            connection.password = CREDENTIAL.new_secret
            connection.embed_password = True
            endpoint.update_connection(item, connection)
            updated += 1
    return updated


class _ProcessesOwnStore:
    """One process has nobody to share its session with."""

    def __init__(self) -> None:
        self._text: str | None = None

    def read(self) -> str | None:
        return self._text

    def write(self, text: str) -> None:
        self._text = text

    def delete(self) -> None:
        self._text = None


def library(options: argparse.Namespace) -> int:
    """The steps of this package: discover, filter, update."""
    sys.path.insert(0, str(PLUGINS))
    from credential_rotation.hooks.tableau import TableauHook  # noqa: PLC0415
    from credential_rotation.rotation.credentials import SnowflakeCredential  # noqa: PLC0415
    from credential_rotation.rotation.filters import Filters  # noqa: PLC0415
    from credential_rotation.rotation.inventory import take_inventory  # noqa: PLC0415
    from credential_rotation.rotation.outcomes import Outcome  # noqa: PLC0415
    from credential_rotation.rotation.selection import SiteInventory, select  # noqa: PLC0415
    from credential_rotation.rotation.update_batch import update_batch  # noqa: PLC0415
    from credential_rotation.tableau.content import ContentType  # noqa: PLC0415
    from credential_rotation.tableau.tableau_site import TableauSite  # noqa: PLC0415

    _start_the_clock()
    host, _, port = options.url.removeprefix("http://").partition(":")
    fields = {"conn_type": "tableau", "host": host, "schema": "http", "port": int(port), "login": TABLEAU_PAT_NAME}
    fields |= {"password": TABLEAU_PAT_SECRET, "extra": {"site": options.site, "auth": "pat"}}
    os.environ["AIRFLOW_CONN_TABLEAU_DEFAULT"] = json.dumps(fields)
    login = CREDENTIAL.login.casefold()
    addresses = frozenset({f"{CREDENTIAL.account}.snowflakecomputing.com"}) | frozenset(CREDENTIAL.server_addresses)
    credential = SnowflakeCredential(
        "snowflake_pat", CREDENTIAL.login, CREDENTIAL.new_secret, frozenset({login}), addresses
    )
    hook = TableauHook("tableau_default", run="bench", in_flight=options.in_flight, session_store=_ProcessesOwnStore())
    try:
        site = TableauSite(hook)
        found = take_inventory(site, (ContentType.DATASOURCE, ContentType.WORKBOOK), options.in_flight)
        records = select([SiteInventory("tableau_default", options.site, found)], [credential], Filters())
        result = update_batch(
            site,
            [record for record in records if record.is_target],
            {credential.conn_id: credential},
            in_flight=options.in_flight,
            done=lambda _: None,
            hold=lambda _: None,
        )
    finally:
        hook.sign_out()
    return sum(record.outcome is Outcome.UPDATED for record in result.records)


CONTENDERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "one_at_a_time": one_at_a_time,
    "thread_pool": thread_pool,
    "library": library,
}


def main(argv: Iterable[str] | None = None) -> int:
    """Run one of them, and print as JSON how many connections it updated, and the seconds without its imports."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.bench.contenders")
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--site", required=True)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--only", type=int, help="the first so many items (not for `library`)")
    options = parser.parse_args(None if argv is None else list(argv))
    updated = CONTENDERS[options.name](options)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    measured = Measured(
        updated,
        seconds=time.monotonic() - _clock["began"],
        cpu_seconds=usage.ru_utime + usage.ru_stime - _clock["cpu"],
        memory_mb=usage.ru_maxrss / 1024,
    )
    print(json.dumps(asdict(measured)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
