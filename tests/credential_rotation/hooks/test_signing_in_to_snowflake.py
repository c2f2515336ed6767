"""A secret is tried out as Tableau would use it, against a server that Snowflake's own driver signs in to."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook
from airflow.sdk import Connection
from airflow.sdk.log import redact

from credential_rotation.hooks import snowflake as hook
from credential_rotation.hooks.snowflake import SnowflakeDriverMissing, sign_in_with_password
from credential_rotation.rotation.snowflake_words import Refusal, SnowflakeRefused, SnowflakeUnreachable, refusal_in
from sandbox.leaks import Scanner
from sandbox.snowflake import Refusal as AnyRefusal
from sandbox.snowflake import SnowflakeServer, SnowflakeState, Unwell
from sandbox.tableau.faults import EmptyBody, Fault, HalfBody, HtmlPage, RawAnswer, ResetAfter, ResetBefore, Silence
from tests.sandbox_snowflake.small_account import ACCOUNT, KEYS, ROLE, SERVICE, service_of, token_of

REPOSITORY = Path(__file__).resolve().parents[3]
WRONG = "no-token-of-this-user/with+signs="


pytestmark = pytest.mark.usefixtures("nothing_masked")


def connection(port: int, **extra: Any) -> Connection:
    said = {"account": ACCOUNT, "host": "127.0.0.1", "port": port, **extra}
    return Connection(conn_id="snowflake_etl", conn_type="snowflake", login="SOMEBODY", extra=json.dumps(said))


def logins(server: SnowflakeServer) -> list[dict[str, str]]:
    return [dict(request.parameters) for request in server.requests.all("login")]


def test_a_good_token_is_let_in_and_signs_out(snowflake: SnowflakeServer, snowflake_state: SnowflakeState) -> None:
    sign_in_with_password(connection(snowflake.port, role=ROLE), SERVICE, token_of(snowflake_state).secret)
    (event,) = snowflake_state.accounts[ACCOUNT].logins
    assert (event.user_name, event.token_name, event.is_success) == (SERVICE, "TABLEAU", True)
    assert [request.operation for request in snowflake.requests] == ["login", "logout"]


def _nothing(state: SnowflakeState) -> None:
    pass


def _expire(state: SnowflakeState) -> None:
    state.advance(days=11)


def _block(state: SnowflakeState) -> None:
    state.client_addresses["airflow"] = "203.0.113.99"


def _no_policy(state: SnowflakeState) -> None:
    service_of(state).network_policy = None


def _disable_user(state: SnowflakeState) -> None:
    service_of(state).disabled = True


def _disable_token(state: SnowflakeState) -> None:
    token_of(state).disabled = True


def _lock(state: SnowflakeState) -> None:
    service_of(state).locked_until = state.clock.now().replace(year=2100)


def _say_wrong_password(state: SnowflakeState) -> None:
    state.behaviour.wrong_token_as_password = "390100"


@pytest.mark.parametrize(
    ("happens", "secret", "refusal", "words"),
    [
        (_nothing, WRONG, Refusal.TOKEN_INVALID, "Programmatic access token is invalid. (code 394400) "),
        (_say_wrong_password, WRONG, Refusal.WRONG_PASSWORD, "Incorrect username or password was specified. (code"),
        (_expire, None, Refusal.TOKEN_EXPIRED, "Programmatic access token is expired. (code 394401) "),
        (_disable_token, None, Refusal.TOKEN_INVALID, "Programmatic access token is invalid. (code 394400) "),
        (_block, None, Refusal.NETWORK_BLOCKED, "Incoming request with IP/Token 203.0.113.99 is not allowed to"),
        (_no_policy, None, Refusal.NETWORK_POLICY_REQUIRED, "Network policy is required. (code 390432) "),
        (_disable_user, None, Refusal.USER_DISABLED, "User access disabled. Contact your local system"),
        (_lock, None, Refusal.LOCKED, "Your user account has been temporarily locked due to"),
    ],
)
def test_a_refusal_is_told_in_snowflakes_words_and_is_final(
    snowflake: SnowflakeServer,
    happens: Callable[[SnowflakeState], None],
    secret: str | None,
    refusal: Refusal,
    words: str,
) -> None:
    snowflake_state = snowflake.state
    happens(snowflake_state)
    with pytest.raises(SnowflakeRefused) as refused:
        sign_in_with_password(connection(snowflake.port), SERVICE, secret or token_of(snowflake_state).secret)
    assert refused.value.refusal is refusal
    assert str(refused.value).startswith(f"Snowflake does not let {SERVICE} in: {words}")
    assert refusal_in(str(refused.value)) is refusal
    assert len(logins(snowflake)) == 1


@pytest.mark.parametrize("role", ["TOKEN_ROTATOR", "NO_SUCH_ROLE"])
def test_the_role_of_the_connection_must_be_granted(
    snowflake: SnowflakeServer, snowflake_state: SnowflakeState, role: str
) -> None:
    with pytest.raises(SnowflakeRefused, match="in the connect string") as refused:
        sign_in_with_password(connection(snowflake.port, role=role), SERVICE, token_of(snowflake_state).secret)
    assert refused.value.refusal is Refusal.ROLE_NOT_GRANTED


@pytest.mark.parametrize(
    "extra",
    [
        {"authenticator": "snowflake_jwt", "private_key_file": "{key_file}"},
        {"private_key_content": KEYS.private},
        {"private_key_file": "/nowhere/key.p8", "private_key_content": "{}"},
        {"extra__snowflake__private_key_file": "/nowhere/key.p8"},
        {"authenticator": "programmatic_access_token"},
        {"authenticator": "oauth", "refresh_token": "x", "token_endpoint": "https://127.0.0.1:1/"},
        {"authenticator": "externalbrowser", "client_store_temporary_credential": True},
        {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "OIDC", "token": "x"},
        {"proxy_host": "127.0.0.1", "proxy_port": 1, "proxy_user": "x", "proxy_password": "x"},
        {"session_parameters": {"NO_SUCH_PARAMETER": 1}, "warehouse": "NO_SUCH", "database": "NO_SUCH"},
        {"tableau_usernames": ["x"], "previous_password": "x"},
    ],
    ids=", ".join,
)
def test_however_the_connection_signs_in_the_secret_goes_as_a_password(
    snowflake: SnowflakeServer, snowflake_state: SnowflakeState, tmp_path: Path, extra: dict[str, Any]
) -> None:
    key_file = tmp_path / "key.p8"
    key_file.write_text(KEYS.private)
    extra = {key: str(key_file) if value == "{key_file}" else value for key, value in extra.items()}
    sign_in_with_password(connection(snowflake.port, **extra), SERVICE, token_of(snowflake_state).secret)
    (login,) = logins(snowflake)
    assert login.get("authenticator", "PASSWORD") == "PASSWORD"


def test_old_connections_keep_their_prefixed_fields(
    snowflake: SnowflakeServer, snowflake_state: SnowflakeState
) -> None:
    conn = connection(
        snowflake.port, account=None, extra__snowflake__account=ACCOUNT, extra__snowflake__role="NO_SUCH_ROLE"
    )
    with pytest.raises(SnowflakeRefused, match="NO_SUCH_ROLE"):
        sign_in_with_password(conn, SERVICE, token_of(snowflake_state).secret)


@pytest.mark.parametrize(
    "fault",
    [
        Unwell(503),
        Unwell(500),
        Unwell(429),
        HtmlPage(502),
        RawAnswer(200, "<html>maintenance</html>", "text/html"),
        RawAnswer(200, "null", "application/json"),
        RawAnswer(200, "[]", "application/json"),
        RawAnswer(200, "{}", "application/json"),
        EmptyBody(),
        HalfBody(),
        ResetBefore(),
        ResetAfter(),
    ],
    ids=str,
)
def test_without_an_answer_a_later_try_may_help_but_is_not_made_here(
    snowflake: SnowflakeServer, snowflake_state: SnowflakeState, fault: Fault
) -> None:
    snowflake.faults.script("login", [fault])
    with pytest.raises(SnowflakeUnreachable, match=f"could not be asked whether it lets {SERVICE} in: .+"):
        sign_in_with_password(connection(snowflake.port), SERVICE, WRONG)
    assert len(logins(snowflake)) == 1
    assert service_of(snowflake_state).guesses <= 1


def test_silence_is_not_waited_for_long(
    snowflake: SnowflakeServer, snowflake_state: SnowflakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hook._HOW["socket_timeout"] <= 15
    monkeypatch.setitem(hook._HOW, "socket_timeout", 1)
    snowflake.faults.script("login", [Silence(5, "answer")])
    began = time.monotonic()
    with pytest.raises(SnowflakeUnreachable, match="read operation timed out"):
        sign_in_with_password(connection(snowflake.port), SERVICE, WRONG)
    assert 1 <= time.monotonic() - began < 3


def test_where_nothing_listens_it_is_over_at_once(snowflake: SnowflakeServer) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(SnowflakeUnreachable, match="Connection refused"):
        sign_in_with_password(connection(port), SERVICE, WRONG)
    assert time.monotonic() - began < 5


def test_what_the_caller_is_handling_is_not_the_reason(snowflake: SnowflakeServer) -> None:
    snowflake.faults.script("login", [Unwell(503)])
    try:
        int("of the caller")
    except ValueError:
        with pytest.raises(SnowflakeUnreachable) as raised:
            sign_in_with_password(connection(snowflake.port), SERVICE, WRONG)
    assert "of the caller" not in str(raised.value)


def test_a_sign_out_that_fails_does_not_matter(snowflake: SnowflakeServer, snowflake_state: SnowflakeState) -> None:
    snowflake.faults.script("logout", [Unwell(503)] * 5)
    sign_in_with_password(connection(snowflake.port), SERVICE, token_of(snowflake_state).secret)
    assert snowflake.requests.count("logout") == 1


def test_a_certificate_that_is_not_trusted_is_no_refusal(
    snowflake: SnowflakeServer, snowflake_state: SnowflakeState, tmp_path: Path
) -> None:
    with (
        SnowflakeServer(snowflake_state, folder=tmp_path) as other,
        pytest.raises(SnowflakeUnreachable, match="certificate verify failed"),
    ):
        sign_in_with_password(connection(other.port), SERVICE, WRONG)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (AnyRefusal("390999", "Words that nobody has seen yet."), "Words that nobody has seen yet. (code 390999)"),
        (Unwell(403), "Verify the account name is correct"),
        (Unwell(404), "404 Not Found"),
        (RawAnswer(302, "", "text/plain"), "302 Found"),
    ],
    ids=str,
)
def test_an_unknown_answer_counts_as_a_refusal(
    snowflake: SnowflakeServer, snowflake_state: SnowflakeState, fault: Fault, told: str
) -> None:
    snowflake.faults.script("login", [fault])
    with pytest.raises(SnowflakeRefused) as refused:
        sign_in_with_password(connection(snowflake.port), SERVICE, token_of(snowflake_state).secret)
    assert refused.value.refusal is None
    assert told in str(refused.value)
    assert len(logins(snowflake)) == 1


@pytest.mark.parametrize(
    ("login", "secret", "extra", "told"),
    [
        (SERVICE, WRONG, {"account": ""}, "Account must be specified"),
        ("", WRONG, {}, "User is empty"),
        (SERVICE, "", {}, "Password is empty"),
    ],
)
def test_what_is_missing_is_told_without_asking(
    snowflake: SnowflakeServer, login: str, secret: str, extra: dict[str, Any], told: str
) -> None:
    with pytest.raises(SnowflakeRefused, match=told):
        sign_in_with_password(connection(snowflake.port, **extra), login, secret)
    assert not logins(snowflake)


ODD_SECRET = 'a"secret\\with/odd&signs<é> and-more-of-them'


@pytest.mark.parametrize(
    "fault",
    [
        None,
        AnyRefusal("394400", f"Programmatic access token {ODD_SECRET} is invalid."),
        AnyRefusal("390999", json.dumps({"PASSWORD": ODD_SECRET})),
        Unwell(503),
        RawAnswer(200, "null", "application/json"),
        RawAnswer(200, "[]", "application/json"),
        RawAnswer(200, "<html>", "text/html"),
        HalfBody(),
        ResetAfter(),
    ],
    ids=str,
)
@pytest.mark.parametrize("secret", [WRONG, ODD_SECRET])
def test_the_secret_is_nowhere(
    snowflake: SnowflakeServer, caplog: pytest.LogCaptureFixture, fault: Fault | None, secret: str
) -> None:
    if fault is not None:
        snowflake.faults.script("login", [fault])
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises((SnowflakeRefused, SnowflakeUnreachable)) as raised,
    ):
        sign_in_with_password(connection(snowflake.port, role=ROLE), SERVICE, secret)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    scanner = Scanner({"secret": secret})
    assert not scanner.data(f"{raised.value} {raised.value!r} {vars(raised.value)} {raised.value.args}", "the error")
    assert any(record.name.startswith("snowflake.connector") for record in caplog.records)
    assert not scanner.data(caplog.text, "the log")
    assert not [record for record in caplog.records if scanner.data(repr(vars(record)), "a record")]


def test_a_good_secret_is_nowhere_either(
    snowflake: SnowflakeServer, snowflake_state: SnowflakeState, caplog: pytest.LogCaptureFixture
) -> None:
    secret = token_of(snowflake_state).secret
    with caplog.at_level(logging.DEBUG):
        sign_in_with_password(connection(snowflake.port), SERVICE, secret)
    assert "Snowflake let TABLEAU_ETL in." in caplog.text
    assert not Scanner({"secret": secret}).data(caplog.text, "the log")


def test_airflows_masker_knows_the_secret(snowflake: SnowflakeServer) -> None:
    with pytest.raises(SnowflakeRefused):
        sign_in_with_password(connection(snowflake.port), SERVICE, WRONG)
    assert redact(f"sent {WRONG}") == "sent ***"


@pytest.mark.parametrize("missing", ["airflow.providers.snowflake.hooks.snowflake", "snowflake"])
def test_what_is_not_installed_is_told_plainly(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SnowflakeDriverMissing, match=r"install apache-airflow-providers-snowflake 6\.20 or newer"):
        sign_in_with_password(connection(1), SERVICE, WRONG)


def test_a_provider_that_is_too_old_is_told_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SnowflakeHook, "_get_conn_params", property(lambda hook: {}))
    with pytest.raises(SnowflakeDriverMissing):
        sign_in_with_password(connection(1), SERVICE, WRONG)


def test_importing_the_module_does_not_import_the_driver() -> None:
    code = (
        "import sys, credential_rotation.hooks.snowflake\n"
        "slow = ('snowflake.connector', 'airflow.providers.snowflake.hooks')\n"
        "sys.exit(' '.join(name for name in sys.modules if name.startswith(slow)) or 0)"
    )
    done = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, "-c", code], cwd=REPOSITORY / "plugins", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
