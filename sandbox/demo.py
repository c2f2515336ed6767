"""`make demo` and `make ui`: the rotation on a real Airflow against a sandbox Tableau."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sandbox import stage
from sandbox.airflow_api import AirflowError
from sandbox.follow import Follow
from sandbox.local_airflow import REPOSITORY, LocalAirflow, free_port
from sandbox.summary import print_report, print_verdict
from sandbox.tableau import Site, TableauServer, build_site
from sandbox.verdict import Embedded, compare_with_report, judge, take_snapshot

RUN_TIMEOUT_SECONDS = 600
AIRFLOW_PORT = 8080


@dataclass
class Demo:
    """A sandbox Tableau and the Airflow that looks after it, both running."""

    tableau: TableauServer
    airflow: LocalAirflow
    before: dict[str, Embedded]
    console: Console


def main_demo(argv: Sequence[str] | None = None) -> int:
    """Rotate everything once, and look; 0 only when the run is green and Tableau holds what it should."""
    parser = _parser("demo", "Rotate every credential of a sandbox Tableau on a real local Airflow, and look.")
    options = parser.parse_args(argv)
    return _guarded(options, _demo, when_interrupted=130)


def main_ui(argv: Sequence[str] | None = None) -> int:
    """Leave Airflow and the sandbox up until Ctrl-C."""
    parser = _parser("ui", "Leave the local Airflow and the sandbox Tableau up, to try things by hand.")
    parser.add_argument("--run", action="store_true", help="rotate everything once first, as the demo does")
    options = parser.parse_args(argv)
    return _guarded(options, _ui, when_interrupted=0)  # Ctrl-C is how it ends


def _demo(options: argparse.Namespace, console: Console) -> int:
    began = time.monotonic()
    with _running(options, console) as demo:
        good = _rotate_and_look(demo)
    verdict = "[bold green]As promised[/]" if good else "[bold red]Not as promised[/]"
    console.print(f"\n{verdict}, after {time.monotonic() - began:.0f} s in all")
    return 0 if good else 1


def _ui(options: argparse.Namespace, console: Console) -> int:
    with _running(options, console) as demo:
        if options.run:
            _rotate_and_look(demo)
        else:
            demo.airflow.api.unpause(stage.DAG_ID)
        _print_invitation(demo)
        while True:  # until Ctrl-C
            demo.airflow.check_alive()
            time.sleep(2)


@contextmanager
def _running(options: argparse.Namespace, console: Console) -> Iterator[Demo]:
    with TableauServer(build_site()) as tableau:
        if options.faults:
            stage.script_faults(tableau)
        site = tableau.state.site
        console.print(_describe(tableau, site), soft_wrap=True)
        console.print("Starting Airflow ...")
        airflow = LocalAirflow(
            options.home,
            dag_ids=[stage.DAG_ID],
            connections=stage.airflow_connections(tableau.port, site),
            env=stage.ENVIRONMENT,
            port=options.port or free_port(AIRFLOW_PORT),
            say=console.print,
        )
        with airflow:
            yield Demo(tableau, airflow, take_snapshot(site), console)


def _rotate_and_look(demo: Demo) -> bool:
    run_id = time.strftime("demo_%Y%m%dT%H%M%S")
    site = demo.tableau.state.site
    api = demo.airflow.api
    api.unpause(stage.DAG_ID)
    api.trigger(stage.DAG_ID, stage.conf(site.credentials.values()), run_id)
    demo.console.print(f"Run {run_id} is on its way\n")
    with Follow(demo.console) as follow:
        end = api.wait_for_run(stage.DAG_ID, run_id, follow, RUN_TIMEOUT_SECONDS, poll=2)

    path = demo.airflow.home / "credential_rotation" / stage.DAG_ID / run_id / "report.json"
    report = read_report(path)
    print_report(demo.console, report)
    demo.console.print(f"\nThe report: {path}", soft_wrap=True)
    verdict = judge(demo.before, site, site.credentials)
    contradictions = compare_with_report(site, site.credentials, report)
    print_verdict(demo.console, verdict, contradictions)
    return end.run.state == "success" and report["state"] == "success" and verdict.ok and not contradictions


def read_report(path: Path) -> dict[str, Any]:
    """The report of a run; an error that says where it was looked for."""
    if not path.exists():
        raise AirflowError(f"the run has left no report: {path}")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def _describe(tableau: TableauServer, site: Site) -> str:
    counts = Counter(content.content_type for content in site.contents)
    listed = ", ".join(f"{count} {content_type.replace('_', ' ')}s" for content_type, count in counts.items())
    users = ", ".join(credential.login for credential in site.credentials.values())
    return (
        f"A sandbox Tableau listens at {tableau.url}: {listed}; {sum(1 for _ in site.connections())} connections, "
        f"{len(site.expected_targets())} of which embed a secret of the Snowflake users {users}"
    )


def _print_invitation(demo: Demo) -> None:
    airflow = demo.airflow
    lines = [
        "",
        f"Airflow: {airflow.url}   login: {airflow.username}   password: {airflow.admin_password}",
        f"The DAG: {airflow.url}/dags/{stage.DAG_ID}",
        f"Tableau: {demo.tableau.url} (the sandbox; what it holds: {demo.tableau.url}/_sandbox/state)",
        "",
        "Trigger the DAG in the browser; under 'Advanced Options' the form takes these as JSON:",
    ]
    for title, conf in stage.conf_examples(demo.tableau.state.site).items():
        lines += [f"  {title}:", f"    {json.dumps(conf)}"]
    lines += ["", "Ctrl-C ends both."]
    demo.console.print("\n".join(lines), soft_wrap=True, markup=False)


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m sandbox {command}", description=description)
    parser.add_argument("--home", type=Path, default=REPOSITORY / ".airflow", help="AIRFLOW_HOME, emptied first")
    parser.add_argument("--port", type=int, help="port of Airflow (default: 8080 if it is free)")
    parser.add_argument(
        "--faults",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let Tableau be throttled and unwell a few times, so that retries can be seen",
    )
    return parser


def _guarded(
    options: argparse.Namespace, play: Callable[[argparse.Namespace, Console], int], *, when_interrupted: int
) -> int:
    console = Console(highlight=False)
    # As Ctrl-C does: every `with` on the way out ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return play(options, console)
    except AirflowError as error:
        console.print(f"[red]{type(error).__name__}[/]:", end=" ")
        console.print(str(error), markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return when_interrupted
