"""Snowflake's refusals, each in its own words: code, text, SQL state and what the driver gets as data.

A text without a source named here is ours: no page of Snowflake's and no driver's fixture shows it.
"""

from __future__ import annotations

from typing import Any

from sandbox.snowflake_accounts import (
    EXPIRED_TOKEN,
    INVALID_TOKEN,
    NETWORK_BLOCKED,
    USER_DISABLED,
    WRONG_PASSWORD,
    SignInAnswer,
)

CONNECTION_REJECTED = "08004"


class SnowflakeError(Exception):
    """An answer with `success: false`."""

    def __init__(self, code: str, message: str, sql_state: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code} ({sql_state}): {message}")
        self.code = code
        self.message = message
        self.sql_state = sql_state
        self.data = data


class SignInRefused(SnowflakeError):
    """No session; `guess` says that the secret was none of the user's, which counts towards the lock."""

    def __init__(
        self, code: str, message: str, *, guess: bool = False, detail: tuple[str, str] | None = None, uuid: str = ""
    ) -> None:
        super().__init__(code, message, CONNECTION_REJECTED)
        self.guess = guess
        self.detail = detail or (code, message)  # what LOGIN_HISTORY shows; the client is not told everything
        self.uuid = uuid

    @property
    def answer(self) -> SignInAnswer:
        """The same as an answer of the `SnowflakeTruth`."""
        return SignInAnswer(ok=False, code=self.code, message=self.message)


# -- signing in ----------------------------------------------------------------------------------------------------


def wrong_password() -> SignInRefused:
    """Also what an unknown user gets: connector network.py, AUTHORIZATION_FAILURE."""
    return SignInRefused(WRONG_PASSWORD.code, WRONG_PASSWORD.message, guess=True)


def invalid_token(*, guess: bool = False) -> SignInRefused:
    """Wrong, disabled, blocked by a policy, or of a role that is gone (guide: PAT_INVALID, 'validation failed')."""
    return SignInRefused(INVALID_TOKEN.code, INVALID_TOKEN.message, guess=guess)


def expired_token() -> SignInRefused:
    """Several clients report this code."""
    return SignInRefused(EXPIRED_TOKEN.code, EXPIRED_TOKEN.message)


def user_disabled() -> SignInRefused:
    """The user was disabled with ALTER USER."""
    return SignInRefused(USER_DISABLED.code, USER_DISABLED.message)


def network_blocked(address: str) -> SignInRefused:
    """The network policy does not list the client's address."""
    return SignInRefused(NETWORK_BLOCKED.code, NETWORK_BLOCKED.message.replace("203.0.113.7", address))


def network_policy_required() -> SignInRefused:
    """A token needs a network policy to be used at all: vm0-skills PR 178 shows code and text."""
    return SignInRefused("390432", "Network policy is required.")


def locked() -> SignInRefused:
    """After five guesses, for 15 minutes: the text is in universql #24, the code is an inference."""
    return SignInRefused(
        "390102",
        "Your user account has been temporarily locked due to too many failed attempts. Try again after 15 minutes or "
        "contact your account administrator for assistance. For more information about this error, go to "
        "https://community.snowflake.com/s/error-your-user-login-has-been-locked.",
    )


def mfa_required() -> SignInRefused:
    """A person's password alone, from phase 3 of Snowflake's roll-out on: one field report."""
    return SignInRefused(
        "394509",
        "MFA authentication is required, but none of your current MFA methods are supported for programmatic "
        "authentication.",
    )


def role_unknown(role: str) -> SignInRefused:
    """The role in the connection does not exist."""
    return SignInRefused(
        "390189",
        f"Role '{role}' specified in the connect string does not exist or not authorized. Contact your local system "
        "administrator, or attempt to login with another role, e.g. PUBLIC.",
    )


def role_not_granted(role: str) -> SignInRefused:
    """The role in the connection is not the user's, or not the token's: the text is in DataQ's operations log."""
    return SignInRefused(
        "390186",
        f"Role '{role}' specified in the connect string is not granted to this user, or is not permitted for the "
        "credentials being used.",
    )


def invalid_jwt(detail: tuple[str, str], uuid: str) -> SignInRefused:
    """Key pair: the client is told no reason, only an id under which the administrator finds it.

    https://docs.snowflake.com/en/user-guide/key-pair-auth-troubleshooting
    """
    return SignInRefused("390144", f"JWT token is invalid. [{uuid}]", detail=detail, uuid=uuid)


# -- sessions (connector network.py) -------------------------------------------------------------------------------


def session_expired() -> SnowflakeError:
    """The driver renews the session with its master token."""
    return SnowflakeError("390112", "Your session has expired. Please login again.", CONNECTION_REJECTED)


def session_gone() -> SnowflakeError:
    """No such session token."""
    return SnowflakeError("390104", "Session no longer exists.  New login required.", CONNECTION_REJECTED)


def master_token_expired() -> SnowflakeError:
    """The master token is over: the driver has to sign in again."""
    return SnowflakeError(
        "390114", "Authentication token has expired.  The user must authenticate again.", CONNECTION_REJECTED
    )


# -- SQL -----------------------------------------------------------------------------------------------------------


def syntax_error(line: int, position: int, seen: str) -> SnowflakeError:
    """What the parser does not know is refused, never guessed."""
    return SnowflakeError(
        "001003",
        f"SQL compilation error:\nsyntax error line {line} at position {position} unexpected '{seen}'.",
        "42000",
    )


def not_simulated(what: str) -> SnowflakeError:
    """Snowflake may know it, this sandbox does not: loud, so that nobody takes silence for success."""
    return SnowflakeError("001003", f"SQL compilation error:\nthis sandbox does not simulate {what}.", "42000")


def too_many_statements(count: int, wanted: int) -> SnowflakeError:
    """Several statements in one request."""
    return SnowflakeError(
        "000008",
        f"Actual statement count {count} did not match the desired statement count {wanted}.",
        "0A000",
    )


def does_not_exist(kind: str, name: str) -> SnowflakeError:
    """Snowflake does not say whether it is missing or out of bounds."""
    return SnowflakeError(
        "002003", f"SQL compilation error:\n{kind} '{name}' does not exist or not authorized.", "02000"
    )


def already_exists(kind: str, name: str) -> SnowflakeError:
    """The name is taken."""
    return SnowflakeError("002002", f"SQL compilation error:\nObject '{name}' already exists ({kind}).", "42710")


def insufficient_privileges(kind: str, name: str) -> SnowflakeError:
    """The role of the session may not."""
    return SnowflakeError(
        "003001", f"SQL access control error:\nInsufficient privileges to operate on {kind} '{name}'", "42501"
    )


def unknown_column(name: str) -> SnowflakeError:
    """A column that the source does not have."""
    return SnowflakeError("000904", f"SQL compilation error:\ninvalid identifier '{name}'", "42000")


def invalid_value(value: object, option: str, allowed: str) -> SnowflakeError:
    """A value out of range."""
    return SnowflakeError(
        "001008",
        f"SQL compilation error:\ninvalid value [{value}] for parameter '{option}': {allowed}.",
        "22023",
    )


def not_allowed(message: str) -> SnowflakeError:
    """A rule of programmatic access tokens that SQL as such does not have."""
    return SnowflakeError("394403", message, "42601")
