"""What is kept of one credential, and what a place that keeps it must do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class KeptToken:
    """A token with its secret.

    :param name: its name in Snowflake
    :param expires_at: when it expires, as Snowflake shows it; ISO 8601 in UTC, None while that is not known
    :param is_renewed: whether it came out of a renewal; else it is what the Airflow connection held
    :param formers: the names of the rotated tokens that there were when it was new; if there is another, somebody has
        rotated since. None where that is not known
    """

    secret: str = field(repr=False)
    name: str
    expires_at: str | None = None
    is_renewed: bool = True
    formers: list[str] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON; with the secret."""
        return {
            "secret": self.secret,
            "name": self.name,
            "expires_at": self.expires_at,
            "is_renewed": self.is_renewed,
            "formers": self.formers,
        }


@dataclass(frozen=True)
class KeptTokens:
    """The tokens of one credential.

    :param current: what Tableau is to embed
    :param previous: what was current before it
    :param pending: a new one that was not seen to work yet
    """

    current: KeptToken
    previous: KeptToken | None = None
    pending: KeptToken | None = None


class TokenStore(Protocol):
    """A place for the tokens of credentials, by the id of their Airflow connection.

    Each method is done as a whole or not at all, and what it has done is there for whoever reads next.
    """

    def read(self, conn_id: str) -> KeptTokens | None:
        """What is kept of a credential; None when nothing is."""

    def adopt(self, conn_id: str, current: KeptToken) -> None:
        """Begin to keep a credential."""

    def keep_pending(self, conn_id: str, pending: KeptToken) -> None:
        """Keep a new token beside the current one, in place of any other that is pending."""

    def promote(self, conn_id: str) -> None:
        """Make the pending token the current one, and the current one the previous."""

    def drop_pending(self, conn_id: str) -> None:
        """Forget the pending token."""

    def check(self, conn_id: str) -> None:
        """See that something can be written just now, by writing something that changes nothing."""


class StoreUnusable(Exception):
    """A place in which a secret can't be kept as it must be; the text says why, and what to do."""
