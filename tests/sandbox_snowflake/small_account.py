"""A small account: a service user with one token, an administrator with a key pair and a password, a network policy."""

from __future__ import annotations

from sandbox.snowflake import AccessToken, Account, KeyPair, SnowflakeState, User, UserType, make_key_pair

ACCOUNT = "acme-prod"
ADDRESS = "acme-prod.snowflakecomputing.com"
ADMIN = "ROTATION_ADMIN"
ADMIN_PASSWORD = "password-of-the-administrator"
ROTATOR = "ROTATION_ADMIN_WITH_KEY"
SERVICE = "TABLEAU_ETL"
ROLE = "READER"
ADMIN_ROLE = "TOKEN_ROTATOR"
TOKEN = "TABLEAU"

KEYS: KeyPair = make_key_pair()  # one is enough: to make one takes a while


def small_account() -> SnowflakeState:
    """The service user's token lives 10 days of its 30 yet; Airflow and Tableau are both let in."""
    state = SnowflakeState()
    account = state.add_account(ACCOUNT, "xy12345.eu-central-1.snowflakecomputing.com")
    account.add_network_policy("EVERYONE", state.client_addresses.values())
    account.add_network_policy("AIRFLOW_ONLY", [state.client_addresses["airflow"]])
    account.add_network_policy("TABLEAU_ONLY", [state.client_addresses["tableau"]])
    account.add_user(ADMIN, UserType.PERSON, roles=[ADMIN_ROLE], password=ADMIN_PASSWORD)
    account.add_user(ROTATOR, roles=[ADMIN_ROLE], public_key=KEYS.public)
    user = account.add_user(SERVICE, roles=[ROLE], network_policy="EVERYONE", managed_by=[ADMIN_ROLE])
    state.add_token(user, TOKEN, role=ROLE, days_to_expiry=30, age_days=20)
    return state


def account_of(state: SnowflakeState) -> Account:
    return state.accounts[ACCOUNT]


def service_of(state: SnowflakeState) -> User:
    return account_of(state).user(SERVICE)


def token_of(state: SnowflakeState) -> AccessToken:
    """The live token of the service user."""
    token = service_of(state).token(TOKEN)
    assert token is not None
    return token
