"""`make kills`: tasks are killed in the middle of runs, Airflow recovers by itself, and nothing may be lost.

Each round has a Tableau site of its own, a run in which processes get SIGKILL, and a second run that nobody disturbs.
What must be true after these is looked at in the sandbox itself: every target holds its new token and was written to
twice at most, nothing else was touched, and the report of the second run is green and tells of each connection what is
so. One Airflow lives through all rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from sandbox import stage
from sandbox.demo import read_report
from sandbox.guarded import guarded
from sandbox.killing import Killer, RunningTask, Way
from sandbox.local_airflow import REPOSITORY, LocalAirflow
from sandbox.supervising import ENVIRONMENT, Supervisor
from sandbox.tableau import Site, TableauServer, TableauState, build_site
from sandbox.tableau.data_access import failure_of
from sandbox.telling import report_path, untrue, writes_of
from sandbox.verdict import judge, take_snapshot

MOST_WRITES = 2
SHOWN = 5
IN_PHASE = frozenset({"validate_one", "update_connections"})


@dataclass(frozen=True)
class Plan:
    """What is to happen in a round.

    :param update: the kill comes when Tableau has got this many update requests; None: counted from the trigger
    :param seconds: and so much later
    :param everyone: every task that runs at this moment, or one of them
    :param per_task: connections in one task; None: as the DAG chooses, which is one for so few
    """

    number: int
    seed: int
    way: Way
    everyone: bool
    seconds: float
    update: int | None = None
    per_task: int | None = None

    @property
    def moment(self) -> str:
        """In words."""
        since = f"update request {self.update}" if self.update else "trigger"
        return f"{since} + {self.seconds:.2f} s"


@dataclass
class Round:
    """What happened in a round."""

    plan: Plan | None
    killed: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    run_seconds: list[float] = field(default_factory=list)
    writes: Counter[int] = field(default_factory=Counter)
    told_first: Counter[str] = field(default_factory=Counter)
    tasks_tried_again: int = 0
    schedulers_started: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """All of it in one line."""
        killed = f"{self.plan.way} of {', '.join(self.killed) or 'nobody'}" if self.plan else "nobody"
        runs = ", then ".join(f"{s} in {t:.0f} s" for s, t in zip(self.states, self.run_seconds, strict=True))
        writes = " + ".join(f"{number} x {times}" for times, number in sorted(self.writes.items()))
        parts = [
            f"round {self.plan.number if self.plan else 0:2}",
            f"at {self.plan.moment}" if self.plan else "undisturbed",
            f"killed: {killed}",
            f"runs: {runs}",
            f"first report: {', '.join(f'{n} {word}' for word, n in self.told_first.most_common()) or 'none'}",
            f"tasks tried again: {self.tasks_tried_again}",
            f"targets x writes: {writes}",
            *self.schedulers_started,
            *self.orphans,
            "; ".join(self.wrong[:SHOWN]) or "nothing lost",
            *([f"and {len(self.wrong) - SHOWN} more"] if len(self.wrong) > SHOWN else []),
        ]
        return " | ".join(parts)


def main(argv: Sequence[str] | None = None) -> int:
    """Play all rounds; 0 only when each kill hit something and nothing was lost."""
    options = _parser().parse_args(argv)
    return guarded(lambda _: _play(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox kills", description="Kill tasks in the middle of runs, and see that nothing is lost."
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7, help="draws moments, victims and sites")
    parser.add_argument("--per-task", type=int, help="connections in one task (default: one, as the DAG chooses)")
    parser.add_argument("--only", type=int, nargs="+", default=[], help="play these of the rounds, by their numbers")
    parser.add_argument("--home", type=Path, default=REPOSITORY / ".airflow-kills", help="AIRFLOW_HOME, emptied first")
    return parser


def _play(options: argparse.Namespace) -> int:
    began = time.monotonic()
    with TableauServer() as tableau, started_airflow(options.home, tableau) as airflow:
        quiet = play_round(airflow, tableau, make_state(f"{options.seed}", "kills-0"), None)
        print(f"{quiet.line()}", flush=True)
        rounds = []
        for plan in draw_plans(options.rounds, options.seed, quiet.run_seconds[0]):
            if options.only and plan.number not in options.only:
                continue
            before = time.monotonic()
            rounds.append(_play_until_hit(airflow, tableau, replace(plan, per_task=options.per_task)))
            print(f"{rounds[-1].line()} | {time.monotonic() - before:.0f} s", flush=True)
    print(f"\n{_totals([quiet, *rounds])}; {time.monotonic() - began:.0f} s in all")
    return 0 if all(each.killed and not each.wrong for each in rounds) and not quiet.wrong else 1


def _totals(rounds: Sequence[Round]) -> str:
    writes: Counter[int] = sum((each.writes for each in rounds), Counter())
    wrong = [text for each in rounds for text in each.wrong]
    planned, hit = [each for each in rounds if each.plan], [each for each in rounds if each.killed]
    states = Counter(each.states[0] for each in hit)
    lines = [
        f"{len(hit)} of {len(planned)} rounds with a kill, {sum(len(each.killed) for each in hit)} tasks killed",
        f"the runs in which it happened: {', '.join(f'{number} {state}' for state, number in states.items())}",
        f"{writes.total()} targets, written to "
        + ", ".join(f"{number} of them {times} x" for times, number in sorted(writes.items())),
        f"schedulers that had to be started again: {sum(len(each.schedulers_started) for each in rounds)}",
        f"lost: {len(wrong) or 'nothing'}",
    ]
    return "\n".join(lines)


# -- the plan ----------------------------------------------------------------------------------------------------------


def draw_plans(rounds: int, seed: int, usual_seconds: float) -> list[Plan]:
    """A third of the moments anywhere in a run, the others while Tableau is written to."""
    random = Random(f"kills {seed}")
    anywhere = [number for number in range(1, rounds + 1) if number % 3 == 1]
    plans = []
    for number in range(1, rounds + 1):
        plan = Plan(
            number,
            seed=random.randrange(10**6),
            way=random.choices(list(Way), (60, 20, 20))[0],
            everyone=random.random() < 0.5,
            seconds=random.uniform(0.0, 0.6),
        )
        if number in anywhere:  # one in each part of a run, so that they are spread over all of it
            part = (anywhere.index(number) + random.random()) / len(anywhere)
            plan = replace(plan, seconds=part * usual_seconds)
        else:  # each credential's first one, or one of the rest
            plan = replace(plan, update=random.randint(1, 3) if number % 6 == 2 else random.randint(4, 36))
        plans.append(plan)
    return plans


def make_state(seed: str, content_url: str) -> TableauState:
    """A Tableau with some 40 targets of three credentials among 60 neighbours; it takes its time, as the real one.

    A run is to be red for a kill alone. So targets lose neighbours in their own item that let nobody fetch its data,
    whatever the targets embed: no first connection of a credential could be proved there.
    """
    state = build_site(
        seed=Random(f"site {seed}").randrange(10**6),
        data_sources=34,
        workbooks=26,
        flows=6,
        virtual_connections=3,
        content_url=content_url,
    )
    for content in state.site.contents:
        targets = [connection for connection in content.connections if connection.target_of]
        if targets and failure_of(state, content):
            content.connections = targets
    state.latency.read_seconds, state.latency.write_seconds = 0.02, 0.2
    return state


# -- a round -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started_airflow(home: Path, tableau: TableauServer) -> Iterator[LocalAirflow]:
    """The Airflow of all rounds; nothing is put into the Tableau yet."""
    site = make_state("connections", "nowhere").site
    connections = stage.airflow_connections(tableau.port, site)
    with LocalAirflow(home, dag_ids=[stage.DAG_ID], connections=connections, env=ENVIRONMENT) as airflow:
        yield airflow


def _play_until_hit(airflow: LocalAirflow, tableau: TableauServer, plan: Plan) -> Round:
    """Play the round; again, and earlier, when the run was over before its moment came."""
    for attempt in range(3):
        state = make_state(f"{plan.seed}", f"kills-{plan.number}-{attempt}")
        last = len(state.expected_targets()) - 1
        earlier = replace(plan, seconds=plan.seconds * 0.8**attempt, update=plan.update and min(plan.update, last))
        done = play_round(airflow, tableau, state, earlier)
        if done.killed or done.wrong:
            break
    return done


def play_round(airflow: LocalAirflow, tableau: TableauServer, state: TableauState, plan: Plan | None) -> Round:
    """A run that is disturbed as planned, a second one that isn't, and what came of them."""
    site = state.site
    tableau.state = state
    tableau.requests.clear()
    airflow.api.put_connection(stage.TABLEAU_CONN_ID, stage.tableau_connection(tableau.port, site))
    before, done = take_snapshot(site), Round(plan)
    killer = PlannedKiller(airflow, tableau, plan) if plan else None

    _run(airflow, site, f"{site.content_url}-1", done, killer.strike if killer else None)
    if killer:
        done.killed, done.orphans = killer.killed, killer.orphans()
    if done.states[0] == "success":
        done.wrong += [f"green, but {text}" for text in judge(before, site, site.credentials).differences]
    done.wrong += _look_at_first_report(airflow, site, done)

    written_before = writes_of(site)
    _run(airflow, site, f"{site.content_url}-2", done, None)
    written = {key for key, times in writes_of(site).items() if times > written_before[key]}
    report = read_report(report_path(airflow, f"{site.content_url}-2"))
    if (done.states[-1], report["state"]) != ("success", "success"):
        done.wrong.append(f"the second run is {done.states[-1]}, its report {report['state']}: {report['problems']}")
    done.wrong += judge(before, site, site.credentials).differences
    done.wrong += untrue(site, report, written)
    done.writes = Counter(writes_of(site)[target.connection_id] for target in site.expected_targets())
    done.wrong += [f"{number} connections written to {n} x" for n, number in done.writes.items() if n > MOST_WRITES]
    return done


def _run(
    airflow: LocalAirflow, site: Site, run_id: str, done: Round, meanwhile: Callable[[str, float], None] | None
) -> None:
    """Trigger a run, let something happen meanwhile, and wait for its end."""
    airflow.api.unpause(stage.DAG_ID)
    began = time.monotonic()
    per_task = done.plan.per_task if done.plan else None
    airflow.api.trigger(stage.DAG_ID, stage.conf(site.credentials.values(), connections_per_task=per_task), run_id)
    if meanwhile:
        meanwhile(run_id, began)
    done.states.append(Supervisor(airflow, done.schedulers_started).wait(run_id))
    done.run_seconds.append(time.monotonic() - began)
    if len(done.states) == 1:
        tasks = airflow.api.task_instances(stage.DAG_ID, run_id)
        done.tasks_tried_again = sum(task.try_number > 1 for task in tasks)


# -- looking -----------------------------------------------------------------------------------------------------------


def _look_at_first_report(airflow: LocalAirflow, site: Site, done: Round) -> list[str]:
    """What the disturbed run says is done must be done, and its report must be as red or green as the run."""
    path = report_path(airflow, f"{site.content_url}-1")
    if not path.exists():
        return ["green, but without a report"] if done.states[0] == "success" else []
    report = read_report(path)
    done.told_first = Counter(row["outcome"] for row in report["connections"] if row["outcome"] != "excluded")
    wrong = []
    if report["state"] != done.states[0]:
        wrong.append(f"the first run is {done.states[0]}, its report says {report['state']}")
    tokens = {connection.id: connection.password for _, connection in site.connections()}
    new = {target.connection_id: site.credentials[target.credential].new_secret for target in site.expected_targets()}
    for row in report["connections"]:
        key = row["connection_id"]
        if row["outcome"] in {"updated", "unchanged"} and tokens[key] != new.get(key):
            wrong.append(f"the first report says {row['outcome']} of {key}, which holds something else")
    return wrong


# -- killing -----------------------------------------------------------------------------------------------------------


class PlannedKiller(Killer):
    """Waits for the moment of a plan and sends SIGKILL."""

    def __init__(self, airflow: LocalAirflow, tableau: TableauServer, plan: Plan) -> None:
        super().__init__(airflow)
        self._tableau = tableau
        self._plan = plan

    def strike(self, run_id: str, began: float) -> None:
        """Wait until it is time, and kill; without effect when the run is over before."""
        if not self._await_moment(run_id, began):
            return
        while not self.killed and not self._is_over(run_id):
            for each in self._victims():
                self.kill(each, self._plan.way)
            time.sleep(0.02)

    def _await_moment(self, run_id: str, began: float) -> bool:
        if self._plan.update is None:
            time.sleep(max(0.0, began + self._plan.seconds - time.monotonic()))
            return not self._is_over(run_id)
        looked = time.monotonic()
        while self._tableau.requests.count("update_connection") < self._plan.update:
            time.sleep(0.01)
            if time.monotonic() - looked > 2:
                looked = time.monotonic()
                if self._is_over(run_id):
                    return False
        time.sleep(self._plan.seconds)
        return True

    def _is_over(self, run_id: str) -> bool:
        return self._airflow.api.dag_run(stage.DAG_ID, run_id).finished

    def _victims(self) -> list[RunningTask]:
        tasks = self.running()
        writing = [task for task in tasks if task.task_id in IN_PHASE]
        if self._plan.update is not None:
            tasks = writing
        if self._plan.everyone or not tasks:
            return tasks
        return [Random(self._plan.seed).choice(tasks)]
