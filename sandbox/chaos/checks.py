"""What must be so after the runs of a round: looked at in the Tableau and in its log, beside what the reports tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sandbox.chaos.plan import Event
from sandbox.chaos.world import World
from sandbox.tableau import Connection, Silence, TableauState, Throttle
from sandbox.tableau.fault_scripts import Consumed
from sandbox.tableau.request_log import LoggedRequest
from sandbox.telling import untrue
from sandbox.verdict import judge, judge_others

Report = Mapping[str, Any]
IN_FLIGHT = 16  # the default of CREDENTIAL_ROTATION_REQUESTS_IN_FLIGHT
WELL = frozenset({"updated", "unchanged"})
# The requests that make Tableau connect with what is embedded.
PROOFS = frozenset({"get_job", "query_datasource", "view_data"})


# -- the first run -----------------------------------------------------------------------------------------------------


def look_at_first_run(world: World, state: str, report: Report | None, may_be_red: Sequence[str]) -> list[str]:
    """What is wrong after a run that was disturbed."""
    wrong = judge_others(world.before, world.site, world.site.credentials)
    wrong += list(_third_states(world))
    if state != "success" and not may_be_red:
        wrong.append(f"the first run is {state}, and nothing that happened is a reason")
    if report is None:
        return [*wrong, "the first run is green, but without a report"] if state == "success" else wrong
    if report["state"] != state:
        wrong.append(f"the first run is {state}, its report says {report['state']}")
    wrong += [*_twice_told(report), *_miscounted(report)]
    was_cleared = str(Event.CLEAR) in may_be_red
    wrong += [text for row in report["connections"] for text in _wrong_in_row(world, row, was_cleared=was_cleared)]
    if report["connections"]:
        wrong += list(_not_told(world, report))
    if state == "success":
        wrong += [f"the first run is green, but {text}" for _, text in not_done(world)]
        wrong += list(_not_green(report, WELL if was_cleared else {"updated"}))
    return wrong


def _third_states(world: World) -> Iterator[str]:
    """A target holds what it held, or what it is to hold, whatever happened."""
    for content, connection in world.site.connections():
        credential = world.site.credentials.get(connection.target_of or "")
        was = world.before[connection.id]
        if credential is None:
            continue
        if connection.password not in {was.password, credential.new_secret}:
            yield f"{content.name!r}, connection {connection.id}, holds a third secret"
        if (connection.server_address, connection.server_port) != (was.server_address, was.server_port):
            yield f"{content.name!r}, connection {connection.id}, leads elsewhere"


def _twice_told(report: Report) -> Iterator[str]:
    times = Counter(row["connection_id"] for row in report["connections"] if row["connection_id"])
    yield from (f"the report tells of {key} {number} times" for key, number in times.items() if number > 1)


def _miscounted(report: Report) -> Iterator[str]:
    """Where the summary and the rows of a report disagree."""
    rows = Counter(row["outcome"] for row in report["connections"])
    for outcome, number in report["summary"].items():
        counted = sum(number.values()) if outcome == "excluded" else number
        if outcome not in {"content", "connections", "targets"} and counted != rows[outcome]:
            yield f"the first report counts {counted} {outcome}, its rows are {rows[outcome]}"


def _wrong_in_row(world: World, row: Mapping[str, Any], *, was_cleared: bool) -> Iterator[str]:
    """What is wrong in a row of the report.

    :param was_cleared: whether a task of the run was: then it may find unchanged what it has updated itself
    """
    key, outcome = row["connection_id"], row["outcome"]
    if key is None:
        yield from _wrong_of_item(world, row)
        return
    if key not in world.before:
        yield f"the report names {key}, which never was there"
        return
    here = f"the first report says {outcome!r} of {key}"
    if outcome == "unchanged" and not (was_cleared and _was_written(world, key)):
        yield f"{here}, which no run had updated before"
    if outcome == "gone" and world.content_of[key] not in world.removed:
        yield f"{here}, but nobody has deleted it"
    is_target = key in world.credential_of
    if (outcome == "excluded") is is_target:
        yield f"{here}, which is {'a' if is_target else 'no'} target"
    connection = find_connection(world, key)
    if connection is None:
        return
    if outcome == "excluded" and row["reason"] != connection.why:
        yield f"{here} for {row['reason']}: it is {connection.why}"
    if outcome in WELL and is_target and not _holds(world, connection) and not _was_overwritten(world, connection):
        yield f"{here}, which does not hold its token"
    if outcome == "not_attempted" and _was_written(world, key):
        yield f"{here}, which was written to"


def _wrong_of_item(world: World, row: Mapping[str, Any]) -> Iterator[str]:
    if row["outcome"] == "gone" and row["content_id"] not in world.removed:
        yield f"the first report says that {row['content_name']!r} is gone, but nobody has deleted it"


def _not_told(world: World, report: Report) -> Iterator[str]:
    """What was there all the time must be in the report, unless its item could not be read."""
    told = {row["connection_id"] for row in report["connections"]}
    unread = {row["content_id"] for row in report["connections"] if row["connection_id"] is None}
    for content, connection in world.site.connections():
        if connection.id not in told | world.published and content.id not in unread:
            yield f"the first report does not tell of {content.name!r}, connection {connection.id}"


def not_done(world: World) -> Iterator[tuple[str, str]]:
    """What holds no new secret though it was there all the time, and nobody put an old one into it afterwards."""
    for content, connection in world.site.connections():
        if connection.id not in world.credential_of or connection.id in world.published:
            continue
        if not _holds(world, connection) and not _was_overwritten(world, connection):
            yield connection.id, f"{content.name!r}, connection {connection.id}, does not hold its token"


def _not_green(report: Report, good: Collection[str]) -> Iterator[str]:
    for row in report["connections"]:
        if row["outcome"] not in {*good, "gone", "excluded"}:
            yield f"the first run is green, but its report says {row['outcome']} of {row['connection_id']}"


def find_connection(world: World, key: str) -> Connection | None:
    """A connection that is there."""
    return next((connection for _, connection in world.site.connections() if connection.id == key), None)


def _was_written(world: World, key: str) -> bool:
    connection = find_connection(world, key)
    return connection is not None and len(connection.writes) > world.before[key].writes


def _holds(world: World, connection: Connection) -> bool:
    credential = world.site.credentials[world.credential_of[connection.id]]
    return connection.password == credential.new_secret and connection.embedded


def _was_overwritten(world: World, connection: Connection) -> bool:
    """Whether somebody published it again, and it was not updated since then."""
    return connection.id in world.republished and len(connection.writes) == world.before[connection.id].writes


# -- the second run ----------------------------------------------------------------------------------------------------


def left_to_do(world: World, report: Report | None) -> set[str]:
    """The items with something that the first run did not do, or did not say that it had, or that was changed since."""
    rows = report["connections"] if report else []
    done = {row["connection_id"] for row in rows if row["outcome"] in WELL}
    left = {
        content.id
        for content, connection in world.site.connections()
        if connection.id in world.credential_of and (connection.id not in done or not _holds(world, connection))
    }
    return left | world.changed


def look_at_second_run(
    world: World, state: str, report: Report | None, left: Collection[str], written: Collection[str]
) -> list[str]:
    """What is wrong after a run that nobody disturbed."""
    wrong = list(judge(world.before, world.site, world.site.credentials).differences)
    if report is None:
        return [*wrong, f"the second run is {state} and has left no report"]
    if (state, report["state"]) != ("success", "success"):
        wrong.append(f"the second run is {state}, its report {report['state']}: {report['problems']}")
    wrong += untrue(world.site, report, written)
    wrong += [
        f"the second run wrote to {key}, with which nothing was left to do"
        for key in sorted(written)
        if world.content_of[key] not in left
    ]
    return wrong


# -- the log of requests -----------------------------------------------------------------------------------------------


def look_at_order(world: World, log: Sequence[LoggedRequest]) -> list[str]:
    """Whether one connection of each credential was written and proved before any other of that credential."""
    wrong = []
    for name in sorted(world.site.credentials):
        updates = [
            entry
            for entry in log
            if entry.operation == "update_connection" and world.credential_of.get(_connection_of(entry)) == name
        ]
        wrong += [f"{name}: {text}" for text in _wrong_order(world, log, updates)]
    return wrong


def _wrong_order(world: World, log: Sequence[LoggedRequest], updates: Sequence[LoggedRequest]) -> Iterator[str]:
    first = ""
    for entry in updates:
        key = _connection_of(entry)
        if not first or (_is_not_there(world, first) and not _is_proved(world, log, first, entry)):
            first = key
        if key == first:
            continue
        if not _is_proved(world, log, first, entry):
            yield f"{key} was written to before {first} was proved"
        return


def _is_proved(world: World, log: Sequence[LoggedRequest], key: str, before: LoggedRequest) -> bool:
    """Whether it was seen that what a connection took connects, by asking Tableau for data where it has some."""
    until = [entry for entry in log if entry.number < before.number]
    taken = [e.number for e in until if e.operation == "update_connection" and _connection_of(e) == key and _took(e)]
    if not taken:
        return False
    if not world.has_data(key):
        return world.was_tried_in_snowflake(world.credential_of[key], before.time)
    proofs = [entry for entry in until if entry.operation in PROOFS and entry.number > taken[0] and entry.status == 200]
    return any(_content_asked(world.state, entry) == world.content_of[key] for entry in proofs)


def _content_asked(state: TableauState, entry: LoggedRequest) -> str | None:
    if entry.operation == "get_job":
        job = state.jobs.get(entry.parameters["job_id"])
        return job.content.id if job else None
    if entry.operation == "view_data":
        views = {view.id: content.id for content in state.site.contents for view in content.views}
        return views.get(entry.parameters["view_id"])
    return entry.parameters.get("content_id")


def _is_not_there(world: World, key: str) -> bool:
    return world.content_of[key] in world.removed or key in world.replaced


def _took(entry: LoggedRequest) -> bool:
    """Whether an update took effect, as far as the log shows: the answers of some faults never came."""
    return entry.status == 200 or entry.fault in {"reset_after", "silence"}


def _connection_of(entry: LoggedRequest) -> str:
    return entry.parameters.get("connection_id", "")


def look_at_waits(log: Sequence[LoggedRequest], consumed: Sequence[Consumed]) -> list[str]:
    """Whether a request that was told when to come back came earlier."""
    told = [
        (each.operation, each.parameters, each.fault.retry_after)
        for each in consumed
        if isinstance(each.fault, Throttle)
    ]
    wrong = []
    for entry in log:
        if entry.fault != "throttle":
            continue
        mine = next(each for each in told if each[:2] == (entry.operation, entry.parameters))
        told.remove(mine)
        seconds = float(mine[2]) if mine[2] and mine[2].isdigit() else 0.0
        again = next(
            (
                e
                for e in log
                if e.number > entry.number and (e.method, e.path, e.query) == (entry.method, entry.path, entry.query)
            ),
            None,
        )
        if again and again.time - entry.time < timedelta(seconds=seconds):
            wrong.append(
                f"{entry.operation} came back {again.time - entry.time} after it was told to wait {seconds:.0f} s"
            )
    return wrong


def look_at_load(most_in_flight: int, consumed: Sequence[Consumed]) -> list[str]:
    """Whether there were more requests at a time than there may be."""
    # Who has stopped waiting for an answer may send another request, while the Tableau is still silent.
    most = IN_FLIGHT + sum(isinstance(each.fault, Silence) for each in consumed)
    return [f"{most_in_flight} requests at a time"] if most_in_flight > most else []
