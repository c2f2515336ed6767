"""`make demo` and `make ui`: renewal and rotation on a real Airflow, against a sandbox Tableau and its Snowflake."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from sandbox import stage
from sandbox.airflow_api import AirflowError, Progress
from sandbox.follow import Follow
from sandbox.guarded import guarded
from sandbox.local_airflow import REPOSITORY, LocalAirflow, free_port
from sandbox.snowflake import SnowflakeServer, make_key_pair, snowflake_behind
from sandbox.summary import print_report, print_verdict
from sandbox.tableau import ExpectedTarget, SandboxCredential, Site, TableauServer, TableauState, build_site
from sandbox.verdict import Embedded, compare_with_report, judge, take_snapshot

RUN_TIMEOUT_SECONDS = 600
AIRFLOW_PORT = 8080
ASSET_TIMEOUT_SECONDS = 60
OVERLAP_HOURS = 24


@dataclass
class Demo:
    """A sandbox Tableau, the Snowflake behind it, and the Airflow that looks after both; all running."""

    tableau: TableauServer
    snowflake: SnowflakeServer
    airflow: LocalAirflow
    before: dict[str, Embedded]
    console: Console


def main_demo(argv: Sequence[str] | None = None) -> int:
    """Let tokens be renewed and rotated, and look; 0 only when all is as it should be in Snowflake and in Tableau."""
    parser = _parser(
        "demo", "Renew tokens that expire in three days and rotate them in Tableau, on a real local Airflow."
    )
    options = parser.parse_args(argv)
    return guarded(lambda console: _demo(options, console))


def main_ui(argv: Sequence[str] | None = None) -> int:
    """Leave Airflow and the sandbox up until Ctrl-C."""
    parser = _parser("ui", "Leave the local Airflow and the sandbox Tableau up, to try things by hand.")
    parser.add_argument("--run", action="store_true", help="rotate everything once first, as the demo does")
    options = parser.parse_args(argv)
    return guarded(lambda console: _ui(options, console), when_interrupted=0)  # Ctrl-C is how it ends


def _demo(options: argparse.Namespace, console: Console) -> int:
    began = time.monotonic()
    with _running(options, console) as demo:
        good = _renew_and_look(demo)
    verdict = "[bold green]As promised[/]" if good else "[bold red]Not as promised[/]"
    console.print(f"\n{verdict}, after {time.monotonic() - began:.0f} s in all")
    return 0 if good else 1


def _ui(options: argparse.Namespace, console: Console) -> int:
    with _running(options, console) as demo:
        if options.run:
            _renew_and_look(demo)
        else:
            demo.airflow.api.unpause(stage.DAG_ID)
        _print_invitation(demo)
        while True:  # until Ctrl-C
            demo.airflow.check_alive()
            time.sleep(2)


@contextmanager
def _running(options: argparse.Namespace, console: Console) -> Iterator[Demo]:
    keys, tableau_state = make_key_pair(), build_site()
    snowflake_state = snowflake_behind(tableau_state, keys)
    with TableauServer(tableau_state) as tableau, SnowflakeServer(snowflake_state) as snowflake:
        if options.faults:
            stage.script_faults(tableau)
        site = tableau.state.site
        console.print(_describe(tableau, snowflake, site), soft_wrap=True)
        console.print("Starting Airflow ...")
        airflow = LocalAirflow(
            options.home,
            dag_ids=[stage.DAG_ID, stage.RENEWAL_DAG_ID],
            connections=stage.renewal_connections(tableau.port, snowflake.port, site, keys.private),
            env=stage.renewal_environment(site, snowflake),
            port=options.port or free_port(AIRFLOW_PORT),
            say=console.print,
        )
        with airflow:
            yield Demo(tableau, snowflake, airflow, take_snapshot(site), console)


def _renew_and_look(demo: Demo) -> bool:
    """A token that expires in three days, all the way to a Tableau that works when it is dead."""
    api, say = demo.airflow.api, demo.console.print
    run_id = time.strftime("demo_%Y%m%dT%H%M%S")
    api.unpause(stage.DAG_ID)
    api.unpause(stage.RENEWAL_DAG_ID)
    api.trigger(stage.RENEWAL_DAG_ID, {}, run_id)
    say("\nThe tokens expire in three days. Renewing them in Snowflake ...\n")
    renewal = _follow(demo, stage.RENEWAL_DAG_ID, run_id)
    if renewal.run.state != "success":
        say(f"[red]The renewal has failed[/]: see {demo.airflow.url}/dags/{stage.RENEWAL_DAG_ID}")
        return False
    say("\nThe asset 'snowflake_pat' starts the rotation in Tableau ...\n")
    rotation_id = _started_by_the_asset(demo)
    end = _follow(demo, stage.DAG_ID, rotation_id)

    path = demo.airflow.home / "credential_rotation" / stage.DAG_ID / rotation_id / "report.json"
    report = read_report(path)
    print_report(demo.console, report)
    say(f"\nThe report: {path}", soft_wrap=True)
    site = demo.tableau.state.site
    renewed = {name: _with_token_in_force(demo, credential) for name, credential in site.credentials.items()}
    verdict = judge(demo.before, site, renewed)
    contradictions = compare_with_report(site, renewed, report)
    print_verdict(demo.console, verdict, contradictions)
    works = _works_after_the_overlap(demo)
    return end.run.state == "success" and report["state"] == "success" and verdict.ok and not contradictions and works


def _follow(demo: Demo, dag_id: str, run_id: str) -> Progress:
    with Follow(demo.console) as follow:
        return demo.airflow.api.wait_for_run(dag_id, run_id, follow, RUN_TIMEOUT_SECONDS, poll=2)


def _started_by_the_asset(demo: Demo) -> str:
    deadline = time.monotonic() + ASSET_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if runs := demo.airflow.api.dag_runs(stage.DAG_ID):
            return runs[-1].run_id
        demo.airflow.check_alive()
        time.sleep(1)
    raise AirflowError("the asset has started no rotation")


def _with_token_in_force(demo: Demo, credential: SandboxCredential) -> SandboxCredential:
    tokens = demo.snowflake.state.accounts[credential.account].user(credential.login).tokens
    return replace(credential, new_secret=next(token.secret for token in tokens if token.rotated_to is None))


def _works_after_the_overlap(demo: Demo) -> bool:
    """Move the clock past the overlap, and let Tableau connect with everything that it embeds."""
    say, state, site = demo.console.print, demo.tableau.state, demo.tableau.state.site
    demo.snowflake.state.advance(hours=OVERLAP_HOURS + 1)
    refused = [
        not demo.snowflake.state.sign_in(
            address=f"{credential.account}.snowflakecomputing.com",
            user=credential.login,
            secret=credential.secret,
            client="tableau",
        ).ok
        for credential in site.credentials.values()
    ]
    targets = site.expected_targets()
    broken = [target.content_name for target in targets if _does_not_connect(state, site, target)]
    say(f"\n{OVERLAP_HOURS + 1} hours later: {sum(refused)} of {len(refused)} old tokens are refused by Snowflake;")
    say(f"Tableau connects with {len(targets) - len(broken)} of {len(targets)} connections that embed one.")
    return all(refused) and not broken


def _does_not_connect(state: TableauState, site: Site, target: ExpectedTarget) -> bool:
    connection = site.connection(target.connection_id)
    answer = state.snowflake.sign_in(
        address=connection.server_address,
        user=connection.username,
        secret=connection.password or "",
        client="tableau",
    )
    return not answer.ok


def read_report(path: Path) -> dict[str, Any]:
    """The report of a run; an error that says where it was looked for."""
    if not path.exists():
        raise AirflowError(f"the run has left no report: {path}")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def _describe(tableau: TableauServer, snowflake: SnowflakeServer, site: Site) -> str:
    counts = Counter(content.content_type for content in site.contents)
    listed = ", ".join(f"{count} {content_type.replace('_', ' ')}s" for content_type, count in counts.items())
    users = ", ".join(credential.login for credential in site.credentials.values())
    return (
        f"A sandbox Tableau listens at {tableau.url}: {listed}; {sum(1 for _ in site.connections())} connections, "
        f"{len(site.expected_targets())} of which embed a secret of the Snowflake users {users}.\n"
        f"The Snowflake that they lead to listens at {snowflake.url}"
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
