"""`make ui`: Airflow and the sandbox stay up, with a few runs on the page that shows them."""

from __future__ import annotations

import argparse
import json
import time
import webbrowser
from collections.abc import Sequence

from rich.console import Console

from sandbox import stage
from sandbox.filling import fill
from sandbox.guarded import guarded
from sandbox.playground import Playground, arguments, playground
from sandbox.tableau import build_site

PAGE = "/plugin/credential-rotation"


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the page and leave everything up until Ctrl-C."""
    parser = arguments("ui", "Leave the local Airflow and the sandbox up, with a few runs on the page to look at.")
    parser.add_argument("--empty", action="store_true", help="no runs: everything is as it is on the first day")
    parser.add_argument("--open", action="store_true", help="open the page in this machine's browser")
    options = parser.parse_args(argv)
    return guarded(lambda console: _ui(options, console), when_interrupted=0)  # Ctrl-C is how it ends


def _ui(options: argparse.Namespace, console: Console) -> int:
    # Smaller than the demo's: each run is soon over.
    state = build_site(data_sources=36, workbooks=24, flows=6)
    with playground(options.home, port=options.port, tableau_state=state, console=console) as play:
        if options.empty:
            play.airflow.api.unpause(stage.DAG_ID)
        else:
            _fill(play, console)
            console.print(
                "\nTwo connections still embed an old token: 'Rotate what is left...' on the page is for them."
            )
        page = f"{play.airflow.url}{PAGE}"
        _print_invitation(play, page, console)
        if options.open and not webbrowser.open(page):
            console.print("There is no browser on this machine to open it in.")
        while True:  # until Ctrl-C
            play.airflow.check_alive()
            time.sleep(2)


def _fill(play: Playground, console: Console) -> None:
    fill(
        play,
        follow=lambda dag_id, run_id: play.follow(dag_id, run_id, console),
        say=lambda text: console.print(f"\n{text}\n", markup=False, soft_wrap=True),
    )


def _print_invitation(play: Playground, page: str, console: Console) -> None:
    airflow = play.airflow
    lines = [
        "",
        f"The page: {page}",
        f"   login: {airflow.username}   password: {airflow.admin_password}",
        f"The DAG:  {airflow.url}/dags/{stage.DAG_ID}",
        f"Reports:  {airflow.home / 'credential_rotation' / stage.DAG_ID}",
        f"Tableau:  {play.tableau.url} (the sandbox; what it holds: {play.tableau.url}/_sandbox/state)",
        "",
        "Trigger the DAG in the browser; under 'Advanced Options' the form takes these as JSON:",
    ]
    for title, conf in stage.conf_examples(play.tableau.state.site).items():
        lines += [f"  {title}:", f"    {json.dumps(conf)}"]
    lines += ["", "Ctrl-C ends it all."]
    console.print("\n".join(lines), soft_wrap=True, markup=False)
