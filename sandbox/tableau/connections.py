"""A connection as Tableau holds it, and a factory for each kind that people meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.tableau.content import Content

SNOWFLAKE_ADDRESS = "acme-prod.snowflakecomputing.com"


class Auth(StrEnum):
    """How a connection really signs in, whatever its attributes say or leave out."""

    USERNAME_PASSWORD = "username-password"
    OAUTH = "oauth"
    KEY_PAIR = "key-pair"
    OTHER = "other"
    PUBLISHED = "published-data-source"

    @property
    def has_a_credential_of_its_own(self) -> bool:
        """Whether it signs in to the database itself, with something else than a password."""
        return self in {Auth.OAUTH, Auth.KEY_PAIR, Auth.OTHER}


@dataclass(eq=False)
class Connection:
    """One connection; tests read and change every field."""

    type: str = "snowflake"
    server_address: str = ""
    server_port: str = ""
    username: str = ""
    password: str | None = None  # what is embedded; None: nothing is
    embedded: bool = True
    auth: Auth = Auth.USERNAME_PASSWORD
    authentication_type: str | None = None  # the attribute; often absent whatever the truth is
    managed_keychain: bool | None = None  # useOAuthManagedKeychain, undocumented
    published: Content | None = None  # the data source that a sqlproxy link leads to
    omits: frozenset[str] = frozenset()  # attributes that answers leave out, for versions differ in what they emit
    target_of: str | None = None  # the credential it should be found for, said by whoever built it
    why: str = ""  # otherwise: why not
    id: str = ""
    disturbed: bool = False  # an update overwrote the details of such a sign-in: 200, and dead (TSC #882, #913)
    writes: list[dict[str, str]] = field(default_factory=list)  # the attributes of every accepted update


def snowflake_connection(
    user: str = "ETL_USER",
    password: str | None = "old-secret",
    address: str = SNOWFLAKE_ADDRESS,
    port: str = "",
    *,
    embedded: bool = True,
    authentication_type: str | None = None,
    type: str = "snowflake",  # noqa: A002 - Tableau's own word for it
    omits: Iterable[str] = (),
    target_of: str | None = None,
    why: str = "",
) -> Connection:
    """A Snowflake connection that signs in with user name and password."""
    return Connection(
        type=type,
        server_address=address,
        server_port=port,
        username=user,
        password=password if embedded else None,
        embedded=embedded,
        authentication_type=authentication_type,
        omits=frozenset(omits),
        target_of=target_of,
        why=why or ("" if embedded else "password_not_embedded"),
    )


def oauth_connection(
    user: str = "ann@acme.example",
    address: str = SNOWFLAKE_ADDRESS,
    *,
    authentication_type: str | None = "oauth",
    managed_keychain: bool | None = None,
) -> Connection:
    """A Snowflake connection by OAuth; the keychain flag may be the only sign of it."""
    return Connection(
        server_address=address,
        username=user,
        auth=Auth.OAUTH,
        authentication_type=authentication_type,
        managed_keychain=managed_keychain,
        why="oauth",
    )


def key_pair_connection(
    user: str = "ETL_USER", address: str = SNOWFLAKE_ADDRESS, *, authentication_type: str = "auth-keypair"
) -> Connection:
    """A Snowflake connection by key pair (Cloud since 3.27; TSC #1844)."""
    return Connection(
        server_address=address,
        username=user,
        auth=Auth.KEY_PAIR,
        authentication_type=authentication_type,
        why="key_pair",
    )


def other_sign_in_connection(
    user: str = "ETL_USER", address: str = SNOWFLAKE_ADDRESS, *, authentication_type: str = "Okta"
) -> Connection:
    """A Snowflake connection by single sign-on, a cloud identity, or whatever a later Tableau may bring."""
    return Connection(
        server_address=address,
        username=user,
        auth=Auth.OTHER,
        authentication_type=authentication_type,
        why="other_sign_in",
    )


def published_link(published: Content | None = None) -> Connection:
    """A workbook's or flow's link to a published data source: not editable (errorCode=60004, TSC #703)."""
    return Connection(
        type="sqlproxy",
        server_address="localhost",
        server_port="8060",
        auth=Auth.PUBLISHED,
        published=published,
        embedded=False,
        omits=frozenset({"embedPassword"}),
        why="published_data_source",
    )


def other_database_connection(
    type: str,  # noqa: A002 - Tableau's own word for it
    user: str = "reporting",
    password: str | None = "not-snowflake",
    address: str = "db.acme.internal",
    port: str = "",
) -> Connection:
    """A connection to something that is not Snowflake."""
    return Connection(
        type=type, server_address=address, server_port=port, username=user, password=password, why="not_snowflake"
    )


def postgres_connection(user: str = "reporting", password: str = "pg-secret") -> Connection:
    """A PostgreSQL neighbour."""
    return other_database_connection("postgres", user, password, "pg.acme.internal", "5432")


def file_connection(type: str = "excel-direct") -> Connection:  # noqa: A002 - Tableau's own word for it
    """A file: no server, no user, nothing embedded."""
    return Connection(type=type, embedded=False, why="not_snowflake")
