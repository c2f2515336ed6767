"""What is kept of one credential, and what a place that keeps it must do."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

from credential_rotation.renewal.tokens import age_of


@dataclass(frozen=True)
class KeptToken:
    """A token with its secret.

    :param name: its name in Snowflake
    :param expires_at: when it expires, as Snowflake shows it; ISO 8601 in UTC, None while that is not known
    :param former: the newest former token when this secret came into force, which is the one that the rotation itself
        made: a newer one means that somebody has rotated since. Empty where there was none, None where it is not known
    :param is_renewed: whether it came out of a renewal; else it is what the Airflow connection held
    :param works: whether it was seen to sign in; a secret that was not is never put back
    :param renewed_at: when, by Snowflake's clock; ISO 8601
    :param run_id: the run that renewed it
    :param beside: a mark of the password that the Airflow connection held then; see :meth:`stands_beside`
    """

    secret: str = field(repr=False)
    name: str
    expires_at: str | None = None
    former: str | None = None
    is_renewed: bool = True
    works: bool = True
    renewed_at: str | None = None
    run_id: str | None = None
    beside: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON; with the secret."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KeptToken:
        """Back from JSON, as far as this version understands it.

        :raises ValueError: when it is not a token
        """
        if not isinstance(values, Mapping):
            raise ValueError("not a token")  # noqa: TRY004 (what JSON may hold)
        known = {each.name: values[each.name] for each in fields(cls) if each.name in values}
        if values.get("formers"):  # an earlier version kept all of them
            known.setdefault("former", max(values["formers"], key=age_of))
        token = cls(**known)
        if not all(isinstance(text, str) and text for text in (token.secret, token.name)):
            raise ValueError("a token needs a secret and a name")
        return token

    def mark_of(self, password: str) -> str:
        """Recognizes a password without keeping it. The key is this secret, which is kept in the same place."""
        return hmac.new(self.secret.encode(), password.encode(), hashlib.sha256).hexdigest()

    def stands_beside(self, password: str) -> bool:
        """Whether the Airflow connection still holds what it held when this token was renewed, or nothing."""
        return not password or password == self.secret or self.beside in (None, self.mark_of(password))


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

    def renewed(self, password: str) -> KeptToken | None:
        """The renewed token that counts instead of the Airflow connection's password; None where that counts itself.

        The newest word counts: a password that a person writes into the connection after a renewal replaces it.
        """
        return self.current if self.current.is_renewed and self.current.stands_beside(password) else None


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
        """Try all that a renewal will need of this place, in a way that changes nothing that is read."""


class StoreUnusable(Exception):
    """A place in which a secret can't be kept as it must be; the text says why, and what to do."""
