"""The administrator's statements, through Airflow's hook and Snowflake's own driver."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
from airflow.sdk.log import redact
from snowflake.connector import errors

from credential_rotation.hooks.snowflake_admin import SnowflakeAdmin, signed_in_as_admin
from credential_rotation.renewal.identifiers import identifier
from credential_rotation.renewal.tokens import UnexpectedAnswer
from credential_rotation.rotation.snowflake_words import Refusal, SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.secrecy import forms_of
from sandbox.snowflake import RefusalAfter, SnowflakeServer, SnowflakeState, WithoutSecret, make_key_pair
from tests.credential_rotation.hooks.telling import all_that_is_told_by
from tests.sandbox_snowflake.small_account import (
    ACCOUNT,
    ADMIN_ROLE,
    KEYS,
    ROLE,
    ROTATOR,
    SERVICE,
    TOKEN,
    account_of,
    service_of,
    token_of,
)

Connect = Callable[..., None]


pytestmark = pytest.mark.usefixtures("nothing_masked")


@pytest.fixture
def connect(snowflake: SnowflakeServer, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Defines the administrator's Airflow connection."""

    def connect(private_key: str = KEYS.private, **changes: Any) -> None:
        extra = {
            "account": ACCOUNT,
            "host": "127.0.0.1",
            "port": snowflake.port,
            "role": ADMIN_ROLE,
            "private_key_content": base64.b64encode(private_key.encode()).decode(),
        }
        said = {"conn_type": "snowflake", "login": ROTATOR, "extra": extra | changes}
        monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_ADMIN", json.dumps(said))

    connect()
    return connect


@pytest.fixture
def admin(connect: Connect) -> Iterator[SnowflakeAdmin]:
    with signed_in_as_admin("snowflake_admin") as admin:
        yield admin


def test_the_tokens_of_a_user_in_both_shapes(admin: SnowflakeAdmin, snowflake_state: SnowflakeState) -> None:
    admin.rotate(SERVICE, TOKEN, 24)
    seen = [admin.tokens(SERVICE)]
    for columns, times in (("reference", "timestamp"), ("guide", "text"), ("reference", "text")):
        snowflake_state.behaviour.show_columns = columns
        snowflake_state.behaviour.show_times = times
        seen.append(admin.tokens(SERVICE))
    for tokens in seen:
        assert [(token.rotated_to, token.status) for token in tokens] == [(None, "ACTIVE"), (TOKEN, "ACTIVE")]
        assert [round((token.expires_at - admin.now()).total_seconds() / 3600) for token in tokens] == [720, 24]


def test_the_time_is_snowflakes(admin: SnowflakeAdmin, snowflake_state: SnowflakeState) -> None:
    snowflake_state.advance(minutes=50)
    assert abs((admin.now() - snowflake_state.clock.now()).total_seconds()) < 60
    assert str(admin.now().tzinfo) == "UTC"


@pytest.mark.parametrize("name", ["svc-etl@acme.example", 'svc "etl"'])
def test_a_user_whose_name_needs_quotes(admin: SnowflakeAdmin, snowflake_state: SnowflakeState, name: str) -> None:
    user = account_of(snowflake_state).add_user(name, roles=[ROLE], network_policy="EVERYONE", managed_by=[ADMIN_ROLE])
    snowflake_state.add_token(user, "TABLEAU", role=ROLE)
    secret = admin.rotate(identifier(name), "TABLEAU", 5).secret
    assert [token.secret for token in user.tokens if token.rotated_to is None] == [secret]
    assert len(admin.tokens(identifier(name))) == 2


def test_a_rotation_gives_the_new_secret_and_leaves_the_one_before_alive(
    admin: SnowflakeAdmin, snowflake_state: SnowflakeState
) -> None:
    before = token_of(snowflake_state).secret
    new = admin.rotate(SERVICE, TOKEN, 5)
    assert new.secret == token_of(snowflake_state).secret != before
    (old,) = [token for token in service_of(snowflake_state).tokens if token.rotated_to == TOKEN]
    assert new.former == old.name
    assert new.secret not in repr(new)
    assert old.secret == before
    assert 4.9 < old.left(snowflake_state.clock.now()).total_seconds() / 3600 <= 5
    assert redact(f"it is {new.secret}") == "it is ***"


def test_a_token_that_is_removed_is_gone(admin: SnowflakeAdmin, snowflake_state: SnowflakeState) -> None:
    admin.remove(SERVICE, TOKEN)
    assert service_of(snowflake_state).tokens == []


def test_each_session_is_a_new_one_and_is_ended(
    connect: Connect, snowflake: SnowflakeServer, snowflake_state: SnowflakeState
) -> None:
    for _ in range(2):
        with signed_in_as_admin("snowflake_admin") as admin:
            admin.tokens(SERVICE)
    with pytest.raises(ZeroDivisionError), signed_in_as_admin("snowflake_admin"):
        _ = 1 / 0
    assert [snowflake.requests.count(operation) for operation in ("login", "logout")] == [3, 3]
    assert {event.first_authentication_factor for event in account_of(snowflake_state).logins} == {"RSA_KEYPAIR"}


@pytest.mark.parametrize("how", ["no_row", "null", "empty", "status"])
def test_success_without_a_secret_is_an_error(admin: SnowflakeAdmin, snowflake: SnowflakeServer, how: str) -> None:
    snowflake.faults.script("rotate_token", WithoutSecret(how))
    with pytest.raises(UnexpectedAnswer, match="is rotated, but gives no secret"):
        admin.rotate(SERVICE, TOKEN, 24)


class TestWhatNobodyMayRead:
    """The secret that Snowflake hands out once."""

    def test_it_is_in_no_log_record_of_any_level(
        self, connect: Connect, caplog: pytest.LogCaptureFixture, nothing_masked: None
    ) -> None:
        for name in ("", "snowflake", "snowflake.connector", "urllib3", "credential_rotation"):
            caplog.set_level(1, logger=name)
        with signed_in_as_admin("snowflake_admin") as admin:
            secret = admin.rotate(SERVICE, TOKEN, 24).secret
            admin.tokens(SERVICE)
        told = "\n".join(f"{record.msg} {record.args} {vars(record)}" for record in caplog.records)
        assert f"ALTER USER {SERVICE} ROTATE PROGRAMMATIC ACCESS TOKEN {TOKEN}" in told
        assert {logging.DEBUG} <= {each.levelno for each in caplog.records if each.name.startswith("snowflake")}
        for form in forms_of(secret):
            assert form not in told

    def test_no_secret_is_in_what_snowflake_is_asked(
        self, admin: SnowflakeAdmin, snowflake_state: SnowflakeState, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="credential_rotation")
        before = token_of(snowflake_state).secret
        secrets = [before, admin.rotate(SERVICE, TOKEN, 24).secret, admin.rotate(SERVICE, TOKEN, 24).secret]
        admin.tokens(SERVICE)
        asked = [record.getMessage() for record in caplog.records if record.name.endswith("snowflake_admin")]
        assert len(asked) == 3
        assert asked[0].endswith(f"ROTATE PROGRAMMATIC ACCESS TOKEN {TOKEN} EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 24")
        assert not any(secret in text for secret in secrets for text in asked)

    def test_it_is_in_no_error(
        self, admin: SnowflakeAdmin, snowflake: SnowflakeServer, snowflake_state: SnowflakeState
    ) -> None:
        snowflake.faults.script("rotate_token", RefusalAfter())
        before = token_of(snowflake_state).secret
        with pytest.raises(SnowflakeRefused) as raised:
            admin.rotate(SERVICE, TOKEN, 24)
        told = all_that_is_told_by(raised.value)
        assert token_of(snowflake_state).secret not in told
        assert before not in told
        assert KEYS.private not in told

    def test_what_the_driver_quotes_of_an_answer_that_it_can_not_read_is_not_passed_on(self) -> None:
        quoting = errors.InterfaceError("Failed to convert: field token_secret: FIXED::the-new-secret", errno=252005)
        with pytest.raises(UnexpectedAnswer, match=f"answer to ALTER USER {SERVICE} ROTATE .* can't be read") as raised:
            SnowflakeAdmin(_Unreadable(quoting)).rotate(SERVICE, TOKEN, 24)
        assert "the-new-secret" not in all_that_is_told_by(raised.value)


class TestErrors:
    """In Snowflake's words, and with what to do."""

    def test_a_user_who_is_not_there(self, admin: SnowflakeAdmin) -> None:
        with pytest.raises(SnowflakeRefused, match=r"refuses SHOW USER .* FOR USER NOBODY: .*does not exist") as raised:
            admin.tokens("NOBODY")
        assert raised.value.refusal is None

    def test_an_administrator_who_may_not(self, admin: SnowflakeAdmin, snowflake_state: SnowflakeState) -> None:
        service_of(snowflake_state).token_managers.clear()
        with pytest.raises(SnowflakeRefused, match=r"refuses ALTER USER .*nsufficient privileges"):
            admin.rotate(SERVICE, TOKEN, 24)

    def test_a_token_that_is_not_there(self, admin: SnowflakeAdmin) -> None:
        with pytest.raises(SnowflakeRefused, match="ANOTHER' does not exist or not authorized"):
            admin.rotate(SERVICE, "ANOTHER", 24)

    def test_too_long_an_overlap(self, admin: SnowflakeAdmin, snowflake_state: SnowflakeState) -> None:
        with pytest.raises(SnowflakeRefused, match="EXPIRE_ROTATED_TOKEN_AFTER_HOURS"):
            admin.rotate(SERVICE, TOKEN, 24 * 40)
        assert len(service_of(snowflake_state).tokens) == 1

    def test_a_key_pair_that_is_not_the_administrators(self, connect: Connect, snowflake_state: SnowflakeState) -> None:
        other = make_key_pair()
        connect(other.private)
        with (
            pytest.raises(
                SnowflakeRefused, match=r"'snowflake_admin': JWT token is invalid.* RSA_PUBLIC_KEY"
            ) as raised,
            signed_in_as_admin("snowflake_admin"),
        ):
            pass
        assert raised.value.refusal is Refusal.KEY_PAIR_INVALID
        assert other.private.splitlines()[1] not in all_that_is_told_by(raised.value)

    @pytest.mark.parametrize(
        "changes",
        [
            {"private_key_content": "no-key-at-all"},
            {"private_key_content": None, "private_key_file": "/no/such/file.p8"},
        ],
    )
    def test_a_key_that_can_not_be_read_names_the_connection_and_not_the_key(
        self, connect: Connect, changes: dict[str, object]
    ) -> None:
        connect(**changes)
        with (
            pytest.raises(SnowflakeRefused, match="'snowflake_admin' can't sign in: check extra") as raised,
            signed_in_as_admin("snowflake_admin"),
        ):
            pass
        assert "no-key-at-all" not in all_that_is_told_by(raised.value)

    def test_an_address_that_the_network_policy_keeps_out(
        self, connect: Connect, snowflake_state: SnowflakeState
    ) -> None:
        account_of(snowflake_state).network_policy = "EVERYONE"
        snowflake_state.client_addresses["airflow"] = "203.0.113.99"
        with (
            pytest.raises(SnowflakeRefused, match=r"203\.0\.113\.99 is not allowed to access Snowflake") as raised,
            signed_in_as_admin("snowflake_admin"),
        ):
            pass
        assert raised.value.refusal is Refusal.NETWORK_BLOCKED

    def test_a_role_that_is_not_granted(self, connect: Connect) -> None:
        connect(role="ACCOUNTADMIN")
        with (
            pytest.raises(SnowflakeRefused, match="must be granted to the user") as raised,
            signed_in_as_admin("snowflake_admin"),
        ):
            pass
        assert raised.value.refusal is Refusal.ROLE_NOT_GRANTED

    @pytest.mark.parametrize(
        "error",
        [
            errors.OperationalError("250001 (08001): Could not connect to Snowflake backend after 2 attempt(s)."),
            errors.HttpError(msg="HTTP 503: Service Unavailable", errno=290503),
            errors.HttpError(msg="HTTP 500: Internal Server Error", errno=290500),
        ],
    )
    def test_what_could_not_be_asked_has_not_refused(self, error: Exception) -> None:
        with pytest.raises(SnowflakeUnreachable, match="could not be asked for ALTER USER") as raised:
            SnowflakeAdmin(_Failing(error)).rotate(SERVICE, TOKEN, 24)
        assert raised.value.__context__ is None

    @pytest.mark.parametrize(
        "error",
        [
            errors.ProgrammingError("001003 (42000): SQL compilation error: syntax error", errno=1003),
            errors.DatabaseError("394400 (08001): Programmatic access token is invalid.", errno=394400),
            errors.OperationalError("250001 (08001): Network policy is required."),
            errors.HttpError(msg="HTTP 403: Forbidden", errno=290403),
        ],
    )
    def test_what_snowflake_says_otherwise_is_a_no(self, error: Exception) -> None:
        with pytest.raises(SnowflakeRefused, match="refuses ALTER USER"):
            SnowflakeAdmin(_Failing(error)).rotate(SERVICE, TOKEN, 24)


class _Failing:
    """A session whose statements fail."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def cursor(self, _: Any) -> _Failing:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, _: str) -> Self:
        raise self._error


class _Unreadable(_Failing):
    """A session whose statements are done, and whose answers can't be read."""

    def execute(self, _: str) -> Self:
        return self

    def fetchall(self) -> None:
        raise self._error
