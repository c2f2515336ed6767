"""When Tableau opens its database connections, and what becomes of it: the only moment a secret is ever checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.snowflake_accounts import SNOWFLAKE_DOMAIN, host_of
from sandbox.tableau.connections import Auth, Connection

if TYPE_CHECKING:
    from sandbox.tableau.content import Content
    from sandbox.tableau.state import TableauState

CLIENT = "tableau"


def failure_of(state: TableauState, content: Content) -> str | None:
    """Why the data of this content cannot be fetched with what is embedded; None: it can."""
    for connection in content.connections:
        failure = _failure_of_connection(state, connection)
        if failure is not None:
            return failure
    return None


def _failure_of_connection(state: TableauState, connection: Connection) -> str | None:
    if connection.auth is Auth.PUBLISHED:
        return failure_of(state, connection.published) if connection.published else None
    if connection.disturbed:
        return "OAuth error: the saved credential is no longer usable. Sign in to Snowflake and save it again."
    if connection.auth.has_a_credential_of_its_own or not _is_snowflake(connection):
        return None  # not this sandbox's subject: it works
    if not connection.embedded or not connection.password:
        return "Unable to connect: no embedded credentials; the data source prompts for a user name and password."
    answer = state.snowflake.sign_in(
        address=connection.server_address, user=connection.username, secret=connection.password, client=CLIENT
    )
    if answer.ok:
        return None
    return (
        f"[Snowflake][Snowflake] (4) {answer.message} (code {answer.code}). "
        f"Unable to connect to the server '{connection.server_address}' as '{connection.username}'."
    )


def _is_snowflake(connection: Connection) -> bool:
    # an extract's connection may call itself hyper or dataengine, with Snowflake's address
    return connection.type == "snowflake" or host_of(connection.server_address).endswith(SNOWFLAKE_DOMAIN)
