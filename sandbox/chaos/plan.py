"""What is to happen in each round, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypeVar

from sandbox.chaos.menu import Menu, Scripted
from sandbox.killing import Way

_Card = TypeVar("_Card")


class Event(StrEnum):
    """A disturbance that is no fault of a request."""

    KILL = "task killed"
    SCHEDULER = "scheduler killed"
    API_SERVER = "api-server killed"
    SESSIONS_END = "all sessions ended"
    CLOCK = "clock past the idle life of sessions"
    OUTAGE = "Tableau away"
    REMOVE = "content deleted"
    RENAME = "content renamed"
    REPUBLISH = "content published again"
    REPUBLISH_NEW_IDS = "content published again with new ids"
    PUBLISH = "new content published"
    CLEAR = "task cleared"


class Refusal(StrEnum):
    """What Tableau does in a round whose first run must be red, and for what."""

    ELSEWHERE_IN_LIST = "a list is redirected to another origin"
    ELSEWHERE_IN_UPDATE = "an update is redirected to another origin"
    NOT_EDITABLE = "a connection is not editable"
    NOT_ALLOWED = "the connections of an item may not be read"


class Proof(StrEnum):
    """By what the first connection of a credential can be proved."""

    REFRESH = "refresh"
    QUERY = "query"


@dataclass(frozen=True)
class Moment:
    """When Tableau has got so many requests of an operation, and a while later."""

    operation: str
    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.operation} {self.count} + {self.seconds:.1f} s"


@dataclass(frozen=True)
class Planned:
    """An event and its moment.

    :param way: of a kill
    :param everyone: of a kill: every task that runs then, or one of them
    :param task_id: of a kill: the task, for whose turn it waits; None: any
    """

    event: Event
    moment: Moment
    seed: int
    way: Way = Way.TASK
    everyone: bool = False
    task_id: str | None = None


@dataclass(frozen=True)
class Plan:
    """A round.

    :param refusal: for this, and only for this, the first run must be red
    :param per_task: connections in one task; None: as the DAG chooses
    :param gateway_minutes: how far the clock of the gateway in front of Tableau is ahead
    """

    number: int
    seed: int
    faults: tuple[Scripted, ...]
    events: tuple[Planned, ...]
    proof: Proof = Proof.REFRESH
    refusal: Refusal | None = None
    per_task: int | None = None
    gateway_minutes: float = 0.0

    @property
    def may_be_red(self) -> list[str]:
        """Why the first run may be red; empty when it must be green."""
        return [str(each.event) for each in self.events if each.event in _MAY_MAKE_RED]


# Content that somebody changes after its update may hold something else, which makes the run red.
_CHANGES = (Event.RENAME, Event.REPUBLISH, Event.REPUBLISH_NEW_IDS)
_MAY_MAKE_RED = frozenset({Event.KILL, Event.SCHEDULER, Event.API_SERVER, Event.CLEAR, *_CHANGES})
_KILLS = (Event.KILL, Event.KILL, Event.KILL, Event.SCHEDULER, Event.API_SERVER, Event.CLEAR)
_CONTENT = (Event.REMOVE, Event.RENAME, Event.REPUBLISH, Event.REPUBLISH_NEW_IDS, Event.PUBLISH)
_TABLEAU = (Event.SESSIONS_END, Event.CLOCK, Event.OUTAGE)
# Half of all kills wait for one of these; each of them comes only once in a run, or a few times.
_TASKS = ("discover", "filter_connections", "validate_one", "plan_updates", "report", "sign_out")
_REFUSAL_EVERY = 6


def draw_plans(rounds: int, seed: int) -> list[Plan]:
    """The plans of all rounds: every kind of fault and event before any comes again."""
    random = Random(f"chaos {seed}")
    menu = Menu(random)
    kills, content, unwell = (_deck(random, each) for each in (_KILLS, _CONTENT, _TABLEAU))
    tasks = _deck(random, _TASKS)
    refusals, proofs = _deck(random, tuple(Refusal)), _deck(random, tuple(Proof))
    plans = []
    for number in range(1, rounds + 1):
        refusal = next(refusals) if number % _REFUSAL_EVERY == 0 else None
        events = [next(content) for _ in range(random.randint(1, 3))]
        events += [next(unwell) for _ in range(random.randint(0, 2))]
        if refusal is None:
            events += [next(kills) for _ in range(random.choices((0, 1, 2), (20, 50, 30))[0])]
        else:  # these would blur what the run is red for
            events = [each for each in events if each not in _MAY_MAKE_RED]
        plans.append(
            Plan(
                number,
                seed=random.randrange(10**6),
                faults=menu.draw(random.randint(5, 12)),
                events=tuple(_planned(each, random, tasks) for each in events),
                proof=next(proofs),
                refusal=refusal,
                per_task=random.choice((None, None, 2, 4)),
                gateway_minutes=random.choice((0.0, 0.0, 20.0, -20.0)),
            )
        )
    return plans


def _deck(random: Random, cards: tuple[_Card, ...]) -> Iterator[_Card]:
    while True:
        yield from random.sample(cards, len(cards))


def _planned(event: Event, random: Random, tasks: Iterator[str]) -> Planned:
    task_id = next(tasks) if event is Event.KILL and random.random() < 0.5 else None
    return Planned(
        event,
        Moment("server_info", 0, 0.0) if task_id else _moment(event, random),
        seed=random.randrange(10**6),
        way=random.choices(list(Way), (50, 30, 20))[0],
        everyone=random.random() < 0.5,
        task_id=task_id,
    )


def _moment(event: Event, random: Random) -> Moment:
    if random.random() < 0.3:  # while the site is read
        return Moment("query_connections", random.randint(1, 40), random.uniform(0.0, 0.3))
    first = 3 if event in {Event.KILL, Event.SCHEDULER} else 1
    return Moment("update_connection", random.randint(1, first + 10), random.uniform(0.0, 0.6))
