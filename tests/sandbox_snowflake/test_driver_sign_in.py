"""The real snowflake-connector-python signs in, and shows Snowflake's own words when it may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from snowflake import connector
from snowflake.connector.errors import DatabaseError, HttpError

from sandbox.snowflake import SnowflakeServer, SnowflakeState
from tests.sandbox_snowflake.small_account import (
    ACCOUNT,
    ADMIN_ROLE,
    KEYS,
    ROLE,
    ROTATOR,
    SERVICE,
    account_of,
    service_of,
    token_of,
)


def connect(server: SnowflakeServer, **said: Any) -> connector.SnowflakeConnection:
    return connector.connect(host="127.0.0.1", port=server.port, account=ACCOUNT, login_timeout=5, **said)


def who(connection: connector.SnowflakeConnection) -> tuple[Any, ...]:
    with connection:
        cursor = connection.cursor()
        cursor.execute("SELECT CURRENT_USER(), CURRENT_ROLE()")
        row = cursor.fetchone()
    assert isinstance(row, tuple)
    return row


def der(key: Any) -> bytes:
    assert isinstance(key, RSAPrivateKey)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


OWN_KEY = der(load_pem_private_key(KEYS.private.encode(), None))
OTHER_KEY = der(rsa.generate_private_key(public_exponent=65537, key_size=2048))


# `authenticator` is not needed beside a private key, but this is what Airflow's hook sends.
def by_key(key: bytes = OWN_KEY, user: str = ROTATOR) -> dict[str, Any]:
    return {"user": user, "private_key": key, "authenticator": "SNOWFLAKE_JWT"}


def as_password(secret: str, user: str = SERVICE) -> dict[str, Any]:
    return {"user": user, "password": secret}


def by_token(secret: str, user: str = SERVICE) -> dict[str, Any]:
    return {"user": user, "token": secret, "authenticator": "PROGRAMMATIC_ACCESS_TOKEN"}


def test_a_key_pair_signs_in(server: SnowflakeServer) -> None:
    assert who(connect(server, **by_key())) == (ROTATOR, ADMIN_ROLE)


@pytest.mark.parametrize("way", [as_password, by_token])
def test_a_token_signs_in(server: SnowflakeServer, snowflake_state: SnowflakeState, way: Callable[..., Any]) -> None:
    assert who(connect(server, **way(token_of(snowflake_state).secret), role=ROLE)) == (SERVICE, ROLE)
    (event,) = snowflake_state.accounts[ACCOUNT].logins
    assert (event.token_name, event.reported_client_type) == ("TABLEAU", "PythonConnector")


def _expire(state: SnowflakeState) -> None:
    state.advance(days=11)


def _disable_token(state: SnowflakeState) -> None:
    token_of(state).disabled = True


def _disable_user(state: SnowflakeState) -> None:
    service_of(state).disable()


def _block(state: SnowflakeState) -> None:
    state.client_addresses["airflow"] = "203.0.113.99"


def _take_policy_away(state: SnowflakeState) -> None:
    service_of(state).network_policy = None


def _revoke_role(state: SnowflakeState) -> None:
    service_of(state).roles.clear()


def _limit_expiry(state: SnowflakeState) -> None:
    account_of(state).set_pat_policy(max_expiry_in_days=29)


def _block_role(state: SnowflakeState) -> None:
    account_of(state).set_pat_policy(blocked_roles=[ROLE])


def _lock(state: SnowflakeState) -> None:
    service_of(state).locked_until = state.clock.now().replace(year=2100)


INVALID = "Programmatic access token is invalid."


@pytest.mark.parametrize("way", [as_password, by_token])
@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (_expire, (394401, "Programmatic access token is expired.")),
        (_disable_token, (394400, INVALID)),
        (_revoke_role, (394400, INVALID)),
        (_limit_expiry, (394400, INVALID)),
        (_block_role, (394400, INVALID)),
        (_disable_user, (390101, "User access disabled. Contact your local system administrator.")),
        (
            _block,
            (
                390422,
                "Incoming request with IP/Token 203.0.113.99 is not allowed to access Snowflake.",
            ),
        ),
        (_take_policy_away, (390432, "Network policy is required.")),
        (_lock, (390102, "Your user account has been temporarily locked due to too many failed attempts.")),
    ],
)
def test_a_token_is_refused(
    server: SnowflakeServer,
    snowflake_state: SnowflakeState,
    way: Callable[..., Any],
    happens: Callable[[SnowflakeState], None],
    told: tuple[int, str],
) -> None:
    happens(snowflake_state)
    code, message = told
    with pytest.raises(DatabaseError, match=re.escape(message)) as refused:
        connect(server, **way(token_of(snowflake_state).secret))
    assert (refused.value.errno, refused.value.sqlstate) == (code, "08001")
    assert server.requests.count("login") == 1  # the driver does not try again


@pytest.mark.parametrize(
    ("said", "code", "state", "message"),
    [
        (as_password("wrong"), 394400, "08001", INVALID),
        (by_token("wrong"), 394400, "08001", INVALID),
        (as_password("wrong", "NOBODY"), 390100, "28000", "Incorrect username or password was specified."),
        (by_token("wrong", "NOBODY"), 394400, "08001", INVALID),
        (by_key(OTHER_KEY), 390144, "28000", "JWT token is invalid. ["),
        (by_key(user="NOBODY"), 390144, "28000", "JWT token is invalid. ["),
    ],
)
def test_a_wrong_secret_is_refused(
    server: SnowflakeServer, said: dict[str, Any], code: int, state: str, message: str
) -> None:
    with pytest.raises(DatabaseError, match=re.escape(message)) as refused:
        connect(server, **said)
    assert (refused.value.errno, refused.value.sqlstate) == (code, state)


def test_the_other_code_of_a_wrong_token_in_the_password_field(
    server: SnowflakeServer, snowflake_state: SnowflakeState
) -> None:
    snowflake_state.behaviour.wrong_token_as_password = "390100"
    with pytest.raises(DatabaseError) as refused:
        connect(server, **as_password("wrong"))
    assert refused.value.errno == 390100


def test_five_bad_logins_lock_the_user_for_a_while(server: SnowflakeServer, snowflake_state: SnowflakeState) -> None:
    for _ in range(5):
        with pytest.raises(DatabaseError, match="is invalid"):
            connect(server, **as_password("wrong"))
    with pytest.raises(DatabaseError, match="temporarily locked"):
        connect(server, **as_password(token_of(snowflake_state).secret))
    snowflake_state.advance(minutes=15)
    connect(server, **as_password(token_of(snowflake_state).secret)).close()


def test_a_role_that_the_token_does_not_give_is_refused(
    server: SnowflakeServer, snowflake_state: SnowflakeState
) -> None:
    with pytest.raises(DatabaseError, match="is not granted to this user, or is not permitted"):
        connect(server, **as_password(token_of(snowflake_state).secret), role=ADMIN_ROLE)


@pytest.mark.parametrize(
    ("policy", "let_in", "kept_out"),
    [("AIRFLOW_ONLY", "airflow", "tableau"), ("TABLEAU_ONLY", "tableau", "airflow")],
)
def test_the_application_tells_clients_apart(
    server: SnowflakeServer, snowflake_state: SnowflakeState, policy: str, let_in: str, kept_out: str
) -> None:
    service_of(snowflake_state).network_policy = policy
    secret = token_of(snowflake_state).secret
    connect(server, **as_password(secret), application=let_in).close()
    address = snowflake_state.client_addresses[kept_out]
    with pytest.raises(DatabaseError, match=re.escape(f"IP/Token {address} is not allowed")):
        connect(server, **as_password(secret), application=kept_out)


def test_a_driver_without_an_application_is_airflow(server: SnowflakeServer, snowflake_state: SnowflakeState) -> None:
    service_of(snowflake_state).network_policy = "TABLEAU_ONLY"
    with pytest.raises(DatabaseError, match=re.escape("IP/Token 192.0.2.10 is not allowed")):
        connect(server, **as_password(token_of(snowflake_state).secret))


def test_an_unknown_account_is_no_account(server: SnowflakeServer) -> None:
    with pytest.raises(HttpError, match="404 Not Found"):
        connector.connect(host="127.0.0.1", port=server.port, account="elsewhere", login_timeout=5, **by_key())
