"""What must be true after each step, whatever happened."""

from __future__ import annotations

from collections.abc import Iterator

from tests.credential_rotation.sequences.playing import Seen, Stage
from tests.credential_rotation.sequences.small_airflow import DagRun, State
from tests.credential_rotation.sequences.two_sites import CREDENTIALS


def broken_promises(stage: Stage) -> list[str]:
    """What is not as it must be."""
    return [
        *(wrong for run, seen in stage.seen.items() if seen.reported for wrong in _wrong_after_green(stage, run, seen)),
        *_said_to_hold_and_does_not(stage),
        *_said_not_to_be_attempted_and_was(stage),
        *stage.sites.what_else_was_touched(),
    ]


def _wrong_after_green(stage: Stage, run: DagRun, seen: Seen) -> Iterator[str]:
    """A green run has no target without the token, a green roll-back none with the token that it takes back."""
    if run.state is not State.SUCCESS:
        return
    names = [conn_id.removeprefix("snowflake_") for conn_id in run.conf["snowflake_conn_ids"]]
    tokens_now = stage.sites.current_tokens()
    for item, connection in stage.sites.targets(seen.site, *names):
        name, holds = str(connection.target_of), connection.password
        # What others did after the last look of a run is for the next one to find.
        if stage.changed_by_others(connection, than=run) > seen.reported_at:
            continue
        if run.conf["roll_back"] and holds == seen.tokens[name]:
            yield f"{run.run_id} is a green roll-back, but {item.name!r} holds the token that it takes back"
        # A later token is as well: that of a later run, where a task of an earlier one is cleared.
        if not run.conf["roll_back"] and holds not in (seen.tokens[name], tokens_now[name]):
            yield f"{run.run_id} is green, but {item.name!r} holds {holds!r}"


def _said_not_to_be_attempted_and_was(stage: Stage) -> Iterator[str]:
    """A report says of no connection that it was not attempted which the run has written to."""
    if not stage.runs or stage.runs[-1].state is None:
        return
    run, writes = stage.runs[-1], stage.sites.writes()
    for connection_id, outcome in stage.told_of(run).items():
        before = stage.seen[run].writes_before.get(connection_id, 0)
        if outcome == "not_attempted" and writes.get(connection_id, 0) > before:
            yield f"{run.run_id} says that {connection_id} was not attempted, but has written to it"


def _said_to_hold_and_does_not(stage: Stage) -> Iterator[str]:
    """The ledger says of no connection that it holds the token when it does not."""
    held = stage.said_to_hold()
    tokens = stage.sites.current_tokens()
    for item, connection in stage.sites.targets(stage.sites.pointed_to, *CREDENTIALS):
        if connection.id in held and connection.password != tokens[str(connection.target_of)]:
            yield f"{item.name!r} is said to hold the token, but it holds {connection.password!r}"
