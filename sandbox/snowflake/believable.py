"""A believable Snowflake behind a sandbox Tableau: its accounts, service users with tokens that are about to expire,
people with passwords, and an administrator who may rotate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.snowflake.account import UserType
from sandbox.snowflake.state import SnowflakeState
from sandbox.snowflake_accounts import SnowflakeAccounts
from sandbox.tableau.site import SandboxCredential
from sandbox.tableau.state import TableauState

ADMIN_USER = "TOKEN_ROTATION"
ADMIN_ROLE = "TOKEN_ROTATOR"
READER_ROLE = "TABLEAU_READER"
TOKEN_NAME = "TABLEAU"
NEXT_TOKEN_NAME = "TABLEAU_NEXT"
NETWORK_POLICY = "AIRFLOW_AND_TABLEAU"


@dataclass(frozen=True)
class KeyPair:
    """A private key for the administrator's Airflow connection, and what Snowflake holds of it. Both PEM."""

    private: str
    public: str


def make_key_pair() -> KeyPair:
    """A new RSA key, unencrypted."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(private.decode(), public.decode())


def snowflake_behind(
    tableau: TableauState,
    admin: KeyPair,
    *,
    days_left: float = 3,
    days_to_expiry: float = 90,
    with_next: bool = False,
) -> SnowflakeState:
    """Make the Snowflake that this Tableau's connections lead to, and let Tableau ask it from now on.

    Both share one clock. What the in-memory accounts knew is taken over; they are not asked again.

    :param admin: signs in as `ADMIN_USER`, which may rotate every token.
    :param days_left: when the embedded tokens expire.
    :param days_to_expiry: their whole life, and that of the tokens which follow.
    :param with_next: also add each credential's `new_secret`, as a second token that a person made.
    """
    state = SnowflakeState(clock=tableau.clock)
    credentials = [credential for site in tableau.sites for credential in site.credentials.values()]
    take_over(state, tableau.accounts, credentials, admin)
    for credential in credentials:
        user = state.accounts[credential.account].user(credential.login)
        age = days_to_expiry - days_left
        state.add_token(
            user,
            TOKEN_NAME,
            secret=credential.secret,
            role=READER_ROLE,
            days_to_expiry=days_to_expiry,
            age_days=age,
            created_by=ADMIN_USER,
        )
        if with_next:
            state.add_token(
                user, NEXT_TOKEN_NAME, secret=credential.new_secret, role=READER_ROLE, days_to_expiry=days_to_expiry
            )
    tableau.snowflake = state
    return state


def take_over(
    state: SnowflakeState, known: SnowflakeAccounts, credentials: Iterable[SandboxCredential], admin: KeyPair
) -> None:
    """Accounts and users of the in-memory truth: the credentials' logins are services, everybody else is a person."""
    services = {(credential.account, credential.login.casefold()) for credential in credentials}
    for name, each in known.accounts.items():
        account = state.add_account(name, *each.addresses)
        account.add_network_policy(NETWORK_POLICY, state.client_addresses.values())
        account.add_user(ADMIN_USER, roles=[ADMIN_ROLE], public_key=admin.public, network_policy=NETWORK_POLICY)
        for key, user in each.users.items():
            if (name, key) in services:
                account.add_user(user.name, roles=[READER_ROLE], network_policy=NETWORK_POLICY, managed_by=[ADMIN_ROLE])
            else:
                account.add_user(user.name, UserType.PERSON, password=next(iter(sorted(user.secrets)), None))
