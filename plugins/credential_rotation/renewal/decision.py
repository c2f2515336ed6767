"""What is to be done about a user's token today."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from credential_rotation.renewal.standing import InForce
from credential_rotation.renewal.tokens import MOST_TOKENS, Token, formers, shown

# What it takes to bring a new token to every connection of a large site, with room for a retry or two.
LEAST_OVERLAP_HOURS = 2
# So many rotated tokens that still work are a sign of two who rotate against each other, or of a secret lost each time.
_MANY_FORMERS = 3


class State(StrEnum):
    """How a user's token stands."""

    NOT_DUE = "not_due"
    DUE = "due"
    EXPIRED = "expired"
    OVERLAP_RUNNING = "overlap_running"
    NO_FREE_SLOT = "no_free_slot"
    MISSING = "missing"
    DISABLED = "disabled"
    REFUSED = "refused"
    REWRITTEN = "rewritten"


STATE_MEANS: dict[State, str] = {
    State.NOT_DUE: "it lives longer than `renew_before_days`",
    State.DUE: "renewed, or with `dry_run` would be; with a reason where it was not",
    State.EXPIRED: "too late: what embeds it can't connect. Make a new token by hand",
    State.OVERLAP_RUNNING: "it was renewed lately; the previous secret still works",
    State.NO_FREE_SLOT: f"{MOST_TOKENS} tokens that have not expired: Snowflake allows no more. Remove some, or run "
    "with `remove_rotated`",
    State.MISSING: "the user, or the token, is not there or can't be seen, or there are several and none is named",
    State.DISABLED: "somebody, or Snowflake, has switched it off",
    State.REFUSED: "Snowflake refuses the secret that Tableau is to embed; nothing was rotated",
    State.REWRITTEN: "the password of the Airflow connection was changed to something that is not the token in force",
}


@dataclass(frozen=True)
class Decision:
    """How a user's token stands, and what follows.

    :param rotate: whether it is to be rotated now
    :param overlap_hours: for how long the previous secret is to live on then
    :param problem: why nothing can be done, though a person would expect it; None when all is in order
    :param alarm: what a person has to know, whatever is done: the run is red for it
    :param note: what else is to be said
    :param previous_ends_at: when the first of its former secrets that still work ends
    :param is_current: whether what Tableau is to embed is the token in force; None where that can't be told
    :param works: whether Snowflake let in what Tableau is to embed; None where that was not tried
    """

    state: State
    token: Token | None = None
    rotate: bool = False
    overlap_hours: int = 0
    problem: str | None = None
    alarm: str | None = None
    note: str | None = None
    previous_ends_at: datetime | None = None
    is_current: bool | None = None
    works: bool | None = None

    def noted(self, note: str) -> Decision:
        """With one more note."""
        return replace(self, note=f"{note}. {self.note}" if self.note else note)


@dataclass(frozen=True)
class Wishes:
    """What the run was asked for."""

    renew_before_days: float = 7
    overlap_hours: int = 72
    force: bool = False

    @property
    def margin(self) -> timedelta:
        """What must be left when a run looks at a token: the longest pause of a schedule, and what Tableau takes."""
        return timedelta(hours=self.overlap_hours / 3 + LEAST_OVERLAP_HOURS)


def decide(
    tokens: Sequence[Token], name: str | None, known: InForce, now: datetime, wishes: Wishes, *, why: str = ""
) -> Decision:
    """What is to be done about a user's token.

    :param tokens: all tokens of the user, as Snowflake shows them
    :param name: which it is; None when the user has just one in force
    :param known: whether the secret that Tableau is to embed is the one in force
    :param why: how it came that it is not, in words
    """
    found = _the_one([token for token in tokens if token.rotated_to is None], name)
    if isinstance(found, str):
        return Decision(State.MISSING, problem=found)
    case = _Case(found, tokens, now, wishes)
    is_current = {InForce.YES: True, InForce.NO: False}.get(known)
    return replace(case.decide(known, why), previous_ends_at=case.previous_ends_at, is_current=is_current)


def _the_one(candidates: Sequence[Token], name: str | None) -> Token | str:
    if name is not None:
        named = [token for token in candidates if token.name.casefold() == name.casefold()]
        return named[0] if named else f"the user has no token {name} in Snowflake{_others(candidates)}"
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        return "the user has no token in Snowflake. Add one, and write it into the Airflow connection."
    return f"the user has several tokens; say which with extra 'token_name'{_others(candidates)}"


def _others(candidates: Sequence[Token]) -> str:
    return f": {', '.join(sorted(token.name for token in candidates))}." if candidates else "."


@dataclass(frozen=True)
class _Case:
    """A token in force, among all tokens of its user."""

    found: Token
    tokens: Sequence[Token]
    now: datetime
    wishes: Wishes

    @cached_property
    def living(self) -> list[Token]:
        """What it was before, as far as that still works."""
        return [token for token in formers(self.tokens, self.found.name) if token.is_alive(self.now)]

    @property
    def previous_ends_at(self) -> datetime | None:
        """The first to die: which of several Tableau embeds can't be seen, since each lost rotation leaves one."""
        return min((token.expires_at for token in self.living), default=None)

    def decide(self, known: InForce, why: str) -> Decision:
        """See :func:`decide`."""
        found = self.found
        if found.is_disabled:
            return Decision(
                State.DISABLED,
                found,
                problem=f"the token {found.name} is disabled in Snowflake. If that was meant, name another; if not, "
                f"ALTER USER ... MODIFY PROGRAMMATIC ACCESS TOKEN {found.name} SET DISABLED = FALSE.",
            )
        if not found.is_alive(self.now):
            return Decision(
                State.EXPIRED,
                found,
                problem=f"the token {found.name} has expired ({shown(found.expires_at)}); what embeds it can't connect "
                "any more. Add a new token in Snowflake and write it into the Airflow connection.",
            )
        if known is InForce.NO:
            return self._after_another_rotation(why)
        if known is InForce.UNKNOWN and self.previous_ends_at is not None:
            return self._rotation().noted(
                f"the token {found.name} was rotated before it was first looked at here, and two secrets work until "
                f"{shown(self.previous_ends_at)}; which one the Airflow connection holds can't be told: it is renewed"
            )
        until = max((token.expires_at for token in self.living), default=self.now)
        outlives = found.expires_at - until >= timedelta(hours=LEAST_OVERLAP_HOURS)
        left, margin = found.expires_at - self.now, self.wishes.margin
        if self.living and outlives and left > margin and not self.wishes.force:
            return Decision(State.OVERLAP_RUNNING, found, note=f"the previous secret works until {shown(until)}")
        if left > max(timedelta(days=self.wishes.renew_before_days), margin) and not self.wishes.force:
            return Decision(State.NOT_DUE, found)
        return self._rotation()

    def _after_another_rotation(self, why: str) -> Decision:
        """The token in force is not the one whose secret is kept: a rotation was lost, or somebody else rotated.

        Another rotation does no harm while the previous secret, which Tableau embeds, lives: its clock runs regardless.
        After that, the one in force may be what a person has given to Tableau in the meantime, and would be killed.
        """
        lives_until = self.previous_ends_at
        if lives_until is None and not self.wishes.force:
            return Decision(
                State.DUE,
                self.found,
                problem=f"{why}; the previous secret has ended, so Tableau may be without a token that works. If "
                "nobody has given it another one, run with force.",
            )
        decision = self._rotation()
        if lives_until is None:
            return decision.noted(why)
        if decision.problem:
            problem = f"{why}, and what Tableau embeds ends at {shown(lives_until)}; {decision.problem}"
            return replace(decision, problem=problem)
        if len(self.living) >= _MANY_FORMERS and lives_until - self.now > self.wishes.margin and not self.wishes.force:
            return Decision(
                State.DUE,
                self.found,
                problem=f"{why}, for the {len(self.living)}th time within an overlap. Nothing was rotated yet: what "
                f"Tableau embeds ends at {shown(lives_until)}, and is renewed when less than "
                f"{self.wishes.margin / timedelta(hours=1):.0f} hours are left.",
            )
        decision = decision.noted(f"{why}. The previous secret works until {shown(lives_until)}")
        if lives_until - self.now >= timedelta(hours=LEAST_OVERLAP_HOURS):
            return decision
        return replace(
            decision,
            alarm=f"{why}, and what Tableau embeds ends at {shown(lives_until)}: the new token can't reach all of "
            "Tableau by then. Run the rotation now, and look at what it has not reached.",
        )

    def _rotation(self) -> Decision:
        found, wished, force = self.found, self.wishes.overlap_hours, self.wishes.force
        overlap = max(0, min(wished, math.floor(found.hours_left(self.now))))
        alive = sum(token.is_alive(self.now) for token in self.tokens)
        if overlap and alive >= MOST_TOKENS:
            return Decision(
                State.NO_FREE_SLOT,
                found,
                problem=f"the user has {alive} tokens that have not expired, and Snowflake allows {MOST_TOKENS}. "
                "Remove those that nothing embeds any more, or run with remove_rotated.",
            )
        if overlap < min(LEAST_OVERLAP_HOURS, wished) and not force:
            return Decision(
                State.DUE,
                found,
                problem=f"the token {found.name} expires in {found.hours_left(self.now):.1f} hours, which is too short "
                "to bring a new one to all of Tableau in time. Run with force to renew it all the same; Tableau may be "
                "without a token until the rotation has ended.",
            )
        note = None
        if overlap < wished:
            note = f"both secrets live for {overlap} hours only, since the token expires then"
        return Decision(State.DUE, found, rotate=True, overlap_hours=overlap, note=note)
