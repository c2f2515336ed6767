"""`make demo`: renewal and rotation on a real Airflow, against a sandbox Tableau and its Snowflake."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from sandbox import stage
from sandbox.airflow_api import AirflowError
from sandbox.guarded import guarded
from sandbox.playground import Playground, arguments, playground
from sandbox.summary import print_report, print_verdict
from sandbox.tableau import ExpectedTarget, SandboxCredential, Site, TableauState
from sandbox.verdict import Embedded, compare_with_report, judge, take_snapshot

OVERLAP_HOURS = 72


def main(argv: Sequence[str] | None = None) -> int:
    """Let tokens be renewed and rotated, and look; 0 only when all is as it should be in Snowflake and in Tableau."""
    parser = arguments(
        "demo", "Renew tokens that expire in three days and rotate them in Tableau, on a real local Airflow."
    )
    parser.add_argument(
        "--faults",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let Tableau be throttled and unwell a few times, so that retries can be seen",
    )
    options = parser.parse_args(argv)
    return guarded(lambda console: _demo(options, console))


def _demo(options: argparse.Namespace, console: Console) -> int:
    began = time.monotonic()
    with playground(options.home, port=options.port, console=console) as play:
        if options.faults:
            stage.script_faults(play.tableau)
        good = _renew_and_look(play, take_snapshot(play.tableau.state.site), console)
    verdict = "[bold green]As promised[/]" if good else "[bold red]Not as promised[/]"
    console.print(f"\n{verdict}, after {time.monotonic() - began:.0f} s in all")
    console.print("`make ui` leaves it all up, with a few runs on the page of Airflow that shows them.", soft_wrap=True)
    return 0 if good else 1


def _renew_and_look(play: Playground, before: Mapping[str, Embedded], console: Console) -> bool:
    """A token that expires in three days, all the way to a Tableau that works when it is dead."""
    api, say = play.airflow.api, console.print
    run_id = time.strftime("demo_%Y%m%dT%H%M%S")
    api.unpause(stage.DAG_ID)
    api.unpause(stage.RENEWAL_DAG_ID)
    api.trigger(stage.RENEWAL_DAG_ID, {}, run_id)
    say("\nThe tokens expire in three days. Renewing them in Snowflake ...\n")
    renewal = play.follow(stage.RENEWAL_DAG_ID, run_id, console)
    if renewal.run.state != "success":
        say(f"[red]The renewal has failed[/]: see {play.airflow.url}/dags/{stage.RENEWAL_DAG_ID}")
        return False
    say("\nThe asset 'snowflake_pat' starts the rotation in Tableau ...\n")
    rotation_id = play.started_by_the_asset()
    end = play.follow(stage.DAG_ID, rotation_id, console)

    path = play.airflow.home / "credential_rotation" / stage.DAG_ID / rotation_id / "report.json"
    report = read_report(path)
    print_report(console, report)
    say(f"\nThe report: {path.with_name('report.html')}, and .json and .csv beside it", soft_wrap=True)
    site = play.tableau.state.site
    renewed = {name: _with_token_in_force(play, credential) for name, credential in site.credentials.items()}
    verdict = judge(before, site, renewed)
    contradictions = compare_with_report(site, renewed, report)
    print_verdict(console, verdict, contradictions)
    works = _works_after_the_overlap(play, console)
    return end.run.state == "success" and report["state"] == "success" and verdict.ok and not contradictions and works


def _with_token_in_force(play: Playground, credential: SandboxCredential) -> SandboxCredential:
    tokens = play.snowflake.state.accounts[credential.account].user(credential.login).tokens
    return replace(credential, new_secret=next(token.secret for token in tokens if token.rotated_to is None))


def _works_after_the_overlap(play: Playground, console: Console) -> bool:
    """Move the clock past the overlap, and let Tableau connect with everything that it embeds."""
    say, state, site = console.print, play.tableau.state, play.tableau.state.site
    play.snowflake.state.advance(hours=OVERLAP_HOURS + 1)
    refused = [
        not play.snowflake.state.sign_in(
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
