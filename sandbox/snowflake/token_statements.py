"""What ALTER USER ... PROGRAMMATIC ACCESS TOKEN does in a session.

https://docs.snowflake.com/en/user-guide/programmatic-access-tokens and the four pages of the statement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.snowflake import errors
from sandbox.snowflake.account import User, UserType
from sandbox.snowflake.results import EXECUTED, Column, ResultSet, status
from sandbox.snowflake.rotation import rotate_token
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
from sandbox.snowflake.token_rules import (
    check_blocked_role,
    check_free_slot,
    check_live,
    check_range,
    require_network_policy,
    restricted_role,
)
from sandbox.snowflake.tokens import DEFAULT_DAYS, MAX_BYPASS_MINUTES, AccessToken
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
    restriction = restricted_role(session.admission.account, user, str(role)) if role is not None else None
    if restriction is None and user.is_service:
        raise errors.not_allowed(f"A role restriction is required for user '{user.name}' of type {user.type}.")
    if user.type in {UserType.SERVICE, UserType.LEGACY_SERVICE}:
        require_network_policy(session.admission.account, user)
    check_blocked_role(session.admission.account, restriction)
    days = options.get("DAYS_TO_EXPIRY", DEFAULT_DAYS)
    check_range(days, "DAYS_TO_EXPIRY", 1, session.admission.account.pat_policy.max_expiry_in_days)
    check_free_slot(user, now, 1)
    token = state.add_token(
        user, statement.token, role=restriction, days_to_expiry=int(days or 0), created_by=session.admission.user.name
    )
    _set_details(token, now, options)
    return ResultSet([Column("token_name"), Column("token_secret")], [[token.name, token.secret]])


def _rotate(state: SnowflakeState, session: Session, user: User, statement: RotateToken) -> ResultSet:
    token = user.token(statement.token)
    if token is None:
        return _missing(user, statement.token, if_exists=statement.if_exists)
    old = rotate_token(state, user, token, statement.overlap_hours, created_by=session.admission.user.name)
    return ResultSet(
        [Column("token_name"), Column("token_secret"), Column("rotated_token_name")],
        [[token.name, token.secret, old.name]],
    )


def _rename(state: SnowflakeState, session: Session, user: User, statement: RenameToken) -> ResultSet:  # noqa: ARG001
    token = user.token(statement.token)
    if token is None:
        return _missing(user, statement.token, if_exists=statement.if_exists)
    check_live(token)
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
    check_live(token)
    _set_details(token, state.clock.now(), statement.options)
    return status(EXECUTED)


def _set_details(token: AccessToken, now: datetime, options: Mapping[str, Any]) -> None:
    minutes = options.get("MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT")
    if minutes is not None:
        check_range(minutes, "MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT", 1, MAX_BYPASS_MINUTES)
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


HANDLERS: Mapping[type[Statement], Callable[..., ResultSet]] = {
    AddToken: _add,
    RotateToken: _rotate,
    RenameToken: _rename,
    ModifyToken: _modify,
    RemoveToken: _remove,
}
