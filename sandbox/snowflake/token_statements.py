"""What ALTER USER ... PROGRAMMATIC ACCESS TOKEN does, rule by rule.

https://docs.snowflake.com/en/user-guide/programmatic-access-tokens and the four pages of the statement. The texts of
the refusals of token rules are ours: nobody has published the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.snowflake import errors
from sandbox.snowflake.account import Account, User, UserType
from sandbox.snowflake.results import EXECUTED, Column, ResultSet, status
from sandbox.snowflake.sessions import Session
from sandbox.snowflake.state import SnowflakeState
from sandbox.snowflake.statements import (
    AddToken,
    ModifyToken,
    RemoveToken,
    RenameToken,
    RotateToken,
    SetUser,
    Statement,
    UserStatement,
)
from sandbox.snowflake.tokens import (
    DEFAULT_DAYS,
    DEFAULT_OVERLAP_HOURS,
    MAX_BYPASS_MINUTES,
    MAX_DAYS,
    MAX_TOKENS,
    AccessToken,
    TokenStatus,
    new_secret,
)
from sandbox.snowflake.user_statements import set_user


def execute(state: SnowflakeState, session: Session, statement: UserStatement) -> ResultSet:
    """Find the user, look whether the session may, and do it."""
    account, actor = session.admission.account, session.admission.user
    user = account.users.get(statement.user) if statement.user is not None else actor
    if user is None:
        if statement.user_if_exists:
            return status(EXECUTED)
        raise errors.does_not_exist("User", str(statement.user))
    if isinstance(statement, SetUser):
        return set_user(session, user, statement)
    _check_session(state, session, user)
    if not account.may_manage_tokens(session.role, actor.name, user):
        raise errors.insufficient_privileges("user", user.name)
    return HANDLERS[type(statement)](state, session, user, statement)


def _check_session(state: SnowflakeState, session: Session, user: User) -> None:
    """Not in a session that a token opened: the pages disagree on whether of the same user, or of any."""
    if session.admission.token is None:
        return
    if state.behaviour.token_session_refused == "any" or session.admission.user is user:
        raise errors.not_allowed(
            "Programmatic access tokens cannot be modified in a session that was authenticated with a programmatic "
            "access token."
        )


def _add(state: SnowflakeState, session: Session, user: User, statement: AddToken) -> ResultSet:
    now, options = state.clock.now(), statement.options
    if user.token(statement.token) is not None:
        if statement.if_not_exists:  # success, and no secret
            return status(f"{statement.token} already exists, statement succeeded.")
        raise errors.already_exists("programmatic access token", statement.token)
    role = options.get("ROLE_RESTRICTION")
    restriction = _restricted_role(session.admission.account, user, str(role)) if role is not None else None
    if restriction is None and user.is_service:
        raise errors.not_allowed(f"A role restriction is required for user '{user.name}' of type {user.type}.")
    if user.type in {UserType.SERVICE, UserType.LEGACY_SERVICE}:
        _require_network_policy(session.admission.account, user)
    days = options.get("DAYS_TO_EXPIRY", DEFAULT_DAYS)
    _check_range(days, "DAYS_TO_EXPIRY", 1, MAX_DAYS)
    _check_free_slot(user, now, 1)
    token = state.add_token(
        user, statement.token, role=restriction, days_to_expiry=int(days or 0), created_by=session.admission.user.name
    )
    _set_details(token, now, options)
    return ResultSet([Column("token_name"), Column("token_secret")], [[token.name, token.secret]])


def _restricted_role(account: Account, user: User, role: str) -> str:
    name = role if role in account.roles else role.upper()
    if name not in account.roles:
        raise errors.does_not_exist("Role", role)
    if name not in user.roles:
        raise errors.not_allowed(f"Role '{name}' is not granted to user '{user.name}'.")
    return name


def _require_network_policy(account: Account, user: User) -> None:
    if account.policy_of(user) is None:
        raise errors.not_allowed(f"A network policy is required for user '{user.name}' of type {user.type}.")


def _check_free_slot(user: User, now: datetime, needed: int) -> None:
    if user.counted_tokens(now) + needed > MAX_TOKENS:
        raise errors.not_allowed(
            f"User '{user.name}' has reached the maximum of {MAX_TOKENS} programmatic access tokens."
        )


def _check_range(value: object, option: str, least: int, most: int) -> None:
    if not isinstance(value, int) or not least <= value <= most:
        raise errors.invalid_value(value, option, f"it must be between {least} and {most}")


def _rotate(state: SnowflakeState, session: Session, user: User, statement: RotateToken) -> ResultSet:
    """Neither network policy nor the grant of the restricted role is looked at: the new secret may not sign in."""
    now = state.clock.now()
    token = user.token(statement.token)
    if token is None:
        return _missing(user, statement.token, if_exists=statement.if_exists)
    _check_live(token)
    if token.disabled and state.behaviour.rotating_disabled == "refused":
        raise errors.not_allowed(f"Programmatic access token {token.name} is disabled.")
    overlap = _overlap(token, now, statement.overlap_hours)
    _check_free_slot(user, now, bool(overlap) + (token.status(now) is TokenStatus.EXPIRED))
    old = AccessToken(
        state.next_id(),
        _rotated_name(user, token, now),
        token.secret,
        token.days_to_expiry,
        token.created_on,
        token.created_by,
        min(token.expires_at, now + overlap),
        token.role_restriction,
        token.comment,
        disabled=token.disabled,
        rotated_to=token.name,
        last_used_on=token.last_used_on,
    )
    user.tokens.append(old)
    token.created_on, token.created_by = now, session.admission.user.name
    token.expires_at = now + timedelta(days=token.days_to_expiry)
    token.secret = new_secret(state.random, token.id, token.expires_at)
    token.last_used_on = None
    return ResultSet(
        [Column("token_name"), Column("token_secret"), Column("rotated_token_name")],
        [[token.name, token.secret, old.name]],
    )


def _overlap(token: AccessToken, now: datetime, hours: int | None) -> timedelta:
    """0 to the hours that the secret has left; the default is cut to them (an inference)."""
    left = token.left(now)
    if hours is None:
        return min(timedelta(hours=DEFAULT_OVERLAP_HOURS), left)
    if hours < 0 or timedelta(hours=hours) > left:
        raise errors.invalid_value(
            hours,
            "EXPIRE_ROTATED_TOKEN_AFTER_HOURS",
            f"it must be between 0 and the {int(left.total_seconds() // 3600)} hours before the current secret expires",
        )
    return timedelta(hours=hours)


def _rotated_name(user: User, token: AccessToken, now: datetime) -> str:
    moment = int(now.timestamp() * 1000)
    while user.token(f"{token.name}_ROTATED_{moment}") is not None:
        moment += 1
    return f"{token.name}_ROTATED_{moment}"


def _rename(state: SnowflakeState, session: Session, user: User, statement: RenameToken) -> ResultSet:  # noqa: ARG001
    token = user.token(statement.token)
    if token is None:
        return _missing(user, statement.token, if_exists=statement.if_exists)
    _check_live(token)
    if user.token(statement.new_name) is not None:
        raise errors.already_exists("programmatic access token", statement.new_name)
    for each in user.tokens:
        if each.rotated_to == token.name:
            each.rotated_to = statement.new_name
    token.name = statement.new_name
    return status(EXECUTED)


def _modify(state: SnowflakeState, session: Session, user: User, statement: ModifyToken) -> ResultSet:  # noqa: ARG001
    token = user.token(statement.token)
    if token is None:
        return _missing(user, statement.token, if_exists=statement.if_exists)
    _check_live(token)
    _set_details(token, state.clock.now(), statement.options)
    return status(EXECUTED)


def _set_details(token: AccessToken, now: datetime, options: Mapping[str, Any]) -> None:
    minutes = options.get("MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT")
    if minutes is not None:
        _check_range(minutes, "MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT", 1, MAX_BYPASS_MINUTES)
        token.bypass_until = now + timedelta(minutes=minutes)
    token.disabled = options.get("DISABLED", token.disabled)
    token.comment = options.get("COMMENT", token.comment)


def _remove(state: SnowflakeState, session: Session, user: User, statement: RemoveToken) -> ResultSet:  # noqa: ARG001
    token = user.token(statement.token)
    if token is None:
        return _missing(user, statement.token, if_exists=statement.if_exists)
    user.tokens.remove(token)
    return status(f"Programmatic access token {token.name} successfully removed.")


def _missing(user: User, name: str, *, if_exists: bool) -> ResultSet:
    if if_exists:  # does nothing and succeeds
        return status(EXECUTED)
    raise errors.does_not_exist("Programmatic access token", f"{user.name}.{name}")


def _check_live(token: AccessToken) -> None:
    if token.rotated_to is not None:
        raise errors.not_allowed(
            f"Programmatic access token {token.name} was rotated: it can only expire or be removed."
        )


HANDLERS: Mapping[type[Statement], Callable[..., ResultSet]] = {
    AddToken: _add,
    RotateToken: _rotate,
    RenameToken: _rename,
    ModifyToken: _modify,
    RemoveToken: _remove,
}
