"""A Snowflake credential: a user, its current token, and which connections in Tableau it is for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from credential_rotation.rotation import addresses
from credential_rotation.tableau.tsxml import first_char_not_in_xml

if TYPE_CHECKING:
    from airflow.sdk import Connection


class UnusableCredential(ValueError):
    """An Airflow connection that can't serve as a Snowflake credential; the text says why and what to do."""


@dataclass(frozen=True)
class SnowflakeCredential:
    """One Snowflake user with its token. ``usernames`` and ``addresses`` are lower case, for comparing only.

    ``previous`` is the secret that ``token`` replaces, where it is known; ``token_username`` and ``previous_username``
    are the users whose secrets these are.
    """

    conn_id: str
    login: str
    token: str = field(repr=False)
    usernames: frozenset[str]
    addresses: frozenset[str]
    previous: str | None = field(default=None, repr=False)
    token_username: str = ""
    previous_username: str = ""

    @property
    def secrets(self) -> list[str]:
        """What nobody may read."""
        return [self.token, *([self.previous] if self.previous else [])]

    def reversed(self) -> SnowflakeCredential:
        """The same with the previous secret as the one to embed, for a roll-back.

        :raises UnusableCredential: when the previous secret is not known
        """
        if not self.previous:
            raise UnusableCredential(
                f"Airflow connection '{self.conn_id}': roll_back needs the secret before this one; give it as extra "
                "'previous_password'."
            )
        return replace(
            self,
            token=self.previous,
            token_username=self.previous_username,
            previous=self.token,
            previous_username=self.token_username,
        )

    def renewed(self, token: str, previous: str | None) -> SnowflakeCredential:
        """The same with the token of a renewal, and the one before it."""
        if previous is None:
            return replace(self, token=token)
        return replace(self, token=token, previous=previous, previous_username=self.login)

    def knows_secret_of(self, username: str) -> bool:
        """Whether the previous secret is that of a user."""
        return self.previous is not None and username.casefold() == self.previous_username.casefold()

    def is_for_account(self, server_address: str) -> bool:
        """Whether an address in Tableau is one of this credential's account."""
        return addresses.normalized(server_address) in self.addresses

    def is_for_user(self, username: str) -> bool:
        """Whether a user name in Tableau is one that this credential replaces; Snowflake ignores case."""
        return username.strip().casefold() in self.usernames


def from_airflow_connection(conn: Connection, token: str | None = None) -> SnowflakeCredential:
    """Read and check an Airflow connection of type ``snowflake``, or one whose extra says that it is meant.

    :param token: what counts in place of its password, which may be empty then
    :raises UnusableCredential: naming the connection, the field, and what to do
    """
    login, token = (conn.login or "").strip(), token or conn.password or ""
    extra = _extra(conn)
    _refuse_another_type(conn, extra)
    if not login:
        raise _wrong(conn, "login is empty; it must be the Snowflake user whose token this is")
    if not token:
        raise _wrong(conn, "password is empty; it must be the programmatic access token of the Snowflake user")
    previous = _secret(conn, extra, "previous_password")
    for name, value in (("login", login), ("password", token), ("extra 'previous_password'", previous or "")):
        if char := first_char_not_in_xml(value):
            raise _wrong(conn, f"{name} holds the character U+{ord(char):04X}, which can't be sent to Tableau")
    accounts = _addresses(conn, extra)
    if not accounts:
        raise _wrong(conn, "extra holds neither 'account' nor a Snowflake 'host' nor 'server_addresses'")
    return SnowflakeCredential(
        conn_id=conn.conn_id,
        login=login,
        token=token,
        usernames=frozenset(name.strip().casefold() for name in [login, *_texts(conn, extra, "tableau_usernames")]),
        addresses=accounts,
        token_username=login,
        previous=previous,
        previous_username=_text(conn, extra, "previous_username") or login,
    )


def _refuse_another_type(conn: Connection, extra: dict[str, Any]) -> None:
    """A run may name any connection, and its secret would be embedded in Tableau: an AWS key, say."""
    kind = conn.conn_type or ""
    # A URI has only strings in its extra.
    if kind.casefold() == "snowflake" or str(extra.get("credential_rotation")).casefold() == "true":
        return
    problem = f"its type is '{kind}' and not 'snowflake'" if kind else "it has no type; 'snowflake' is expected"
    raise _wrong(
        conn, f"{problem}. If it is a Snowflake credential, set its type, or its extra 'credential_rotation' to true"
    )


@dataclass(frozen=True)
class RenewalWords:
    """What an Airflow connection says of the renewal of its token; None where it says nothing.

    :param user_name: what the user is called in Snowflake, where that is not the login
    :param token_name: which token of the user is meant
    :param admin_conn_id: the Airflow connection of who may rotate in this account
    """

    user_name: str | None
    token_name: str | None
    admin_conn_id: str | None


def renewal_words(conn: Connection) -> RenewalWords:
    """Read what an Airflow connection says of the renewal of its token.

    :raises UnusableCredential: when that is something else than texts
    """
    extra = _extra(conn)
    user_name, token_name, admin_conn_id = (
        _text(conn, extra, key) or None for key in ("user_name", "token_name", "admin_conn_id")
    )
    return RenewalWords(user_name, token_name, admin_conn_id)


def account_of(conn: Connection) -> frozenset[str]:
    """The addresses of the account that a Snowflake connection is for."""
    return _addresses(conn, _extra(conn))


def _addresses(conn: Connection, extra: dict[str, Any]) -> frozenset[str]:
    found: set[str] = set()
    if account := _text(conn, extra, "account"):
        if not addresses.normalized(account):
            raise _wrong(conn, "extra 'account' must be an account identifier such as myorg-myaccount")
        found |= addresses.of_account(account, _text(conn, extra, "region"))
    host = _text(conn, extra, "host")
    if addresses.is_snowflake(host):
        found |= addresses.of_account(host)
    found |= {addresses.normalized(address) for address in _texts(conn, extra, "server_addresses")}
    if "" in found:
        raise _wrong(conn, "extra 'server_addresses' must hold addresses such as myorg-old.snowflakecomputing.com")
    return frozenset(found)


def _extra(conn: Connection) -> dict[str, Any]:
    try:
        extra = json.loads(conn.extra) if conn.extra else {}
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise _wrong(conn, "extra is no JSON object")
    return extra


def _secret(conn: Connection, extra: dict[str, Any], key: str) -> str | None:
    value = extra.get(key) or None
    if value is not None and not isinstance(value, str):
        raise _wrong(conn, f"extra '{key}' must be a text")
    return value


def _text(conn: Connection, extra: dict[str, Any], key: str) -> str:
    value = extra.get(key) or ""
    if not isinstance(value, str):
        raise _wrong(conn, f"extra '{key}' must be a text")
    return value.strip()


def _texts(conn: Connection, extra: dict[str, Any], key: str) -> Iterable[str]:
    value = extra.get(key) or []
    if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
        raise _wrong(conn, f"extra '{key}' must be a list of texts, such as [\"...\"]")
    return value


def _wrong(conn: Connection, problem: str) -> UnusableCredential:
    return UnusableCredential(f"Airflow connection '{conn.conn_id}': {problem}.")
