"""Which rotations of a token are our own: what was about to be sent to Snowflake, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from credential_rotation.renewal.tokens import Token, age_of

# For how long a statement whose answer was lost may still take effect.
_LONGEST = timedelta(minutes=15)


@dataclass(frozen=True)
class Attempt:
    """A ROTATE, written down before it is sent.

    :param at: when, by Snowflake's clock; ISO 8601
    :param after: the newest former token that there was then; empty where there was none
    :param former: the former token that it made, empty where it made none; None while that is not known
    """

    at: str
    after: str
    former: str | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether nobody has seen what came of it: its task was killed, say."""
        return self.former is None

    def covers(self, token: Token) -> bool:
        """Whether a former token may come from this attempt.

        What came before the one that it made counts, too: the driver may have repeated the request. If it was somebody
        else's after all, it does no harm, since ours came later.
        """
        rotated = token.rotated_at
        if rotated is None or age_of(token.name) <= age_of(self.after):
            return False
        if self.former is None:
            return rotated <= datetime.fromisoformat(self.at) + _LONGEST
        return age_of(token.name) <= age_of(self.former)


class Attempts(Protocol):
    """Keeps them, by the id of the Airflow connection."""

    def of(self, conn_id: str) -> Sequence[Attempt]:
        """The latest ones."""

    def begin(self, conn_id: str, attempt: Attempt) -> None:
        """Write one down."""

    def end(self, conn_id: str, former: str) -> None:
        """Write down what came of the latest one; empty: nothing."""


def made_by_others(found: Iterable[Token], attempts: Sequence[Attempt], known: Collection[str]) -> list[Token]:
    """Those of former tokens that no attempt of ours explains; an unfinished attempt explains one.

    :param known: the names of former tokens that are ours for certain
    """
    unfinished = [attempt for attempt in attempts if attempt.is_unfinished]
    finished = [attempt for attempt in attempts if not attempt.is_unfinished]
    others = []
    for token in found:
        if token.name in known or any(attempt.covers(token) for attempt in finished):
            continue
        if explanation := next((attempt for attempt in unfinished if attempt.covers(token)), None):
            unfinished.remove(explanation)
        else:
            others.append(token)
    return others
