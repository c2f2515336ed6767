"""The truth about Snowflake secrets: which ones sign in, from where, and Snowflake's words when they do not.

The Tableau sandbox asks it whenever the real Tableau would open a Snowflake session: at an extract refresh, for a view,
for a query. Anything with a `sign_in` like `SnowflakeTruth` can take its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

SNOWFLAKE_DOMAIN = ".snowflakecomputing.com"


@dataclass(frozen=True)
class SignInAnswer:
    """What Snowflake says to a sign-in: `code` and `message` are its own, empty when it worked."""

    ok: bool
    code: str = ""
    message: str = ""


class SnowflakeTruth(Protocol):
    """Anything that knows whether a user name and a secret sign in at an address."""

    def sign_in(self, *, address: str, user: str, secret: str, client: str) -> SignInAnswer:
        """Try the secret as a password; `client` says who asks (`tableau`, `airflow`): network policies differ."""
        ...


# Codes and texts: snowflake-connector-python's wiremock fixtures (394400) and network.py (390100); 394401 and the
# network policy's code are reported by several clients, never by a page of Snowflake's.
INVALID_TOKEN = SignInAnswer(ok=False, code="394400", message="Programmatic access token is invalid.")
EXPIRED_TOKEN = SignInAnswer(ok=False, code="394401", message="Programmatic access token is expired.")
WRONG_PASSWORD = SignInAnswer(ok=False, code="390100", message="Incorrect username or password was specified.")
USER_DISABLED = SignInAnswer(
    ok=False, code="390101", message="User access disabled. Contact your local system administrator."
)
NETWORK_BLOCKED = SignInAnswer(
    ok=False,
    code="390422",
    message="Incoming request with IP/Token 203.0.113.7 is not allowed to access Snowflake. "
    "Contact your local security administrator.",
)
UNKNOWN_ACCOUNT = SignInAnswer(
    ok=False, code="250001", message="Could not connect to Snowflake backend: 404 Not Found. Verify the account name."
)


@dataclass
class SnowflakeUser:
    """One user of an account and what opens the door for it."""

    name: str
    secrets: set[str] = field(default_factory=set)  # valid ones: PATs and passwords alike go in the password field
    expired: set[str] = field(default_factory=set)  # once valid: Snowflake says so in other words
    disabled: bool = False
    network_blocked_for: set[str] = field(default_factory=set)  # clients whose addresses a network policy refuses
    sign_ins: list[tuple[str, str, bool]] = field(default_factory=list)  # (client, secret, worked)


@dataclass
class SnowflakeAccount:
    """One account, by each address it answers to."""

    name: str
    addresses: set[str] = field(default_factory=set)
    users: dict[str, SnowflakeUser] = field(default_factory=dict)

    def add_user(
        self, name: str, secrets: Iterable[str] = (), network_blocked_for: Iterable[str] = ()
    ) -> SnowflakeUser:
        """Add a user; Snowflake compares user names without regard to case."""
        user = SnowflakeUser(name, secrets=set(secrets), network_blocked_for=set(network_blocked_for))
        self.users[name.casefold()] = user
        return user

    def user(self, name: str) -> SnowflakeUser:
        """The user of that name, in any case."""
        return self.users[name.casefold()]


def host_of(address: str) -> str:
    """The bare host of an address as people type it: scheme, path, port, case and trailing dot do not matter."""
    host = address.strip().casefold().partition("://")[2] or address.strip().casefold()
    return host.partition("/")[0].partition(":")[0].rstrip(".")


class SnowflakeAccounts:
    """Accounts, their users and their valid secrets, in memory."""

    def __init__(self) -> None:
        self.accounts: dict[str, SnowflakeAccount] = {}

    def add_account(self, name: str, *further_addresses: str) -> SnowflakeAccount:
        """Add an account; its public and privatelink addresses are known, further ones (locator, alias) are named."""
        addresses = {f"{name}{SNOWFLAKE_DOMAIN}", f"{name}.privatelink{SNOWFLAKE_DOMAIN}", *further_addresses}
        account = self.accounts.setdefault(name, SnowflakeAccount(name))
        account.addresses |= {host_of(address) for address in addresses}
        return account

    def account_at(self, address: str) -> SnowflakeAccount | None:
        """The account that answers at this address, if any."""
        host = host_of(address)
        return next((account for account in self.accounts.values() if host in account.addresses), None)

    def sign_in(self, *, address: str, user: str, secret: str, client: str) -> SignInAnswer:
        """Whether this secret signs in; see `SnowflakeTruth`."""
        account = self.account_at(address)
        if account is None:
            return UNKNOWN_ACCOUNT
        known = account.users.get(user.casefold())
        if known is None:
            return WRONG_PASSWORD
        answer = self._judge(known, secret, client)
        known.sign_ins.append((client, secret, answer.ok))
        return answer

    @staticmethod
    def _judge(user: SnowflakeUser, secret: str, client: str) -> SignInAnswer:
        if client in user.network_blocked_for:
            return NETWORK_BLOCKED
        if user.disabled:
            return USER_DISABLED
        if secret in user.secrets:
            return SignInAnswer(ok=True)
        return EXPIRED_TOKEN if secret in user.expired else INVALID_TOKEN

    def as_json(self) -> dict[str, Any]:
        """Everything, secrets included: this is a sandbox."""
        return {
            account.name: {
                "addresses": sorted(account.addresses),
                "users": {
                    user.name: {
                        "secrets": sorted(user.secrets),
                        "expired": sorted(user.expired),
                        "disabled": user.disabled,
                        "network_blocked_for": sorted(user.network_blocked_for),
                    }
                    for user in account.users.values()
                },
            }
            for account in self.accounts.values()
        }

    def apply_json(self, accounts: dict[str, Any]) -> None:
        """Change what the same shape as `as_json` names; what it does not name stays."""
        for account_name, wanted in accounts.items():
            account = self.add_account(account_name, *wanted.get("addresses", ()))
            for user_name, changes in wanted.get("users", {}).items():
                user = account.users.get(user_name.casefold()) or account.add_user(user_name)
                user.secrets = set(changes.get("secrets", user.secrets))
                user.expired = set(changes.get("expired", user.expired))
                user.disabled = bool(changes.get("disabled", user.disabled))
                user.network_blocked_for = set(changes.get("network_blocked_for", user.network_blocked_for))
