"""What a Snowflake holds: one plain object that tests read and change. The sandbox's Tableau asks it, too."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from sandbox.snowflake import sign_in
from sandbox.snowflake.account import Account, User
from sandbox.snowflake.errors import SignInRefused
from sandbox.snowflake.login_history import Factor
from sandbox.snowflake.operations import OPERATIONS
from sandbox.snowflake.sessions import Session, Sessions
from sandbox.snowflake.sign_in import Admission, Attempt
from sandbox.snowflake.tokens import DEFAULT_DAYS, AccessToken, new_secret
from sandbox.snowflake_accounts import UNKNOWN_ACCOUNT, SignInAnswer, host_of
from sandbox.tableau.clock import Clock, to_the_millisecond
from sandbox.tableau.fault_scripts import Faults

# Where each client comes from: addresses that are reserved for documentation (RFC 5737).
ADDRESSES: Mapping[str, str] = {"airflow": "192.0.2.10", "tableau": "198.51.100.20"}
DEFAULT_CLIENT = "airflow"
MILLISECOND = timedelta(milliseconds=1)

CHOICES: Mapping[str, tuple[str, ...]] = {
    "show_columns": ("guide", "reference"),
    "show_times": ("timestamp", "text"),
    "wrong_token_as_password": ("394400", "390100"),
    "token_session_refused": ("same_user", "any"),
    "rotating_disabled": ("stays_disabled", "refused"),
}


@dataclass
class Behaviour:
    """Where sources disagree or nothing is documented: each way can be chosen."""

    show_columns: str = "guide"  # or "reference": its table names one column otherwise and lacks rotated_to
    show_times: str = "timestamp"  # or "text": the guide's sample output
    wrong_token_as_password: str = "394400"  # or "390100": unknown which it is in reality
    token_session_refused: str = "same_user"  # or "any": whose tokens a session opened with a token may not change
    rotating_disabled: str = "stays_disabled"  # or "refused"
    passwords_need_mfa: bool = False  # phase 3 of Snowflake's roll-out: a person's password alone is refused
    replay_requests: bool = True  # the same requestId gets the first answer; False: it is executed again
    expired_listed_days: float = 30  # or 7: both are documented, on the same page
    timezone: str = "America/Los_Angeles"  # Snowflake's default for an account

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}")


@dataclass
class SnowflakeState:
    """Accounts, sessions and the settings that say how this Snowflake behaves. It is a `SnowflakeTruth`."""

    seed: int = 7
    clock: Clock = field(default_factory=Clock)  # share it with a `TableauState`, and both move together
    behaviour: Behaviour = field(default_factory=Behaviour)
    accounts: dict[str, Account] = field(default_factory=dict)
    client_addresses: dict[str, str] = field(default_factory=lambda: dict(ADDRESSES))

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.sessions = Sessions(self.clock)
        self.faults = Faults(lambda: OPERATIONS)
        self.lock = threading.RLock()  # held while a request has its effect
        self._ids = count(1001)
        self._last_rotation = datetime.fromtimestamp(0, UTC)

    def next_id(self) -> int:
        """A number for whatever Snowflake numbers."""
        return next(self._ids)

    def rotation_moment(self, token: AccessToken) -> datetime:
        """When a token is rotated: now to the millisecond, but later than it was made and than every other rotation.

        The names of old secrets hold this moment, so no two of them can ever be the same.
        """
        earlier = to_the_millisecond(max(token.created_on, self._last_rotation))
        self._last_rotation = max(to_the_millisecond(self.clock.now()), earlier + MILLISECOND)
        return self._last_rotation

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let this much time have passed."""
        self.clock.advance(seconds=timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds())

    # -- filling it ------------------------------------------------------------------------------------------------

    def add_account(self, name: str, *further_addresses: str) -> Account:
        """Add an account; its public and privatelink addresses are known, further ones (locator, alias) are named."""
        account = Account(name, set(further_addresses))
        self.accounts[name] = account
        return account

    def add_token(
        self,
        user: User,
        name: str,
        *,
        secret: str | None = None,
        role: str | None = None,
        days_to_expiry: float = DEFAULT_DAYS,
        age_days: float = 0,
        created_by: str = "ACCOUNTADMIN",
    ) -> AccessToken:
        """Give a user a token that was made `age_days` ago, with no questions asked."""
        created = self.clock.now() - timedelta(days=age_days)
        expires = created + timedelta(days=days_to_expiry)
        number = self.next_id()
        text = secret if secret is not None else new_secret(self.random, number, expires)
        token = AccessToken(number, name, text, days_to_expiry, created, created_by, expires, role)
        user.tokens.append(token)
        return token

    # -- who asks --------------------------------------------------------------------------------------------------

    def account_at(self, address: str) -> Account | None:
        """The account that answers at this address, if any."""
        host = host_of(address)
        return next((account for account in self.accounts.values() if host in account.addresses), None)

    def account_called(self, name: str) -> Account | None:
        """The account that a driver means by this name."""
        return next((account for account in self.accounts.values() if account.is_called(name)), None)

    def client_of(self, application: str | None) -> str:
        """Which client a driver is: `application` is a parameter of its connect; unknown ones are Airflow."""
        name = (application or "").casefold()
        return name if name in self.client_addresses else DEFAULT_CLIENT

    def address_of(self, client: str) -> str:
        """The address that Snowflake sees of a client."""
        return self.client_addresses.get(client, self.client_addresses[DEFAULT_CLIENT])

    # -- signing in ------------------------------------------------------------------------------------------------

    def sign_in(self, *, address: str, user: str, secret: str, client: str) -> SignInAnswer:
        """Whether this secret signs in as a password; see `SnowflakeTruth`."""
        with self.lock:
            account = self.account_at(address)
            if account is None:
                return UNKNOWN_ACCOUNT
            try:
                sign_in.admit(self, account, Attempt(user, secret, Factor.PASSWORD, client, client_type=client.upper()))
            except SignInRefused as refused:
                return refused.answer
            return SignInAnswer(ok=True)

    def open_session(self, admission: Admission) -> Session:
        """Open a session for someone who was let in."""
        session = self.sessions.open(self.next_id(), self.session_token(), self.session_token(), admission)
        session.parameters["TIMEZONE"] = self.behaviour.timezone
        return session

    def session_token(self) -> str:
        """A new session token, or master token."""
        return f"ver:3-hint:{self.next_id()}-{secrets.token_urlsafe(48)}"
