"""A user's programmatic access tokens, as Snowflake shows them.

https://docs.snowflake.com/en/sql-reference/sql/show-user-programmatic-access-tokens
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

# Of the user's tokens that have not expired; disabled and rotated ones count.
MOST_TOKENS = 15
_ROTATED_NAME = re.compile(r"(?P<name>.+)_ROTATED_(?P<milliseconds>\d{10,})")


class UnexpectedAnswer(Exception):
    """Snowflake's answer is not what its documentation says."""


class SecretLost(UnexpectedAnswer):
    """A token was rotated, and its new secret was not handed out."""


@dataclass(frozen=True)
class NewSecret:
    """What a rotation hands out.

    :param former: the name of the previous secret from now on; None where Snowflake does not say
    """

    secret: str = field(repr=False)
    former: str | None = None


@dataclass(frozen=True)
class Token:
    """One token.

    :param expires_at: in UTC
    :param rotated_to: the name of the token that took its place; None for one that is in force
    """

    name: str
    status: str
    expires_at: datetime
    rotated_to: str | None = None

    def is_alive(self, now: datetime) -> bool:
        """Whether it has not expired yet, be it disabled or not."""
        return self.status != "EXPIRED" and self.expires_at > now

    @property
    def is_disabled(self) -> bool:
        """Whether somebody, or Snowflake, has switched it off."""
        return self.status == "DISABLED"

    def hours_left(self, now: datetime) -> float:
        """The hours until it expires."""
        return (self.expires_at - now).total_seconds() / 3600

    def expires_exactly(self, when: datetime) -> bool:
        """Whether it is the one that was seen to expire then: Snowflake shows milliseconds, each rotation another."""
        return _in_milliseconds(self.expires_at) == _in_milliseconds(when)

    @property
    def rotated_at(self) -> datetime | None:
        """When a rotation gave it its name ``<name>_ROTATED_<milliseconds>``; None for one that is in force."""
        found = _ROTATED_NAME.fullmatch(self.name)
        return datetime.fromtimestamp(int(found["milliseconds"]) / 1000, UTC) if found and self.rotated_to else None


def in_force(tokens: Iterable[Token], name: str) -> Token | None:
    """The token of that name that no rotation has replaced."""
    return next((token for token in tokens if token.rotated_to is None and token.name == name), None)


def formers(tokens: Iterable[Token], name: str) -> list[Token]:
    """What a token was before its rotations, the oldest first; Snowflake lists expired ones for a while."""
    return sorted((token for token in tokens if token.rotated_to == name), key=lambda token: age_of(token.name))


def age_of(former: str) -> int:
    """Orders former tokens by their rotation: the milliseconds in the name, unique for each token."""
    found = _ROTATED_NAME.fullmatch(former)
    return int(found["milliseconds"]) if found else 0


def _in_milliseconds(when: datetime) -> int:
    return math.floor(when.timestamp() * 1000 + 0.0005)


def shown(when: datetime) -> str:
    """A time in UTC, for people."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def read_token(row: Mapping[str, Any]) -> Token:
    """A token out of a row of SHOW, by the names of its columns: sources disagree on which there are.

    :raises UnexpectedAnswer: when there is no name or no time of expiry in it
    """
    values = {str(name).lower(): value for name, value in row.items()}
    name = values.get("name")
    if not name:
        raise UnexpectedAnswer(f"SHOW USER PROGRAMMATIC ACCESS TOKENS has no column 'name', but {sorted(values)}.")
    rotated_to = values.get("rotated_to")
    if "rotated_to" not in values and (found := _ROTATED_NAME.fullmatch(str(name))):
        rotated_to = found["name"]
    return Token(
        name=str(name),
        status=str(values.get("status") or "").upper(),
        expires_at=read_time(values.get("expires_at"), f"the expiry of the token {name}"),
        rotated_to=str(rotated_to) if rotated_to else None,
    )


def read_time(value: Any, what: str) -> datetime:
    """A time in UTC, out of one with a zone or a text such as ``2025-05-09 07:18:47.360 -0700``.

    :raises UnexpectedAnswer: when it is neither
    """
    when = value
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(re.sub(r" ([+-]\d{2}):?(\d{2})$", r"\1:\2", value.strip()))
        except ValueError:
            when = None
    if not isinstance(when, datetime) or when.tzinfo is None:
        raise UnexpectedAnswer(f"Snowflake returned {value!r} for {what}; expected a timestamp with a time zone.")
    return when.astimezone(UTC)
