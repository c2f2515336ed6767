"""SHOW USER PROGRAMMATIC ACCESS TOKENS, in both shapes in which Snowflake documents it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.snowflake import errors
from sandbox.snowflake.account import User
from sandbox.snowflake.results import Column, ResultSet
from sandbox.snowflake.sessions import Session
from sandbox.snowflake.state import SnowflakeState
from sandbox.snowflake.statements import ShowTokens
from sandbox.snowflake.tokens import AccessToken

BYPASS = "mins_to_bypass_network_policy_requirement"
# The guide's sample output and the Terraform provider; the reference page's table differs in two places.
GUIDE = (
    "name",
    "user_name",
    "role_restriction",
    "expires_at",
    "status",
    "comment",
    "created_on",
    "created_by",
    BYPASS,
    "rotated_to",
)
OTHER_NAMES = {BYPASS: "mins_to_bypass_required_network_policy"}
NUMBERS = frozenset({BYPASS})
TIMES = frozenset({"expires_at", "created_on"})


def execute(state: SnowflakeState, session: Session, statement: ShowTokens) -> ResultSet:
    """The tokens of a user, expired ones as long as Snowflake lists them."""
    account, actor = session.admission.account, session.admission.user
    user = account.users.get(statement.user) if statement.user is not None else actor
    if user is None:
        raise errors.does_not_exist("User", str(statement.user))
    if user is not actor and not account.may_manage_tokens(session.role, actor.name, user):
        raise errors.insufficient_privileges("user", user.name)
    now = state.clock.now()
    listed_until = now - timedelta(days=state.behaviour.expired_listed_days)
    reference, as_text = state.behaviour.show_columns == "reference", state.behaviour.show_times == "text"
    names = [name for name in GUIDE if not (reference and name == "rotated_to")]
    columns = [
        Column(OTHER_NAMES.get(name, name) if reference else name, _type(name, as_text=as_text)) for name in names
    ]
    zone = ZoneInfo(str(session.parameters["TIMEZONE"]))
    rows = []
    for token in user.tokens:
        if token.expires_at > listed_until:
            row = _row(user, token, now)
            rows.append([_text(row[name], zone) if as_text and name in TIMES else row[name] for name in names])
    return ResultSet(columns, rows)


def _type(name: str, *, as_text: bool) -> str:
    if name in TIMES and not as_text:
        return "timestamp_ltz"
    return "fixed" if name in NUMBERS else "text"


def _row(user: User, token: AccessToken, now: datetime) -> dict[str, Any]:
    return {
        "name": token.name,
        "user_name": user.name,
        "role_restriction": token.role_restriction,
        "expires_at": token.expires_at,
        "status": token.status(now).value,
        "comment": token.comment,
        "created_on": token.created_on,
        "created_by": token.created_by,
        BYPASS: token.bypass_minutes(now),
        "rotated_to": token.rotated_to,
    }


def _text(moment: datetime, zone: ZoneInfo) -> str:
    """Such as 2025-05-09 07:18:47.360 -0700, in the session's time zone."""
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03} {local:%z}"
