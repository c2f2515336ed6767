"""Whether a sign-in is let in, and the note that LOGIN_HISTORY keeps of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sandbox.snowflake import errors, key_pair
from sandbox.snowflake.account import PUBLIC, Account, User, UserType
from sandbox.snowflake.errors import SignInRefused
from sandbox.snowflake.login_history import Factor, LoginEvent
from sandbox.snowflake.tokens import AccessToken, TokenStatus

if TYPE_CHECKING:
    from sandbox.snowflake.state import SnowflakeState

MAX_GUESSES = 5
LOCK = timedelta(minutes=15)


@dataclass(frozen=True)
class Attempt:
    """What a client sends, and where it comes from."""

    login_name: str
    secret: str
    factor: Factor  # PASSWORD: the password field, which takes tokens as well
    client: str
    role: str | None = None
    client_type: str = ""
    client_version: str = ""


@dataclass(frozen=True)
class Admission:
    """Who got in, with what, as which role."""

    account: Account
    user: User
    role: str
    event: LoginEvent
    token: AccessToken | None = None


def admit(state: SnowflakeState, account: Account, attempt: Attempt) -> Admission:
    """Let the attempt in, or raise `SignInRefused`; either way it is noted."""
    now = state.clock.now()
    user = account.find_user(attempt.login_name)
    token = _presented_token(user, attempt)
    try:
        role = _judge(state, account, attempt, user, token)
    except SignInRefused as refused:
        account.logins.append(_event(state, attempt, user, token, refused))
        if refused.guess and user is not None:
            _count_guess(user, now)
        raise
    assert user is not None  # noqa: S101 - `_judge` refuses the unknown
    user.guesses = 0
    if token is not None:
        token.last_used_on = now
    event = _event(state, attempt, user, token, None)
    account.logins.append(event)
    return Admission(account, user, role, event, token)


def _presented_token(user: User | None, attempt: Attempt) -> AccessToken | None:
    if user is None or attempt.factor is Factor.KEY_PAIR:
        return None
    return next((token for token in user.tokens if token.secret == attempt.secret), None)


def _judge(
    state: SnowflakeState, account: Account, attempt: Attempt, user: User | None, token: AccessToken | None
) -> str:
    now = state.clock.now()
    if user is None:
        if attempt.factor is Factor.KEY_PAIR:
            _check_key_pair(account, attempt, None)
        raise errors.invalid_token() if attempt.factor is Factor.TOKEN else errors.wrong_password()
    policy, address = account.policy_of(user), state.address_of(attempt.client)
    if policy is not None and not policy.permits(address):
        raise errors.network_blocked(address)
    if user.locked_until is not None and now < user.locked_until:
        raise errors.locked()
    if attempt.factor is Factor.KEY_PAIR:
        _check_key_pair(account, attempt, user)
    if user.disabled:
        raise errors.user_disabled()
    if attempt.factor is Factor.KEY_PAIR:
        return _role(account, user, attempt.role, None)
    if token is not None:
        _check_token(account, user, token, now)
        return _role(account, user, attempt.role, token)
    if attempt.factor is Factor.TOKEN or not user.password:
        raise _wrong_token(state, attempt)
    if user.password != attempt.secret:
        raise errors.wrong_password()
    if state.behaviour.passwords_need_mfa and user.type is UserType.PERSON:
        raise errors.mfa_required()
    return _role(account, user, attempt.role, None)


def _check_key_pair(account: Account, attempt: Attempt, user: User | None) -> None:
    try:
        key_pair.check(attempt.secret, account, user)
    except key_pair.JwtRefused as refused:
        raise errors.invalid_jwt(refused.detail, str(uuid.uuid4())) from refused


def _wrong_token(state: SnowflakeState, attempt: Attempt) -> SignInRefused:
    """Which code a wrong token in the password field gets from the real service is unknown, so it can be set."""
    if attempt.factor is Factor.PASSWORD and state.behaviour.wrong_token_as_password == "390100":
        return errors.wrong_password()
    return errors.invalid_token(guess=True)


def _check_token(account: Account, user: User, token: AccessToken, now: datetime) -> None:
    """A dead token is known, thus no guess: it does not count towards the lock (an inference)."""
    match token.status(now):
        case TokenStatus.EXPIRED:
            raise errors.expired_token()
        case TokenStatus.DISABLED:
            raise errors.invalid_token()
    if token.role_restriction is not None and token.role_restriction not in user.roles & account.roles.keys():
        raise errors.invalid_token()  # guide: a restricted role that is revoked or dropped makes logins fail
    if not account.pat_policy.permits(token):
        raise errors.invalid_token()  # guide: it fails; nobody has published with which code
    bypassed = user.type is UserType.PERSON and token.bypass_until is not None and now < token.bypass_until
    if account.policy_of(user) is None and user.type is not UserType.SERVICE_AGENT and not bypassed:
        raise errors.network_policy_required()


def _role(account: Account, user: User, wanted: str | None, token: AccessToken | None) -> str:
    """The role of the new session. A token that is restricted to a role gives that role and no other."""
    restricted = token.role_restriction if token else None
    if wanted is None:
        default = user.default_role if user.default_role in user.roles else PUBLIC
        return restricted or default or PUBLIC
    role = wanted if wanted in account.roles else wanted.upper()
    if role not in account.roles:
        raise errors.role_unknown(wanted)
    if role not in {*user.roles, PUBLIC} or role != (restricted or role):
        raise errors.role_not_granted(role)
    return role


def _count_guess(user: User, now: datetime) -> None:
    user.guesses += 1
    if user.guesses >= MAX_GUESSES:
        user.guesses = 0
        user.locked_until = now + LOCK


def _event(
    state: SnowflakeState,
    attempt: Attempt,
    user: User | None,
    token: AccessToken | None,
    refused: SignInRefused | None,
) -> LoginEvent:
    code, message = refused.detail if refused else (None, None)
    return LoginEvent(
        event_id=state.next_id(),
        event_timestamp=state.clock.now(),
        user_name=user.name if user else None,
        client=attempt.client,
        client_ip=state.address_of(attempt.client),
        reported_client_type=attempt.client_type,
        reported_client_version=attempt.client_version,
        first_authentication_factor=Factor.TOKEN if token else attempt.factor,
        first_authentication_factor_id=token.id if token else None,
        token_name=token.name if token else None,
        is_success=refused is None,
        error_code=code,
        error_message=message,
        uuid=refused.uuid if refused else "",
    )
