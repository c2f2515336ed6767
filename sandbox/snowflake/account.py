"""An account: its users, roles and network policies, as plain objects that tests read and change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address, ip_network

from sandbox.snowflake.login_history import LoginEvent
from sandbox.snowflake.tokens import MAX_DAYS, AccessToken, TokenStatus
from sandbox.snowflake_accounts import SNOWFLAKE_DOMAIN, host_of

PUBLIC = "PUBLIC"
ACCOUNTADMIN = "ACCOUNTADMIN"
PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


class UserType(StrEnum):
    """The type of a user decides what it may sign in with."""

    PERSON = "PERSON"
    SERVICE = "SERVICE"
    LEGACY_SERVICE = "LEGACY_SERVICE"
    SERVICE_AGENT = "SERVICE_AGENT"


@dataclass(frozen=True)
class NetworkPolicy:
    """Which addresses may sign in; the blocked list wins."""

    name: str
    allowed: tuple[str, ...] = ("0.0.0.0/0",)
    blocked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for network in (*self.allowed, *self.blocked):
            ip_network(network, strict=False)  # a ValueError here, and not at the next sign-in

    def permits(self, address: str) -> bool:
        """Whether a client with this address gets in."""
        return _listed(address, self.allowed) and not _listed(address, self.blocked)


def _listed(address: str, networks: Iterable[str]) -> bool:
    return any(ip_address(address) in ip_network(network, strict=False) for network in networks)


@dataclass(frozen=True)
class PatPolicy:
    """PAT_POLICY of the account's authentication policy: what tokens are limited to, those that exist included."""

    max_expiry_in_days: int = MAX_DAYS
    blocked_roles: tuple[str, ...] = ()

    def permits(self, token: AccessToken) -> bool:
        """Whether this token may sign in."""
        return token.days_to_expiry <= self.max_expiry_in_days and token.role_restriction not in self.blocked_roles


@dataclass(eq=False)
class User:
    """One user and what opens the door for it."""

    name: str  # as Snowflake stores it: in capitals unless it was made with double quotes
    type: UserType = UserType.SERVICE
    password: str | None = None
    public_keys: list[str] = field(default_factory=list)  # RSA_PUBLIC_KEY and RSA_PUBLIC_KEY_2, as PEM or its base64
    roles: set[str] = field(default_factory=set)
    default_role: str | None = None
    network_policy: str | None = None
    owner: str = ACCOUNTADMIN
    token_managers: set[str] = field(default_factory=set)  # roles: MODIFY PROGRAMMATIC AUTHENTICATION METHODS
    disabled: bool = False
    tokens: list[AccessToken] = field(default_factory=list)
    login_name: str | None = None  # None: its name
    guesses: int = 0  # bad logins in a row
    locked_until: datetime | None = None

    @property
    def is_service(self) -> bool:
        """Whether it is one of the kinds that no person signs in as."""
        return self.type is not UserType.PERSON

    def token(self, name: str) -> AccessToken | None:
        """The token of that name, live or rotated."""
        return next((token for token in self.tokens if token.name == name), None)

    def disable(self) -> None:
        """Disable the user; its tokens stay disabled after it is enabled again (guide)."""
        self.disabled = True
        for token in self.tokens:
            token.disabled = True

    def counted_tokens(self, now: datetime) -> int:
        """How many count towards the limit."""
        return sum(token.status(now) is not TokenStatus.EXPIRED for token in self.tokens)


@dataclass(eq=False)
class Account:
    """One account, by each name and address it answers to."""

    name: str
    addresses: set[str] = field(default_factory=set)
    users: dict[str, User] = field(default_factory=dict)
    roles: dict[str, set[str]] = field(
        default_factory=lambda: {PUBLIC: set(), ACCOUNTADMIN: set()}
    )  # with what each inherits
    network_policies: dict[str, NetworkPolicy] = field(default_factory=dict)
    network_policy: str | None = None  # of the whole account; a user's own wins
    pat_policy: PatPolicy = PatPolicy()
    logins: list[LoginEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.addresses |= {f"{self.name}{SNOWFLAKE_DOMAIN}", f"{self.name}.privatelink{SNOWFLAKE_DOMAIN}"}
        self.addresses = {host_of(address) for address in self.addresses}

    def is_called(self, name: str) -> bool:
        """Whether a client that says this account name means us: drivers send the first label of the account."""
        wanted = name.casefold().replace("_", "-")
        return wanted in {label.replace("_", "-") for label in self.labels}

    @property
    def labels(self) -> set[str]:
        """The first labels of its addresses: its name and its locator."""
        return {address.partition(".")[0] for address in self.addresses}

    # -- filling it ------------------------------------------------------------------------------------------------

    def add_role(self, name: str, *inherits: str) -> str:
        """Add a role, which holds what the roles hold that are granted to it."""
        self.roles.setdefault(name, set()).update(inherits)
        return name

    def add_network_policy(self, name: str, allowed: Iterable[str], blocked: Iterable[str] = ()) -> NetworkPolicy:
        """Add a network policy, or replace it."""
        policy = NetworkPolicy(name, tuple(allowed), tuple(blocked))
        self.network_policies[name] = policy
        return policy

    def set_pat_policy(self, *, max_expiry_in_days: int = MAX_DAYS, blocked_roles: Iterable[str] = ()) -> PatPolicy:
        """Limit all tokens of the account; what is not named has no limit any more.

        :raises ValueError: no such number of days, or no such role.
        """
        roles = tuple(blocked_roles)
        if not 1 <= max_expiry_in_days <= MAX_DAYS:
            raise ValueError(f"max_expiry_in_days is 1 to {MAX_DAYS}, not {max_expiry_in_days}")
        if unknown := set(roles) - self.roles.keys():
            raise ValueError(f"{self.name} has no role {', '.join(sorted(unknown))}")
        self.pat_policy = PatPolicy(max_expiry_in_days, roles)
        return self.pat_policy

    def add_user(
        self,
        name: str,
        type: UserType = UserType.SERVICE,  # noqa: A002 - Snowflake's word
        *,
        roles: Iterable[str] = (),
        password: str | None = None,
        public_key: str | None = None,
        network_policy: str | None = None,
        managed_by: Iterable[str] = (),
        login_name: str | None = None,
    ) -> User:
        """Add a user with these roles, which are made if need be; the first is its default role.

        A name that is plain is kept in capitals, as where it is written without quotes.
        """
        granted = list(roles)
        user = User(
            name if not PLAIN_NAME.fullmatch(name) else name.upper(),
            type,
            password,
            [public_key] if public_key else [],
            set(granted),
            granted[0] if granted else None,
            network_policy,
            token_managers=set(managed_by),
            login_name=login_name,
        )
        if user.type in {UserType.SERVICE, UserType.SERVICE_AGENT} and password is not None:
            raise ValueError(f"{user.name}: a user of type {user.type} cannot have a password")
        for role in [*granted, *managed_by]:
            self.add_role(role)
        self.users[user.name] = user
        return user

    # -- reading ---------------------------------------------------------------------------------------------------

    def user(self, login_name: str) -> User:
        """The user who signs in with this name, in any case; KeyError if there is none."""
        found = self.find_user(login_name)
        if found is None:
            raise KeyError(login_name)
        return found

    def find_user(self, login_name: str) -> User | None:
        """The user who signs in with this name, if any: login names have no case."""
        wanted = login_name.casefold()
        return next((user for user in self.users.values() if (user.login_name or user.name).casefold() == wanted), None)

    def role_reaches(self, role: str, wanted: str) -> bool:
        """Whether a role is another one, or inherits it."""
        seen: set[str] = set()
        left = [role]
        while left:
            each = left.pop()
            if each == wanted:
                return True
            if each not in seen:
                seen.add(each)
                left += self.roles.get(each, ())
        return False

    def may_manage_tokens(self, role: str, actor: str, user: User) -> bool:
        """Whether a session may work with a user's tokens: OWNERSHIP, the privilege, or one's own as a person."""
        if user.name == actor and not user.is_service:
            return True
        return any(self.role_reaches(role, each) for each in {user.owner, *user.token_managers})

    def policy_of(self, user: User) -> NetworkPolicy | None:
        """The network policy in force for a user."""
        name = user.network_policy or self.network_policy
        return self.network_policies[name] if name else None
