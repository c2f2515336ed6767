"""What Snowflake refuses to do with tokens, rule by rule.

https://docs.snowflake.com/en/user-guide/programmatic-access-tokens. The texts of the refusals are ours: nobody has
published the real ones.
"""

from __future__ import annotations

from datetime import datetime

from sandbox.snowflake import errors
from sandbox.snowflake.account import Account, User
from sandbox.snowflake.tokens import MAX_TOKENS, AccessToken


def restricted_role(account: Account, user: User, role: str) -> str:
    """The name under which Snowflake stores the role of a restriction; it must exist and be granted to the user."""
    name = role if role in account.roles else role.upper()
    if name not in account.roles:
        raise errors.does_not_exist("Role", role)
    if name not in user.roles:
        raise errors.not_allowed(f"Role '{name}' is not granted to user '{user.name}'.")
    return name


def check_blocked_role(account: Account, role: str | None) -> None:
    """Refuse a restriction to a role that the authentication policy blocks."""
    if role in account.pat_policy.blocked_roles:
        raise errors.not_allowed(f"Role '{role}' is blocked for programmatic access tokens by authentication policy.")


def require_network_policy(account: Account, user: User) -> None:
    """Refuse where no network policy applies to the user."""
    if account.policy_of(user) is None:
        raise errors.not_allowed(f"A network policy is required for user '{user.name}' of type {user.type}.")


def check_free_slot(user: User, now: datetime, needed: int) -> None:
    """Refuse a token beyond the limit."""
    if user.counted_tokens(now) + needed > MAX_TOKENS:
        raise errors.not_allowed(
            f"User '{user.name}' has reached the maximum of {MAX_TOKENS} programmatic access tokens."
        )


def check_range(value: object, option: str, least: int, most: int) -> None:
    """Refuse an option that is out of range."""
    if not isinstance(value, int) or not least <= value <= most:
        raise errors.invalid_value(value, option, f"it must be between {least} and {most}")


def check_live(token: AccessToken) -> None:
    """Refuse to change the token of an old secret."""
    if token.rotated_to is not None:
        raise errors.not_allowed(
            f"Programmatic access token {token.name} was rotated: it can only expire or be removed."
        )
