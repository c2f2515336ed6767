"""What may happen at each boundary of a renewal, and what becomes of it: the matrix of docs/renewal.md.

Each cell is a story: something happens once in a run, the run is tried again or left to the next one, and then a
renewal runs every six hours until the overlap is over, with the rotation in Tableau following where it is told to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import product

from credential_rotation.rotation.snowflake_words import SnowflakeRefused, SnowflakeUnreachable
from sandbox.snowflake import rotate_token
from tests.credential_rotation.renewal.renewing import During, Killed
from tests.credential_rotation.renewal.whole_runs import Result, Runs
from tests.sandbox_snowflake.small_account import ROLE, TOKEN, service_of

BEGIN, END = "<!-- the matrix: made by tests/credential_rotation/renewal/matrix.py -->", "<!-- end of the matrix -->"
_HOURS_BETWEEN_RUNS, _HOURS = 6, 84  # the overlap is over after 72


class Event(StrEnum):
    """What happens."""

    KILLED = "the task is killed"
    ANSWER_LOST = "Snowflake's answer is lost"
    ERROR = "Snowflake answers an error"
    STORE_REFUSES = "the store refuses"
    TRIAL_REFUSED = "the role is revoked"
    ANOTHER_ROTATOR = "somebody else rotates"


class Moment(StrEnum):
    """When; the value is the step of the run, see :class:`tests.credential_rotation.renewal.renewing.Steps`."""

    BEFORE_ROTATE = "before rotate"
    AFTER_ROTATE = "after rotate"
    KEPT = "after keep_pending"
    PROMOTED = "after promote"
    BEFORE_EVENT = "before publish"
    AFTER_EVENT = "after publish"


MEANS = {
    Moment.BEFORE_ROTATE: "right before ROTATE",
    Moment.AFTER_ROTATE: "right after it took effect",
    Moment.KEPT: "after the secret is kept",
    Moment.PROMOTED: "after it is current",
    Moment.BEFORE_EVENT: "right before the asset event",
    Moment.AFTER_EVENT: "right after it, before the report",
}


class FollowUp(StrEnum):
    """Who continues."""

    RETRY = "the retry"
    NEXT_RUN = "the next run"


@dataclass(frozen=True)
class Cell:
    """One story."""

    event: Event
    moment: Moment
    follow_up: FollowUp


CELLS = [Cell(*each) for each in product(Event, Moment, FollowUp)]


@dataclass(frozen=True)
class Look:
    """How things stand after a run.

    :param days_left: until what Tableau embeds ends
    :param result: the run; None for a moment between two runs
    """

    at: datetime
    tableau_works: bool
    days_left: float
    result: Result | None


@dataclass(frozen=True)
class Story:
    """What became of a cell."""

    cell: Cell
    looks: tuple[Look, ...]

    @property
    def results(self) -> list[Result]:
        return [look.result for look in self.looks if look.result]

    @property
    def words(self) -> str:
        """For the table: the colour of the first run, and of the one after it where that differs."""
        first, then, *later = (_words(result) for result in self.results)
        assert all(each == "green" for each in later), later
        return first if then in ("green", first) else f"{first}, then {then}"


def _words(result: Result) -> str:
    if not result.red:
        return "green"
    return "red: somebody else" if "omebody else rotates" in result.readable else "red"


def play(cell: Cell, runs: Runs, *, is_first: bool = True) -> Story:
    """Let it happen.

    :param is_first: in the first renewal; else in the second, when the first has long arrived in Tableau
    """
    if not is_first:
        runs.run()
        runs.state.advance(days=25)
    happens, recover = _EVENTS[cell.event](runs, cell.moment)
    runs.recover = recover
    retries = 3 if cell.follow_up is FollowUp.RETRY else 0
    result = runs.run(During(cell.moment, happens), retries=retries)
    looks = [_look(runs, result)]
    recover()
    while len(looks) <= _HOURS / _HOURS_BETWEEN_RUNS:
        runs.state.advance(hours=_HOURS_BETWEEN_RUNS)
        looks.append(_look(runs, None))
        looks.append(_look(runs, runs.run(retries=retries)))
    return Story(cell, tuple(looks))


def _look(runs: Runs, result: Result | None) -> Look:
    return Look(runs.state.clock.now(), runs.tableau_works, runs.days_left, result)


_Acts = tuple[Callable[[], object], Callable[[], object]]


def _killed(runs: Runs, moment: Moment) -> _Acts:
    def kill() -> None:
        raise Killed(moment)

    return kill, _nothing


def _fails(problem: Exception) -> Callable[[Runs, Moment], _Acts]:
    def failing(runs: Runs, moment: Moment) -> _Acts:
        def fail() -> None:
            if moment in (Moment.KEPT, Moment.PROMOTED):
                runs.next_request = problem  # What happened is the store's; Snowflake is asked next.
                return
            raise problem

        return fail, lambda: setattr(runs, "next_request", None)

    return failing


def _store_refuses(runs: Runs, moment: Moment) -> _Acts:
    return lambda: setattr(runs.store, "refuses", True), lambda: setattr(runs.store, "refuses", False)


def _role_revoked(runs: Runs, moment: Moment) -> _Acts:
    roles = service_of(runs.state).roles
    return lambda: roles.discard(ROLE), lambda: roles.add(ROLE)


def _another_rotates(runs: Runs, moment: Moment) -> _Acts:
    def rotate() -> None:
        user = service_of(runs.state)
        token = user.token(TOKEN)
        assert token is not None
        rotate_token(runs.state, user, token, 24, created_by="ANOTHER")

    return rotate, _nothing


def _nothing() -> None:
    pass


_EVENTS: dict[Event, Callable[[Runs, Moment], _Acts]] = {
    Event.KILLED: _killed,
    Event.ANSWER_LOST: _fails(SnowflakeUnreachable("The answer was lost.")),
    Event.ERROR: _fails(SnowflakeRefused("000603: SQL execution internal error.")),
    Event.STORE_REFUSES: _store_refuses,
    Event.TRIAL_REFUSED: _role_revoked,
    Event.ANOTHER_ROTATOR: _another_rotates,
}


def table(stories: list[Story]) -> Iterator[str]:
    """The lines of the table in docs/renewal.md."""
    words = {story.cell: story.words for story in stories}
    yield f"| what happens | when | {' | '.join(f'{each} continues' for each in FollowUp)} |"
    yield "|---|---|---|---|"
    for event, moment in product(Event, Moment):
        cells = [words[Cell(event, moment, each)] for each in FollowUp]
        yield f"| {event} | {MEANS[moment]} | {' | '.join(cells)} |"


def replaced(page: str, lines: list[str]) -> str:
    """A page, with this table in the place of the one that it has."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{rest.partition(END)[2]}"
