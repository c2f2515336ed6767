"""`python -m sandbox snowflake`: the server by itself, until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from sandbox.snowflake.believable import ADMIN_USER, make_key_pair, snowflake_behind
from sandbox.snowflake.server import SnowflakeServer
from sandbox.tableau.inventory import build_site

KEY_FILE = "token_rotation.p8"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the Snowflake of the believable site until SIGTERM or Ctrl-C."""
    options = _parser().parse_args(argv)
    admin = make_key_pair()
    state = snowflake_behind(
        build_site(seed=options.seed),
        admin,
        days_left=options.days_left,
        days_to_expiry=options.days_to_expiry,
        with_next=True,
    )
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    key_file = folder / KEY_FILE
    key_file.touch(mode=0o600)
    key_file.write_text(admin.private)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with SnowflakeServer(state, host=options.host, port=options.port, folder=folder, tls=options.tls) as server:
        print(f"Snowflake sandbox on {server.url}", flush=True)
        print(f"{ADMIN_USER} signs in with {key_file}", flush=True)
        for name, value in server.environment.items():
            print(f"export {name}={value}", flush=True)
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox snowflake", description="Serve a sandbox Snowflake.", allow_abbrev=False
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8851, help="0: any free one (default: %(default)s)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(".airflow-snowflake"),
        help="for the certificate to be trusted and the administrator's private key (default: %(default)s)",
    )
    parser.add_argument("--tls", action=argparse.BooleanOptionalAction, default=True, help="https, or plain http")
    parser.add_argument("--seed", type=int, default=7, help="of the Tableau site behind which it stands")
    parser.add_argument("--days-left", type=float, default=3, help="until the embedded tokens expire")
    parser.add_argument("--days-to-expiry", type=float, default=90, help="the whole life of a token")
    return parser
