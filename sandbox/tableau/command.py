"""`python -m sandbox tableau`: the server by itself, until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Sequence

from sandbox.tableau.inventory import build_site
from sandbox.tableau.large_site import make_large_site
from sandbox.tableau.server import TableauServer
from sandbox.tableau.state import Latency


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a believable site until SIGTERM or Ctrl-C."""
    options = _parser().parse_args(argv)
    if options.large is not None:
        state = make_large_site(
            options.large, targets_every=options.targets_every, seed=options.seed, content_url=options.site
        )
    else:
        state = build_site(
            seed=options.seed,
            data_sources=options.data_sources,
            workbooks=options.workbooks,
            flows=options.flows,
            virtual_connections=options.virtual_connections,
            content_url=options.site,
        )
    state.rest_api_version = options.api_version
    state.strict_queries = options.strict_queries
    state.latency = Latency(
        options.read_latency_ms / 1000, options.write_latency_ms / 1000, rate_limit=options.rate_limit
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with TableauServer(state, host=options.host, port=options.port) as server:
        print(f"Tableau sandbox on {server.url}", flush=True)
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox tableau", description="Serve a sandbox Tableau.", allow_abbrev=False
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8850, help="0: any free one (default: %(default)s)")
    parser.add_argument("--site", default="acme", help="content URL of the site (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another seed, another site (default: %(default)s)")
    parser.add_argument("--data-sources", type=int, default=80)
    parser.add_argument("--workbooks", type=int, default=50)
    parser.add_argument("--flows", type=int, default=12)
    parser.add_argument("--virtual-connections", type=int, default=3)
    parser.add_argument("--large", type=int, metavar="ITEMS", help="a large plain site instead of the believable one")
    parser.add_argument(
        "--targets-every", type=int, default=4, metavar="N", help="of the large one (default: %(default)s)"
    )
    parser.add_argument("--api-version", default="3.26", help="newest REST API version (default: %(default)s)")
    parser.add_argument("--read-latency-ms", type=float, default=0)
    parser.add_argument("--write-latency-ms", type=float, default=0)
    parser.add_argument("--rate-limit", type=float, help="requests a second, then 429 (default: none)")
    parser.add_argument(
        "--strict-queries",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="refuse unknown query parameters, which the real one ignores",
    )
    return parser
