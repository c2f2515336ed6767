"""ROTATE without a session: what the statement does, and what somebody else can do beside it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sandbox.snowflake import errors
from sandbox.snowflake.account import ACCOUNTADMIN, User
from sandbox.snowflake.state import SnowflakeState
from sandbox.snowflake.token_rules import check_free_slot, check_live
from sandbox.snowflake.tokens import DEFAULT_OVERLAP_HOURS, AccessToken, TokenStatus, new_secret


def rotate_token(
    state: SnowflakeState,
    user: User,
    token: AccessToken,
    overlap_hours: int | None = None,
    *,
    created_by: str = ACCOUNTADMIN,
) -> AccessToken:
    """Give a user's token a new secret; the old secret gets a token of its own, which is returned.

    Neither policies nor the grant of the restricted role are checked: the new secret may be unable to sign in.

    :param overlap_hours: for how long the old secret still works; None: Snowflake's default.
    :raises SnowflakeError: where Snowflake refuses a ROTATE, whoever asks for it.
    """
    with state.lock:
        now = state.clock.now()
        check_live(token)
        if token.disabled and state.behaviour.rotating_disabled == "refused":
            raise errors.not_allowed(f"Programmatic access token {token.name} is disabled.")
        overlap = _overlap(token, now, overlap_hours)
        check_free_slot(user, now, bool(overlap) + (token.status(now) is TokenStatus.EXPIRED))
        moment = state.rotation_moment(token)
        old = AccessToken(
            state.next_id(),
            f"{token.name}_ROTATED_{round(moment.timestamp() * 1000)}",
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
        token.created_on, token.created_by = moment, created_by
        token.expires_at = moment + timedelta(days=token.days_to_expiry)
        token.secret = new_secret(state.random, token.id, token.expires_at)
        token.last_used_on = None
        return old


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
