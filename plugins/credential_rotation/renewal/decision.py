"""What is to be done about a user's token today."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from credential_rotation.renewal.tokens import MOST_TOKENS, Token

# What it takes to bring a new token to every connection of a large site, with room for a retry or two.
LEAST_OVERLAP_HOURS = 2


class State(StrEnum):
    """How a user's token stands."""

    NOT_DUE = "not_due"
    DUE = "due"
    EXPIRED = "expired"
    OVERLAP_RUNNING = "overlap_running"
    NO_FREE_SLOT = "no_free_slot"
    MISSING = "missing"
    DISABLED = "disabled"


STATE_MEANS: dict[State, str] = {
    State.NOT_DUE: "it lives longer than `renew_before_days`",
    State.DUE: "renewed, or with `dry_run` would be; with a reason where it was not",
    State.EXPIRED: "too late: what embeds it can't connect. Make a new token by hand",
    State.OVERLAP_RUNNING: "it was renewed lately; the secret before still works",
    State.NO_FREE_SLOT: f"{MOST_TOKENS} tokens that have not expired: Snowflake allows no more. Remove some, or run "
    "with `remove_rotated`",
    State.MISSING: "the user, or the token, is not there or can't be seen, or there are several and none is named",
    State.DISABLED: "somebody, or Snowflake, has switched it off",
}


@dataclass(frozen=True)
class Decision:
    """How a user's token stands, and what follows.

    :param rotate: whether it is to be rotated now
    :param overlap_hours: for how long the secret before is to live on then
    :param problem: what a person has to look at; None when all is in order
    :param note: what else is to be said
    """

    state: State
    token: Token | None = None
    rotate: bool = False
    overlap_hours: int = 0
    problem: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Wishes:
    """What the run was asked for."""

    renew_before_days: float = 7
    overlap_hours: int = 24
    force: bool = False


def decide(
    tokens: Sequence[Token], name: str | None, known_expiry: datetime | None, now: datetime, wishes: Wishes
) -> Decision:
    """What is to be done about a user's token.

    :param tokens: all tokens of the user, as Snowflake shows them
    :param name: which it is; None when the user has just one in force
    :param known_expiry: when the secret that we keep expires; None when we keep none
    """
    in_force = [token for token in tokens if token.rotated_to is None]
    found = _the_one(in_force, name)
    if isinstance(found, str):
        return Decision(State.MISSING, problem=found)
    before = [token for token in tokens if token.rotated_to == found.name and token.is_alive(now)]
    if found.is_disabled:
        return Decision(
            State.DISABLED,
            found,
            problem=f"the token {found.name} is disabled in Snowflake. If that was meant, name another; if not, "
            f"ALTER USER ... MODIFY PROGRAMMATIC ACCESS TOKEN {found.name} SET DISABLED = FALSE.",
        )
    if not found.is_alive(now):
        return Decision(
            State.EXPIRED,
            found,
            problem=f"the token {found.name} has expired ({_shown(found.expires_at)}); what embeds it can't connect "
            "any more. Add a new token in Snowflake, write it into the Airflow connection, and forget what is kept.",
        )
    if known_expiry is not None and not found.expires_about(known_expiry):
        return _after_a_lost_rotation(found, before, tokens, now, wishes)
    until = max((token.expires_at for token in before), default=now)
    outlives = found.expires_at - until >= timedelta(hours=LEAST_OVERLAP_HOURS)
    if before and outlives and not wishes.force:
        return Decision(State.OVERLAP_RUNNING, found, note=f"the secret before it lives until {_shown(until)}")
    if found.expires_at - now > timedelta(days=wishes.renew_before_days) and not wishes.force:
        return Decision(State.NOT_DUE, found)
    return _rotation(found, tokens, now, wishes)


def _the_one(in_force: Sequence[Token], name: str | None) -> Token | str:
    if name is not None:
        named = [token for token in in_force if token.name.casefold() == name.casefold()]
        return named[0] if named else f"the user has no token {name} in Snowflake{_others(in_force)}"
    if len(in_force) == 1:
        return in_force[0]
    if not in_force:
        return "the user has no token in Snowflake. Add one, and write it into the Airflow connection."
    return f"the user has several tokens; say which with extra 'token_name'{_others(in_force)}"


def _others(in_force: Sequence[Token]) -> str:
    return f": {', '.join(sorted(token.name for token in in_force))}." if in_force else "."


def _after_a_lost_rotation(
    found: Token, before: Sequence[Token], tokens: Sequence[Token], now: datetime, wishes: Wishes
) -> Decision:
    """The token in force is not the one whose secret we keep: a run was killed after ROTATE, or a person rotated.

    Another rotation does no harm while the secret before, which Tableau embeds, lives: its clock runs on regardless.
    After that, the one in force may be what a person has given to Tableau meanwhile, and would be killed by it.
    """
    # Which of several Tableau embeds can't be seen, since each lost rotation leaves one: the first to die is safe.
    lives_until = min((token.expires_at for token in before), default=None)
    why = f"the token {found.name} in force is not the one that is kept here: a rotation was lost, or a person rotated"
    if lives_until is None and not wishes.force:
        return Decision(
            State.DUE,
            found,
            problem=f"{why}; and the secret before it is dead, so Tableau may be without a token. If nobody has given "
            "it another one meanwhile, run with force.",
        )
    decision = _rotation(found, tokens, now, wishes)
    until = f" The secret before it lives until {_shown(lives_until)}." if lives_until else ""
    if decision.problem:
        return decision
    return Decision(decision.state, found, decision.rotate, decision.overlap_hours, note=f"{why}.{until}")


def _rotation(found: Token, tokens: Sequence[Token], now: datetime, wishes: Wishes) -> Decision:
    hours = math.floor(found.hours_left(now))
    overlap = max(0, min(wishes.overlap_hours, hours))
    alive = sum(token.is_alive(now) for token in tokens)
    if overlap and alive >= MOST_TOKENS:
        return Decision(
            State.NO_FREE_SLOT,
            found,
            problem=f"the user has {alive} tokens that have not expired, and Snowflake allows {MOST_TOKENS}. Remove "
            "those that nothing embeds any more, or run with remove_rotated.",
        )
    if overlap < min(LEAST_OVERLAP_HOURS, wishes.overlap_hours) and not wishes.force:
        return Decision(
            State.DUE,
            found,
            problem=f"the token {found.name} expires in {found.hours_left(now):.1f} hours, which is too short to bring "
            "a new one to all of Tableau in time. Run with force to renew it all the same; Tableau may be without a "
            "token until the rotation has ended.",
        )
    note = None
    if overlap < wishes.overlap_hours:
        note = f"both secrets live for {overlap} hours only, since the token expires then"
    return Decision(State.DUE, found, rotate=True, overlap_hours=overlap, note=note)


def _shown(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"
