"""The rounds whose first run must be red: what Tableau refuses for good, and whether the run is red for that alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from sandbox.chaos.checks import Report, not_done
from sandbox.chaos.menu import Scripted
from sandbox.chaos.plan import Plan, Refusal
from sandbox.chaos.world import World
from sandbox.tableau import Fault, Redirect, TableauCode, TableauState
from sandbox.tableau.fault_scripts import Consumed

AGAIN_AND_AGAIN = 50
_ELSEWHERE = {Refusal.ELSEWHERE_IN_LIST: "list_workbooks", Refusal.ELSEWHERE_IN_UPDATE: "update_connection"}
_FINE = frozenset({"updated", "gone", "excluded"})


@dataclass(frozen=True)
class Refused:
    """The one thing that Tableau refuses, whoever asks and how often."""

    operation: str
    fault: Fault
    where: dict[str, str]
    content_id: str
    connection_ids: frozenset[str]
    words: str


def choose(plan: Plan, state: TableauState) -> Refused | None:
    """The connection or item that is refused in this round, if one is; none that others are to be validated on."""
    if plan.refusal not in {Refusal.NOT_EDITABLE, Refusal.NOT_ALLOWED}:
        return None
    flows = [content for content in state.site.contents if content.content_type == "flow"]
    items = [content for content in flows if any(connection.target_of for connection in content.connections)]
    content = Random(plan.seed).choice(items)
    targets = [connection.id for connection in content.connections if connection.target_of]
    if plan.refusal is Refusal.NOT_ALLOWED:
        fault = TableauCode("403004", "This user does not have permission to perform this action.")
        where = {"content_id": content.id}
        return Refused("query_connections", fault, where, content.id, frozenset(targets), "403004")
    fault = TableauCode("400039", "The connection is not editable (errorCode=60004).")
    where = {"connection_id": targets[0]}
    return Refused("update_connection", fault, where, content.id, frozenset(targets[:1]), "not editable")


def faults(plan: Plan, elsewhere: str) -> list[Scripted]:
    """The redirect that is to be refused."""
    if plan.refusal not in _ELSEWHERE:
        return []
    random = Random(plan.seed)
    operation = _ELSEWHERE[plan.refusal]
    after = random.randint(0, 8) if operation == "update_connection" else 0
    return [Scripted(operation, (Redirect(elsewhere, random.choice((302, 307, 308))),), after)]


def look(
    world: World, refusal: Refusal, refused: Refused | None, report: Report | None, consumed: Sequence[Consumed]
) -> list[str]:
    """What is wrong with a run that had to be red for this."""
    wrong = [] if report and report["state"] == "failed" else [f"the first run is not red, though {refusal}"]
    if report is None:
        return [*wrong, "the first run has left no report"]
    if refused is not None:
        return wrong + list(_look_at_rows(world, refused, report))
    if not any(isinstance(each.fault, Redirect) and each.fault.location for each in consumed):
        wrong.append("nobody was redirected")
    told = [*report["problems"], *(row["reason"] or "" for row in report["connections"])]
    if not any("redirects" in text for text in told):
        wrong.append("the first report does not say that Tableau redirects")
    if refusal is Refusal.ELSEWHERE_IN_LIST and any(connection.writes for _, connection in world.site.connections()):
        wrong.append("something was written though the site was not read")
    return wrong


def _look_at_rows(world: World, refused: Refused, report: Report) -> Iterator[str]:
    bad = [row for row in report["connections"] if row["outcome"] not in _FINE]
    if not bad:
        yield "the first report does not tell of what was refused"
    for row in bad:
        if row["content_id"] != refused.content_id or refused.words not in (row["reason"] or ""):
            yield f"the first run is red for {row['connection_id']}, too: {row['outcome']}, {row['reason']}"
    yield from (text for key, text in not_done(world) if key not in refused.connection_ids)
