"""What `make demo` and `make ui` play in: a sandbox Tableau, the Snowflake behind it, and an Airflow beside both."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sandbox import stage
from sandbox.airflow_api import AirflowError, Progress
from sandbox.follow import Follow
from sandbox.local_airflow import REPOSITORY, LocalAirflow, free_port
from sandbox.snowflake import SnowflakeServer, make_key_pair, snowflake_behind
from sandbox.tableau import Site, TableauServer, TableauState, build_site

RUN_TIMEOUT_SECONDS = 600
AIRFLOW_PORT = 8080
ASSET_TIMEOUT_SECONDS = 60


@dataclass
class Playground:
    """All three of them, running."""

    tableau: TableauServer
    snowflake: SnowflakeServer
    airflow: LocalAirflow

    def follow(self, dag_id: str, run_id: str, console: Console) -> Progress:
        """Wait for the end of a run, and show meanwhile how it goes on."""
        with Follow(console) as follow:
            return self.airflow.api.wait_for_run(dag_id, run_id, follow, RUN_TIMEOUT_SECONDS, poll=2)

    def started_by_the_asset(self, besides: Collection[str] = ()) -> str:
        """The rotation that a renewal lets Airflow start.

        :param besides: the rotations before it
        """
        deadline = time.monotonic() + ASSET_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            runs = [run for run in self.airflow.api.dag_runs(stage.DAG_ID) if run.run_id not in besides]
            if runs:
                return runs[-1].run_id
            self.airflow.check_alive()
            time.sleep(1)
        raise AirflowError("the asset has started no rotation")


@contextmanager
def playground(
    home: Path,
    *,
    console: Console,
    port: int | None = None,
    tableau_state: TableauState | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Playground]:
    """Start all three; the tokens of all users expire in three days.

    :param home: AIRFLOW_HOME, emptied first
    :param port: Airflow's; a free one if it isn't given, 8080 if that is one
    :param env: further settings of Airflow
    """
    keys, state = make_key_pair(), tableau_state or build_site()
    snowflake_state = snowflake_behind(state, keys)
    with TableauServer(state) as tableau, SnowflakeServer(snowflake_state) as snowflake:
        console.print(_describe(tableau, snowflake, state.site), soft_wrap=True)
        console.print("Starting Airflow ...")
        airflow = LocalAirflow(
            home,
            dag_ids=[stage.DAG_ID, stage.RENEWAL_DAG_ID],
            connections=stage.renewal_connections(tableau.port, snowflake.port, state.site, keys.private),
            env=stage.renewal_environment(state.site, snowflake) | dict(env or {}),
            port=port or free_port(AIRFLOW_PORT),
            say=console.print,
        )
        with airflow:
            yield Playground(tableau, snowflake, airflow)


def arguments(command: str, description: str) -> argparse.ArgumentParser:
    """What both commands take."""
    parser = argparse.ArgumentParser(prog=f"python -m sandbox {command}", description=description)
    parser.add_argument("--home", type=Path, default=REPOSITORY / ".airflow", help="AIRFLOW_HOME, emptied first")
    parser.add_argument("--port", type=int, help="port of Airflow (default: 8080 if it is free)")
    return parser


def _describe(tableau: TableauServer, snowflake: SnowflakeServer, site: Site) -> str:
    counts = Counter(content.content_type for content in site.contents)
    listed = ", ".join(f"{count} {content_type.replace('_', ' ')}s" for content_type, count in counts.items())
    users = ", ".join(credential.login for credential in site.credentials.values())
    return (
        f"A sandbox Tableau listens at {tableau.url}: {listed}; {sum(1 for _ in site.connections())} connections, "
        f"{len(site.expected_targets())} of which embed a secret of the Snowflake users {users}.\n"
        f"The Snowflake that they lead to listens at {snowflake.url}"
    )
