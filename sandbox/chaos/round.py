"""One round: a fresh site, a run that everything disturbs, a run that nothing does, and what came of both."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

from sandbox import stage
from sandbox.chaos import checks, refusals
from sandbox.chaos.disturber import Disturber
from sandbox.chaos.menu import HTTP_DATE, Scripted
from sandbox.chaos.plan import Plan, Proof
from sandbox.chaos.servers import Servers
from sandbox.chaos.world import World
from sandbox.local_airflow import LocalAirflow
from sandbox.supervising import Supervisor
from sandbox.tableau import ContentType, Fault, Pass, TableauServer, TableauState, Throttle, build_site
from sandbox.tableau.data_access import failure_of
from sandbox.tableau.fault_scripts import Consumed
from sandbox.telling import report_path, writes_of

SHOWN = 6


@dataclass
class Round:
    """What happened in a round."""

    plan: Plan
    happened: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    scripted: int = 0
    consumed: Counter[str] = field(default_factory=Counter)
    killed: list[str] = field(default_factory=list)
    components_killed: list[str] = field(default_factory=list)
    started_again: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    tries_again: int = 0
    told_first: Counter[str] = field(default_factory=Counter)
    writes: Counter[int] = field(default_factory=Counter)  # how many targets were written to so often
    left: int = 0  # connections that the second run wrote to
    targets: int = 0
    wrong: list[str] = field(default_factory=list)
    reason: str = ""  # of a red first run

    def line(self) -> str:
        """All of it in one line."""
        runs = ", then ".join(f"{s} in {t:.0f} s" for s, t in zip(self.states, self.seconds, strict=False))
        faults = ", ".join(f"{word} {number}" for word, number in sorted(self.consumed.items()))
        parts = [
            f"round {self.plan.number:2}",
            *([f"gateway {self.plan.gateway_minutes:+.0f} min"] if self.plan.gateway_minutes else []),
            "; ".join([*([str(self.plan.refusal).upper()] if self.plan.refusal else []), *self.happened])
            or "no events",
            *([f"too late: {', '.join(self.missed)}"] if self.missed else []),
            f"faults: {self.consumed.total()} of {self.scripted} met ({faults})",
            f"runs: {runs}",
            *([f"red because {self.reason}"] if self.reason else []),
            f"first report: {', '.join(f'{n} {word}' for word, n in self.told_first.most_common()) or 'none'}",
            f"tasks tried again: {self.tries_again}",
            f"targets x writes: {' + '.join(f'{n} x {times}' for times, n in sorted(self.writes.items()))}",
            f"left to the second run: {self.left} of {self.targets}",
            *self.started_again,
            "; ".join(self.wrong[:SHOWN]) or "nothing lost",
            *([f"and {len(self.wrong) - SHOWN} more"] if len(self.wrong) > SHOWN else []),
        ]
        return " | ".join(parts)


def make_state(plan: Plan) -> TableauState:
    """A Tableau with some 25 targets of three credentials; nothing in it is a reason for a red run."""
    state = build_site(
        seed=plan.seed,
        data_sources=22,
        workbooks=14,
        flows=4,
        virtual_connections=2,
        content_url=f"chaos-{plan.number}",
    )
    for content in state.site.contents:
        targets = [connection for connection in content.connections if connection.target_of]
        # A neighbour that lets nobody fetch the data of an item would let no first connection be proved there.
        if targets and failure_of(state, content):
            content.connections = targets
        if targets and plan.proof is Proof.QUERY and content.content_type is ContentType.DATASOURCE:
            content.has_extracts, content.type = False, targets[0].type
    state.latency.read_seconds, state.latency.write_seconds = 0.02, 0.2
    state.gateway_minutes_ahead = plan.gateway_minutes
    return state


def play_round(servers: Servers, plan: Plan) -> Round:
    """Play a round."""
    done = Round(plan)
    airflow, tableau, elsewhere = servers.airflow, servers.tableau, servers.elsewhere
    state = make_state(plan)
    servers.serve(state)
    refused = refusals.choose(plan, state)
    world = World(tableau, spared=frozenset({refused.content_id} if refused else set()))
    done.scripted = _script(tableau, plan, refusals.faults(plan, elsewhere.url), refused)

    run_id = f"{state.site.content_url}-1"
    disturber = Disturber(airflow, tableau, world, plan.events, run_id)
    _run(airflow, tableau, run_id, done, disturber)
    report = _read(airflow, run_id)
    log, consumed = tableau.requests.all(), list(tableau.faults.consumed)
    _note(done, disturber, consumed, report)
    done.tries_again = sum(task.try_number > 1 for task in airflow.api.task_instances(stage.DAG_ID, run_id))
    may_be_red = [str(plan.refusal)] if plan.refusal else plan.may_be_red
    done.wrong += checks.look_at_first_run(world, done.states[0], report, may_be_red)
    done.wrong += checks.look_at_order(world, log)
    if not done.killed and not done.components_killed:  # who was killed remembers no wait
        done.wrong += checks.look_at_waits(log, consumed)
        done.wrong += checks.look_at_load(tableau.requests.most_in_flight, consumed)
    if plan.refusal:
        done.wrong += refusals.look(world, plan.refusal, refused, report, consumed)

    tableau.faults.clear()
    before, left = writes_of(state.site), checks.left_to_do(world, report)
    run_id = f"{state.site.content_url}-2"
    _run(airflow, tableau, run_id, done, None)
    written = {key for key, times in writes_of(state.site).items() if times > before[key]}
    targets = state.site.expected_targets()
    done.left, done.targets = len(written), len(targets)
    done.writes = Counter(writes_of(state.site)[target.connection_id] for target in targets)
    done.wrong += checks.look_at_second_run(world, done.states[1], _read(airflow, run_id), left, written)
    done.wrong += checks.look_at_order(world, tableau.requests.all()[len(log) :])
    done.wrong += [f"a request came to another origin: {each.partition(' ')[0]}" for each in elsewhere.requests]
    return done


def _run(airflow: LocalAirflow, tableau: TableauServer, run_id: str, done: Round, disturber: Disturber | None) -> None:
    airflow.api.unpause(stage.DAG_ID)
    began = time.monotonic()
    conf = stage.conf(tableau.state.site.credentials.values(), connections_per_task=done.plan.per_task)
    airflow.api.trigger(stage.DAG_ID, conf, run_id)
    supervisor = Supervisor(airflow, done.started_again)
    done.states.append(supervisor.wait(run_id, disturber.tick if disturber else lambda: None))
    done.seconds.append(time.monotonic() - began)


def _note(done: Round, disturber: Disturber, consumed: Sequence[Consumed], report: checks.Report | None) -> None:
    """Put down what the first run was like."""
    done.happened, done.missed = disturber.happened, disturber.missed
    done.killed, done.components_killed = disturber.killer.killed, disturber.components_killed
    done.started_again += disturber.killer.orphans()
    done.consumed = Counter(each.fault.word for each in consumed if not is_filler(each.fault))
    if report is None:
        done.reason = "it has left no report"
        return
    done.told_first = Counter(row["outcome"] for row in report["connections"] if row["outcome"] != "excluded")
    if done.states[0] != "success":
        rows = [row["reason"] for row in report["connections"] if row["outcome"] in {"failed", "not_attempted"}]
        done.reason = "; ".join([*report["problems"], *rows[:1]])[:200] or "of no row of its report"


def _read(airflow: LocalAirflow, run_id: str) -> checks.Report | None:
    path = report_path(airflow, run_id)
    return json.loads(path.read_text()) if path.exists() else None


# -- faults ------------------------------------------------------------------------------------------------------------


class Filler(Pass):
    """A request that goes through because a fault is to hit a later one."""


def is_filler(fault: Fault) -> bool:
    """Whether a fault only stands between others."""
    return isinstance(fault, Filler)


def _script(tableau: TableauServer, plan: Plan, extra: Sequence[Scripted], refused: refusals.Refused | None) -> int:
    """Hand the faults of a round to the Tableau; how many there are."""
    if refused:  # first, for it is about one item, and whatever else is in the way
        tableau.faults.script(refused.operation, refused.fault, refused.where, times=refusals.AGAIN_AND_AGAIN)
    scripted = [*plan.faults, *extra]
    for operation, faults in in_order(scripted).items():
        tableau.faults.script(operation, [_dated(each) for each in faults])
    return sum(len(each.faults) for each in scripted) + (1 if refused else 0)


def in_order(scripted: Sequence[Scripted]) -> dict[str, list[Fault]]:
    """For each operation what its requests meet, one after the other."""
    orders: dict[str, list[Fault]] = {}
    for each in sorted(scripted, key=lambda each: each.after):
        order = orders.setdefault(each.operation, [])
        order += [Filler()] * (each.after - len(order))
        order += each.faults
    return orders


def _dated(fault: Fault) -> Fault:
    if not isinstance(fault, Throttle) or fault.retry_after != HTTP_DATE:
        return fault
    when = datetime.now(UTC) + timedelta(seconds=Random(0).uniform(15, 30))
    return replace(fault, retry_after=format_datetime(when, usegmt=True))
