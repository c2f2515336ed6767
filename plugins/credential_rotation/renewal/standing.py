"""What is kept of a user's token, beside what Snowflake shows of it: whether the one is the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto
from functools import cached_property

from credential_rotation.renewal.tokens import Token, age_of, formers, in_force, shown
from credential_rotation.renewal.user import User
from credential_rotation.token_stores.kept import KeptToken, KeptTokens


class InForce(StrEnum):
    """Whether a secret is the one that its token has in Snowflake, and not one that dies with an overlap.

    A sign-in can't tell: until then, both work.
    """

    YES = auto()
    NO = auto()
    UNKNOWN = auto()


def is_in_force(kept: KeptToken, tokens: Sequence[Token]) -> InForce:
    """Whether a secret that is kept is the one in force, by what no two rotations have in common.

    Each rotation leaves a former token with its milliseconds in the name, and gives the new secret its own expiry, to
    the millisecond.
    """
    found = in_force(tokens, kept.name)
    if found is None or newer_formers(kept, tokens):
        return InForce.NO
    if kept.expires_at is None:
        # Once Snowflake lists the former token no more, it may list a newer one no more either.
        is_listed = any(token.name == kept.former for token in formers(tokens, kept.name))
        return InForce.YES if is_listed else InForce.UNKNOWN
    return InForce.YES if found.expires_exactly(datetime.fromisoformat(kept.expires_at)) else InForce.NO


def newer_formers(kept: KeptToken, tokens: Sequence[Token]) -> list[Token]:
    """The former tokens of rotations that came after a secret that is kept; none where that can't be told."""
    if kept.former is None:
        return []
    return [token for token in formers(tokens, kept.name) if age_of(token.name) > age_of(kept.former)]


@dataclass(frozen=True)
class Standing:
    """One user's token at one moment.

    :param tokens: all tokens of the user, as Snowflake shows them
    """

    user: User
    kept: KeptTokens | None
    tokens: Sequence[Token]

    @property
    def secret(self) -> str:
        """What Tableau is to embed."""
        renewed = self.kept.renewed(self.user.password) if self.kept else None
        return renewed.secret if renewed else self.user.password

    @property
    def pending(self) -> KeptToken | None:
        """A new token that was not seen to work yet."""
        return self.kept.pending if self.kept else None

    @property
    def was_rewritten(self) -> bool:
        """Whether a person has written another secret into the Airflow connection since one was kept."""
        if self.kept is None or not self.user.password:
            return False
        return self.kept.renewed(self.user.password) is None and self.kept.current.secret != self.user.password

    @property
    def current(self) -> KeptToken | None:
        """What is kept of the secret that Tableau is to embed; None where nothing is."""
        return self.kept.current if self.kept is not None and not self.was_rewritten else None

    @property
    def is_contradicted(self) -> bool:
        """Whether the connection was rewritten though the renewed token that it is to replace is the one in force."""
        if self.kept is None or not self.was_rewritten or not self.kept.current.is_renewed:
            return False
        means = self.user.token_name or self.kept.current.name
        is_the_same = means.casefold() == self.kept.current.name.casefold()
        return is_the_same and is_in_force(self.kept.current, self.tokens) is InForce.YES

    @cached_property
    def in_force(self) -> InForce:
        """Whether what Tableau is to embed is the secret in force."""
        if self.kept is None:
            return InForce.UNKNOWN
        if self.was_rewritten:
            # The newest word counts, unless it can't be right; but which of the living secrets it is can't be told.
            return InForce.NO if self.is_contradicted else InForce.UNKNOWN
        return is_in_force(self.kept.current, self.tokens)

    @property
    def newer(self) -> list[Token]:
        """The former tokens of rotations that came after what is kept."""
        return newer_formers(self.current, self.tokens) if self.current else []

    @property
    def own_formers(self) -> set[str]:
        """The names of former tokens that are our own doing for certain."""
        kept = [self.kept.current, self.kept.previous, self.kept.pending] if self.kept else []
        return {token.former for token in kept if token and token.is_renewed and token.former}

    def living_formers(self, name: str, now: datetime) -> list[Token]:
        """What a token was before, as far as it still works."""
        return [token for token in formers(self.tokens, name) if token.is_alive(now)]

    def why_not_in_force(self, others: Sequence[Token]) -> str:
        """How it came that what is kept is not the secret in force, in words.

        :param others: the former tokens that somebody else made
        """
        if self.current is None:
            return ""
        name = self.current.name
        if others:
            return somebody_else(self.user, name, others)
        if self.newer:
            return f"a rotation of the token {name} was lost: Snowflake did it, and the new secret never arrived"
        return (
            f"the token {name} in force is not the one that is kept here: a rotation was lost, or somebody else "
            "rotated it"
        )


def somebody_else(user: User, name: str, others: Sequence[Token]) -> str:
    """That there is another rotator."""
    listed = ", ".join(f"{each.name}{f' (at {shown(each.rotated_at)})' if each.rotated_at else ''}" for each in others)
    return f"somebody else rotates the token {name} of {user.name}: {listed} was not made by this Airflow"


def only_one_may(why: str) -> str:
    """The same as a sentence, with what to do."""
    advice = "Only one may rotate a token: give each Airflow, and each person, a token of its own."
    return f"{why[:1].upper()}{why[1:]}. {advice}"
