"""The Snowflake user whose token is renewed."""

from __future__ import annotations

from dataclasses import dataclass, field

from credential_rotation.renewal.identifiers import identifier, quoted


@dataclass(frozen=True)
class User:
    """A Snowflake user whose token is renewed.

    :param conn_id: the Airflow connection
    :param login: what it signs in with, and what Tableau embeds
    :param password: what the Airflow connection holds; may be empty once a renewed token is kept
    :param user_name: what SHOW USERS calls it; None where that is the login, which then is read as SQL reads a name
    :param token_name: the token that is meant; None where the user has just one
    :param admin_conn_id: the Airflow connection of the administrator that may rotate it
    """

    conn_id: str
    login: str
    password: str = field(repr=False)
    user_name: str | None = None
    token_name: str | None = None
    admin_conn_id: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.user_name or self.login

    @property
    def identifier(self) -> str:
        """What statements call it."""
        return quoted(self.user_name) if self.user_name else identifier(self.login)

    def is_same_token(self, other: User) -> bool:
        """Whether another may mean the same token, if it is of the same account."""
        if self.login.casefold() != other.login.casefold() and self.name.casefold() != other.name.casefold():
            return False
        names = (self.token_name, other.token_name)
        return None in names or self.token_name.casefold() == other.token_name.casefold()  # type: ignore[union-attr]
