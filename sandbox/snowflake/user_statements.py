"""ALTER USER ... SET: enough for an administrator to shut a user out and to let it in again."""

from __future__ import annotations

from sandbox.snowflake import errors
from sandbox.snowflake.account import User
from sandbox.snowflake.key_pair import load_public_key
from sandbox.snowflake.results import EXECUTED, ResultSet, status
from sandbox.snowflake.sessions import Session
from sandbox.snowflake.statements import SetUser


def set_user(session: Session, user: User, statement: SetUser) -> ResultSet:
    """Set what is named; a role needs OWNERSHIP of the user."""
    account = session.admission.account
    if not account.role_reaches(session.role, user.owner):
        raise errors.insufficient_privileges("user", user.name)
    policy = statement.options.get("NETWORK_POLICY")
    if policy is not None:
        name = str(policy).upper() if str(policy) not in account.network_policies else str(policy)
        if name not in account.network_policies:
            raise errors.does_not_exist("Network policy", str(policy))
        user.network_policy = name
    if statement.options.get("DISABLED") is True:
        user.disable()
    elif statement.options.get("DISABLED") is False:
        user.disabled = False
    keys = [statement.options.get(name) for name in ("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2")]
    for index, key in enumerate(keys):
        if key is not None:
            _check_public_key(str(key))
            user.public_keys[index : index + 1] = [str(key)]
    return status(EXECUTED)


def _check_public_key(key: str) -> None:
    try:
        load_public_key(key)
    except (TypeError, ValueError) as error:
        raise errors.invalid_value("...", "RSA_PUBLIC_KEY", "it is no public key") from error
