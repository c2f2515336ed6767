"""Who gets in, and in which words Snowflake refuses the others; the same words for Tableau as for a driver."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sandbox.snowflake import SnowflakeServer, SnowflakeState, UserType
from sandbox.snowflake.key_pair import fingerprint_of, load_public_key
from tests.sandbox_snowflake.bare_driver import BareDriver, Refused
from tests.sandbox_snowflake.small_account import (
    ACCOUNT,
    ADDRESS,
    ADMIN,
    ADMIN_ROLE,
    KEYS,
    ROLE,
    ROTATOR,
    SERVICE,
    account_of,
    service_of,
    small_account,
    token_of,
)


@pytest.fixture
def snowflake() -> SnowflakeState:
    return small_account()


@pytest.fixture
def driver(snowflake: SnowflakeState) -> Iterator[BareDriver]:
    with SnowflakeServer(snowflake, tls=False) as server:
        yield BareDriver(server)


def refused(driver: BareDriver, *args: Any, **data: Any) -> Refused:
    with pytest.raises(Refused) as error:
        driver.sign_in(*args, **data)
    return error.value


def asked(snowflake: SnowflakeState, secret: str = "", client: str = "tableau", user: str = SERVICE) -> str:
    return snowflake.sign_in(
        address=ADDRESS, user=user, secret=secret or token_of(snowflake).secret, client=client
    ).code  # fmt: skip


# -- tokens --------------------------------------------------------------------------------------------------------


def test_a_token_signs_in_as_password_and_by_its_authenticator(driver: BareDriver, snowflake: SnowflakeState) -> None:
    secret = token_of(snowflake).secret
    got = driver.sign_in(SERVICE.lower(), secret)
    assert (got["displayUserName"], got["sessionInfo"]["roleName"]) == (SERVICE, ROLE)
    driver.sign_in(SERVICE, AUTHENTICATOR="PROGRAMMATIC_ACCESS_TOKEN", TOKEN=secret)
    assert driver.sql("SELECT CURRENT_ROLE() AS R, CURRENT_USER() AS U") == [{"R": ROLE, "U": SERVICE}]


def test_a_token_gives_its_role_and_no_other(driver: BareDriver, snowflake: SnowflakeState) -> None:
    secret = token_of(snowflake).secret
    service_of(snowflake).roles.add(ADMIN_ROLE)
    driver.sign_in(SERVICE, secret, role=ROLE.lower())
    assert (
        "is not permitted for the credentials being used" in refused(driver, SERVICE, secret, role=ADMIN_ROLE).message
    )
    unknown = refused(driver, SERVICE, secret, role="NO_ROLE")
    assert unknown.code == "390189"


def test_a_wrong_token_is_refused_as_the_drivers_fixtures_show(driver: BareDriver, snowflake: SnowflakeState) -> None:
    wrong = refused(driver, SERVICE, AUTHENTICATOR="PROGRAMMATIC_ACCESS_TOKEN", TOKEN="wrong")
    assert (wrong.code, wrong.message) == ("394400", "Programmatic access token is invalid.")
    assert wrong.data == {"nextAction": "RETRY_LOGIN", "authnMethod": "PAT", "signInOptions": {}}
    assert refused(driver, SERVICE, "wrong").code == "394400"
    snowflake.behaviour.wrong_token_as_password = "390100"
    assert refused(driver, SERVICE, "wrong").message == "Incorrect username or password was specified."


def test_an_unknown_user_learns_nothing(driver: BareDriver) -> None:
    assert refused(driver, "NOBODY", "x").code == "390100"
    assert refused(driver, "NOBODY", AUTHENTICATOR="PROGRAMMATIC_ACCESS_TOKEN", TOKEN="x").code == "394400"


def test_network_policies_tell_airflow_from_tableau(driver: BareDriver, snowflake: SnowflakeState) -> None:
    service_of(snowflake).network_policy = "AIRFLOW_ONLY"
    secret = token_of(snowflake).secret
    driver.sign_in(SERVICE, secret)
    blocked = refused(driver, SERVICE, secret, client="tableau")
    assert blocked.code == "390422"
    assert "IP/Token 198.51.100.20 is not allowed to access Snowflake" in blocked.message
    assert asked(snowflake, client="airflow") == ""
    assert asked(snowflake, client="tableau") == "390422"


def test_a_blocked_list_wins_and_the_accounts_policy_is_for_who_has_none(snowflake: SnowflakeState) -> None:
    account = account_of(snowflake)
    account.add_network_policy("ALL_BUT_TABLEAU", ["0.0.0.0/0"], ["198.51.100.0/24"])
    service_of(snowflake).network_policy = None
    account.network_policy = "ALL_BUT_TABLEAU"
    assert asked(snowflake, client="tableau") == "390422"
    assert asked(snowflake, client="airflow") == ""


def test_five_guesses_lock_the_user_for_a_quarter_of_an_hour(driver: BareDriver, snowflake: SnowflakeState) -> None:
    for _ in range(4):
        assert refused(driver, SERVICE, "guess").code == "394400"
    driver.sign_in(SERVICE, token_of(snowflake).secret)  # which forgives them
    for _ in range(5):
        assert asked(snowflake, "guess") == "394400"
    locked = refused(driver, SERVICE, token_of(snowflake).secret)
    assert "temporarily locked due to too many failed attempts" in locked.message
    snowflake.advance(minutes=15)
    driver.sign_in(SERVICE, token_of(snowflake).secret)


def test_a_dead_token_is_no_guess(snowflake: SnowflakeState) -> None:
    secret = token_of(snowflake).secret
    snowflake.advance(days=11)
    assert [asked(snowflake, secret) for _ in range(6)] == ["394401"] * 6


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({"max_expiry_in_days": 29}, "394400"),
        ({"max_expiry_in_days": 30}, ""),
        ({"blocked_roles": [ROLE]}, "394400"),
        ({"blocked_roles": [ADMIN_ROLE]}, ""),
        ({"max_expiry_in_days": 1, "blocked_roles": [ROLE]}, "394400"),
        ({}, ""),
    ],
)
def test_the_authentication_policy_decides_which_tokens_sign_in(
    driver: BareDriver, snowflake: SnowflakeState, policy: dict[str, Any], code: str
) -> None:
    account_of(snowflake).set_pat_policy(**policy)
    assert [asked(snowflake) for _ in range(6)] == [code] * 6  # a blocked token is not a guess
    if code:
        by_token = {"AUTHENTICATOR": "PROGRAMMATIC_ACCESS_TOKEN", "TOKEN": token_of(snowflake).secret}
        assert refused(driver, SERVICE, **by_token).message == "Programmatic access token is invalid."
    driver.sign_in()  # it is about tokens alone


@pytest.mark.parametrize(
    "policy", [{"max_expiry_in_days": 0}, {"max_expiry_in_days": 366}, {"blocked_roles": ["NO_ROLE"]}]
)
def test_an_authentication_policy_that_cannot_be_is_refused(snowflake: SnowflakeState, policy: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"max_expiry_in_days|NO_ROLE"):
        account_of(snowflake).set_pat_policy(**policy)
    assert asked(snowflake) == ""


# -- passwords -----------------------------------------------------------------------------------------------------


def test_a_service_has_no_password(snowflake: SnowflakeState) -> None:
    with pytest.raises(ValueError, match="cannot have a password"):
        account_of(snowflake).add_user("X", UserType.SERVICE, password="x")


def test_a_persons_password_alone_is_refused_from_phase_three_on(driver: BareDriver, snowflake: SnowflakeState) -> None:
    driver.sign_in()
    snowflake.behaviour.passwords_need_mfa = True
    assert refused(driver).code == "394509"
    assert refused(driver, ADMIN, "wrong").code == "390100"


# -- key pairs -----------------------------------------------------------------------------------------------------

FINGERPRINT = fingerprint_of(load_public_key(KEYS.public))
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    subject = f"{ACCOUNT.upper()}.{ROTATOR}"
    return {
        "iss": f"{subject}.{FINGERPRINT}",
        "sub": subject,
        "iat": now,
        "exp": now + timedelta(seconds=60),
    } | changes


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in claims().items() if key != name}


def sign(said: dict[str, Any], key: Any = None, algorithm: str = "RS256") -> str:
    return jwt.encode(said, key or load_pem_private_key(KEYS.private.encode(), None), algorithm)


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def test_a_key_pair_signs_in_however_far_the_clock_was_moved(driver: BareDriver, snowflake: SnowflakeState) -> None:
    snowflake.advance(days=90)
    got = driver.sign_in(ROTATOR, AUTHENTICATOR="SNOWFLAKE_JWT", TOKEN=sign(claims()))
    assert got["sessionInfo"]["roleName"] == ADMIN_ROLE


OTHER_ISSUER = f"OTHER.{ROTATOR}.{FINGERPRINT}"
REFUSED_TOKENS: list[tuple[str, Callable[[], str]]] = [
    ("JWT_TOKEN_INVALID", lambda: "no token at all"),
    ("JWT_TOKEN_INVALID", lambda: sign(claims(sub="ACME-PROD.SOMEBODY"))),
    ("JWT_TOKEN_ACCOUNT_MISMATCH", lambda: sign(claims(iss=OTHER_ISSUER))),
    ("JWT_TOKEN_INVALID_USER_IN_ISSUER", lambda: sign(claims(iss=f"ACME-PROD.SOMEBODY.{FINGERPRINT}"))),
    ("JWT_TOKEN_MISSING_ISSUE_OR_EXPIRATION_TIME", lambda: sign(without("exp"))),
    ("JWT_TOKEN_INVALID_EXPIRATION_TIME", lambda: sign(claims(iat=ago(30), exp=ago(1)))),
    ("JWT_TOKEN_INVALID_ISSUE_TIME", lambda: sign(claims(iat=ago(70)))),
    ("JWT_TOKEN_INVALID_ISSUE_TIME", lambda: sign(claims(iat=ago(-300), exp=ago(-360)))),
    (
        "JWT_TOKEN_INVALID_PUBLIC_KEY_FINGERPRINT_MISMATCH",
        lambda: sign(claims(iss=f"ACME-PROD.{ROTATOR}.{fingerprint_of(OTHER_KEY.public_key())}"), OTHER_KEY),
    ),
    ("JWT_TOKEN_INVALID_ALGORITHM", lambda: sign(claims(), "x" * 32, "HS256")),
    ("JWT_TOKEN_INVALID_SIGNATURE", lambda: sign(claims(), OTHER_KEY)),
]


@pytest.mark.parametrize(("reason", "token"), REFUSED_TOKENS)
def test_only_the_administrator_learns_why_a_key_pair_was_refused(
    driver: BareDriver, reason: str, token: Callable[[], str]
) -> None:
    error = refused(driver, ROTATOR, AUTHENTICATOR="SNOWFLAKE_JWT", TOKEN=token())
    assert (error.code, error.data) == ("390144", None)
    told, _, number = error.message.removesuffix("]").partition(" [")
    assert told == "JWT token is invalid."
    assert uuid.UUID(number)
    driver.sign_in()
    (row,) = driver.sql(f"SELECT SYSTEM$GET_LOGIN_FAILURE_DETAILS('{number}') AS WHY")
    assert f'"errorCode": "{reason}"' in str(row["WHY"])


def test_a_second_public_key_signs_in_too(driver: BareDriver, snowflake: SnowflakeState) -> None:
    user = account_of(snowflake).user(ROTATOR)
    user.public_keys.insert(0, "".join(KEYS.public.splitlines()[1:-1]))  # the base64 alone
    user.public_keys.reverse()
    driver.sign_in(ROTATOR, AUTHENTICATOR="SNOWFLAKE_JWT", TOKEN=sign(claims()))


# -- history -------------------------------------------------------------------------------------------------------


def test_the_login_history_tells_who_still_uses_which_token(driver: BareDriver, snowflake: SnowflakeState) -> None:
    old = token_of(snowflake).secret
    driver.sign_in()
    (row,) = driver.sql(f"ALTER USER {SERVICE} ROTATE PAT TABLEAU")
    asked(snowflake, old)
    asked(snowflake, str(row["token_secret"]), client="airflow")
    asked(snowflake, "guess")
    rows = driver.sql(
        "SELECT user_name, client_ip, first_authentication_factor AS factor, first_authentication_factor_id AS id, "
        "is_success, error_code FROM SNOWFLAKE.ACCOUNT_USAGE.LOGIN_HISTORY WHERE user_name <> 'ROTATION_ADMIN' "
        "ORDER BY event_id"
    )
    ids = {
        each["CREDENTIAL_ID"]: each["NAME"]
        for each in driver.sql("SELECT * FROM snowflake.account_usage.credentials WHERE type = 'PAT'")
    }
    assert [(each["CLIENT_IP"], ids.get(each["ID"]), each["IS_SUCCESS"], each["ERROR_CODE"]) for each in rows] == [
        ("198.51.100.20", row["rotated_token_name"], "YES", None),
        ("192.0.2.10", "TABLEAU", "YES", None),
        ("198.51.100.20", None, "NO", "394400"),
    ]
    assert [each["FACTOR"] for each in rows] == ["PROGRAMMATIC_ACCESS_TOKEN"] * 2 + ["PASSWORD"]


def test_the_table_function_gives_the_newest_logins_first(driver: BareDriver, snowflake: SnowflakeState) -> None:
    asked(snowflake)
    driver.sign_in()
    everyone = driver.sql("SELECT user_name FROM TABLE(INFORMATION_SCHEMA.LOGIN_HISTORY(RESULT_LIMIT => 5))")
    assert [row["USER_NAME"] for row in everyone] == [ADMIN, SERVICE]
    one = driver.sql(f"SELECT * FROM TABLE(INFORMATION_SCHEMA.LOGIN_HISTORY_BY_USER(USER_NAME => '{SERVICE}'))")  # noqa: S608
    assert [(row["USER_NAME"], row["IS_SUCCESS"]) for row in one] == [(SERVICE, "YES")]
