"""`make chaos`: faults of every kind, kills, lost sessions and busy authors at once, and nothing may be lost."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sandbox.chaos.plan import draw_plans
from sandbox.chaos.round import Round, play_round
from sandbox.chaos.secrets import Secrets
from sandbox.chaos.servers import started
from sandbox.guarded import guarded
from sandbox.local_airflow import REPOSITORY


def main(argv: Sequence[str] | None = None) -> int:
    """Play all rounds; 0 only when nothing was lost."""
    options = _parser().parse_args(argv)
    return guarded(lambda _: _play(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox chaos", description="Let everything go wrong at once, and see that nothing is lost."
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7, help="draws sites, faults, events and their moments")
    parser.add_argument("--only", type=int, nargs="+", default=[], help="play these of the rounds, by their numbers")
    parser.add_argument("--minutes", type=float, help="begin no further round after so long")
    parser.add_argument("--home", type=Path, default=REPOSITORY / ".airflow-chaos", help="AIRFLOW_HOME, emptied first")
    return parser


def _play(options: argparse.Namespace) -> int:
    began = time.monotonic()
    plans = [
        each for each in draw_plans(options.rounds, options.seed) if not options.only or each.number in options.only
    ]
    rounds: list[Round] = []
    secrets = Secrets()
    with started(options.home) as servers:
        home = servers.airflow.home
        for plan in plans:
            if options.minutes and time.monotonic() - began > 60 * options.minutes:
                break
            before = time.monotonic()
            done = play_round(servers, plan)
            secrets.learn(servers.tableau)
            done.wrong += secrets.look(home, new=True)
            rounds.append(done)
            print(f"{done.line()} | {time.monotonic() - before:.0f} s", flush=True)
    leaks = secrets.look(home)  # when everything has been written
    for text in leaks:
        print(text)
    print(f"\n{totals(rounds, leaks)}; {time.monotonic() - began:.0f} s in all")
    return 1 if leaks or any(each.wrong for each in rounds) else 0


def totals(rounds: Sequence[Round], leaks: Sequence[str] = ()) -> str:
    """The figures of all rounds."""
    consumed = sum((each.consumed for each in rounds), Counter[str]())
    events = Counter(text.partition(" (")[0] for each in rounds for text in each.happened)
    killed = sum(len(each.killed) for each in rounds)
    components = Counter(name for each in rounds for name in each.components_killed)
    states = Counter(each.states[0] for each in rounds)
    as_asked = sum(each.plan.refusal is not None for each in rounds)
    wrong = sum(len(each.wrong) for each in rounds) + len(leaks)
    lines = [
        f"{len(rounds)} rounds; first runs: {_listed(states)} ({as_asked} of them had to be red)",
        f"faults met: {consumed.total()} of {sum(each.scripted for each in rounds)} ({_listed(consumed)})",
        f"events: {_listed(events)}",
        f"killed: {killed} tasks, {_listed(components) or 'no component'}",
        f"tasks tried again: {sum(each.tries_again for each in rounds)}",
        f"targets: {sum(each.targets for each in rounds)}, {sum(each.left for each in rounds)} left to second runs",
        f"lost: {wrong or 'nothing'}",
    ]
    return "\n".join(lines)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.most_common())
