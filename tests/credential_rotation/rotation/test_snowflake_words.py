"""What Snowflake's words mean, as drivers and Tableau quote them."""

from __future__ import annotations

import pickle
import re

import pytest

from credential_rotation.rotation.snowflake_words import (
    _CODES,
    _MESSAGES,
    Refusal,
    SnowflakeRefused,
    advice,
    refusal_in,
    without_noise,
)
from sandbox.snowflake import errors

BLOCKED = "Incoming request with IP/Token 203.0.113.9 is not allowed to access Snowflake. Contact your administrator."
LOCKED = "Your user account has been temporarily locked due to too many failed attempts. Try again after 15 minutes."
ROLE = "Role 'X' specified in the connect string is not granted to this user, or is not permitted for the credentials."
NO_ROLE = "Role 'X' specified in the connect string does not exist or not authorized. Contact your administrator."
MFA = "MFA authentication is required, but none of your current MFA methods are supported for this."

WORDS = [
    ("394400", "Programmatic access token is invalid.", Refusal.TOKEN_INVALID),
    ("394401", "Programmatic access token is expired.", Refusal.TOKEN_EXPIRED),
    ("390432", "Fail : Network policy is required.", Refusal.NETWORK_POLICY_REQUIRED),
    ("390422", BLOCKED, Refusal.NETWORK_BLOCKED),
    ("390429", BLOCKED, Refusal.NETWORK_BLOCKED),
    ("390432", BLOCKED, Refusal.NETWORK_BLOCKED),  # the code disagrees: the text is right
    ("250001", BLOCKED, Refusal.NETWORK_BLOCKED),
    ("250001", "Network policy is required.", Refusal.NETWORK_POLICY_REQUIRED),
    ("390100", "Incorrect username or password was specified.", Refusal.WRONG_PASSWORD),
    ("390101", "User access disabled. Contact your local system administrator.", Refusal.USER_DISABLED),
    ("390102", LOCKED, Refusal.LOCKED),
    ("394509", MFA, Refusal.MFA_REQUIRED),
    ("390186", ROLE, Refusal.ROLE_NOT_GRANTED),
    ("390189", NO_ROLE, Refusal.ROLE_NOT_GRANTED),
    ("390144", "JWT token is invalid. [0ce9eb56-821d-4ca9-a774-04ae89a0cf5a]", Refusal.KEY_PAIR_INVALID),
]

QUOTED = {
    "bare": "{words}",
    "connector 4": "{code} (08001): Failed to connect to DB: acme.snowflakecomputing.com:443. {words}",
    "connector 4, logging": "{code} (08001): None: Failed to connect to DB: acme.snowflakecomputing.com:443. {words}",
    "connector 3": "250001 (08001): None: Failed to connect to DB: acme.snowflakecomputing.com:443. {words}",
    "connector 5": "Failed to login: Login error: {words}, code: {code}",
    "Tableau": "[Snowflake][Snowflake] (4) {words} (code {code}). Unable to connect to the server 'x' as 'y'.",
    "Tableau, wrapped": "com.tableau.nativeapi.dll.TableauException: [Snowflake][Snowflake] (4)\n  {words}\n",
    "SQL API": '{{"code": "{code}", "message": "{words}"}}',
}


@pytest.mark.parametrize("quoted", QUOTED.values(), ids=QUOTED)
@pytest.mark.parametrize(("code", "words", "refusal"), WORDS)
def test_the_words_tell(code: str, words: str, refusal: Refusal, quoted: str) -> None:
    text = quoted.format(code=code, words=words)
    assert refusal_in(text) is refusal
    assert refusal_in(text.upper()) is refusal
    assert refusal_in(text.replace(" ", "\n")) is refusal


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("394400 (08001): something nobody has seen yet", Refusal.TOKEN_INVALID),
        ("394401: 394401: something", Refusal.TOKEN_EXPIRED),
        ("notes before it\n390432 (08001): something", Refusal.NETWORK_POLICY_REQUIRED),
        ("[Snowflake][Support] (390422) something", Refusal.NETWORK_BLOCKED),
        ("something (code 390100).", Refusal.WRONG_PASSWORD),
        ("something, error code: 394509", Refusal.MFA_REQUIRED),
        ('{"code":"390102","message":"something"}', Refusal.LOCKED),
        ("errno=394303", Refusal.KEY_PAIR_INVALID),
        ("error 250001, code 390101", Refusal.USER_DISABLED),
        ("250001 (08001): Failed to connect to DB. MFA authentication failed: a:443. Timeout", Refusal.MFA_REQUIRED),
    ],
)
def test_where_the_words_are_unknown_the_code_tells(text: str, refusal: Refusal) -> None:
    assert refusal_in(text) is refusal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Java heap space",
        "The operation timed out.",
        "250001: Could not connect to Snowflake backend after 2 attempt(s).Aborting",
        "250001 (08001): Failed to connect to DB. Service is unavailable: acme.snowflakecomputing.com:443. 503",
        "290404 (08001): 404 Not Found: post acme-prod.snowflakecomputing.com:443/session/v1/login-request",
        "[Snowflake][Snowflake] (4) REST request for URL https://acme.snowflakecomputing.com failed: CURLerror (28)",
        "394400 rows were read before the query was cancelled",
        "Job 394401 took 390100 seconds",
        "001003 (42000): SQL compilation error: syntax error line 1 at position 0 unexpected 'PROGRAMMATIC'.",
        "Object 'NETWORK_POLICY' does not exist or not authorized.",
        "Tableau could not sign in: invalid username or password of the server.",
        "The OAuth access token is expired.",
        "row 7f3a-394400-11ee: error 3944001",
    ],
)
def test_other_trouble_is_no_refusal(text: str) -> None:
    assert refusal_in(text) is None


@pytest.mark.parametrize(
    "told",
    [
        errors.wrong_password(),
        errors.invalid_token(),
        errors.expired_token(),
        errors.user_disabled(),
        errors.network_blocked("203.0.113.9"),
        errors.network_policy_required(),
        errors.locked(),
        errors.mfa_required(),
        errors.role_unknown("X"),
        errors.role_not_granted("X"),
        errors.invalid_jwt(("394304", "x"), "y"),
    ],
    ids=str,
)
def test_text_and_code_agree_on_all_that_the_sandbox_says(told: errors.SignInRefused) -> None:
    assert refusal_in(told.message) is refusal_in(f"code {told.code}") is not None


@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_is_known_by_text_and_code_and_has_advice(refusal: Refusal) -> None:
    assert refusal in _MESSAGES
    assert refusal in _CODES.values()
    assert re.fullmatch(r"[A-Z].{40,230}\.", advice(refusal))


@pytest.mark.parametrize(("code", "words", "refusal"), WORDS)
def test_advice_does_not_change_what_a_text_means(code: str, words: str, refusal: Refusal) -> None:
    assert refusal_in(f"{words} (code {code}) {advice(refusal)}") is refusal
    assert refusal_in(advice(refusal)) is None


@pytest.mark.parametrize("quoted", [name for name in QUOTED if name.startswith("connector")])
@pytest.mark.parametrize(("code", "words", "refusal"), WORDS)
def test_the_drivers_own_words_go(code: str, words: str, refusal: Refusal, quoted: str) -> None:
    assert without_noise(QUOTED[quoted].format(code=code, words=words)) == words


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ""),
        ("251001: 251001: Account must be specified", "Account must be specified"),
        ("no prefix,\n two lines", "no prefix, two lines"),
        ("Failed to login: Login error: , code: 394400", "Failed to login: Login error: , code: 394400"),
        (
            "250001 (08001): Failed to connect to DB. Verify the account name is correct: acme:443. 403 Forbidden",
            "Verify the account name is correct: acme:443. 403 Forbidden",
        ),
    ],
)
def test_other_words_stay(text: str, left: str) -> None:
    assert without_noise(text) == left


def test_a_refusal_survives_being_sent_to_another_process() -> None:
    sent = pickle.loads(pickle.dumps(SnowflakeRefused("no", Refusal.LOCKED)))  # noqa: S301 (our own)
    assert (str(sent), sent.refusal) == ("no", Refusal.LOCKED)
