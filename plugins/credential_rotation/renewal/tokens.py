"""A user's programmatic access tokens, as Snowflake shows them.

https://docs.snowflake.com/en/sql-reference/sql/show-user-programmatic-access-tokens
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

# Of the user's tokens that have not expired; disabled and rotated ones count.
MOST_TOKENS = 15
# Snowflake's times of one and the same token, shown twice.
_SAME_TIME = timedelta(seconds=2)
_ROTATED_NAME = re.compile(r"(?P<name>.+)_ROTATED_\d{10,}")


class UnexpectedAnswer(Exception):
    """Snowflake's answer is not what its documentation says."""


class SecretLost(UnexpectedAnswer):
    """A token was rotated, and its new secret was not handed out."""


@dataclass(frozen=True)
class NewSecret:
    """What a rotation hands out.

    :param former: the name that the secret before goes by from now on; None where Snowflake does not say
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

    def expires_about(self, when: datetime) -> bool:
        """Whether it is the one that was seen to expire then: each rotation makes a later time."""
        return abs(self.expires_at - when) <= _SAME_TIME


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
        raise UnexpectedAnswer(f"Snowflake gives as {what} {value!r}, which is no time with a time zone.")
    return when.astimezone(UTC)
