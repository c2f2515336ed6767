"""Snowflake is asked once about a secret, however many ask: five refused sign-ins lock a user."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from airflow.sdk.log import redact

from credential_rotation.hooks.snowflake import SnowflakeDriverMissing
from credential_rotation.rotation.proof import Embedded
from credential_rotation.rotation.snowflake_words import Refusal, SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.snowflake_check import SnowflakeCheck
from sandbox.leaks import Scanner
from sandbox.snowflake import SnowflakeServer, SnowflakeState, Unwell
from tests.credential_rotation.hooks.telling import all_that_is_told_by
from tests.sandbox_snowflake.small_account import ACCOUNT, SERVICE, service_of, small_account, token_of

CONN_ID = "snowflake_etl"
WRONG = "no-token-of-this-user/with+signs="


@pytest.fixture
def account() -> SnowflakeState:
    return small_account()


@pytest.fixture
def snowflake(
    account: SnowflakeState, monkeypatch: pytest.MonkeyPatch, nothing_masked: None
) -> Iterator[SnowflakeServer]:
    with SnowflakeServer(account) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        extra = {"account": ACCOUNT, "host": "127.0.0.1", "port": server.port}
        # What it holds as a password is of no matter: what is asked about is what is, or is to be, embedded.
        fields = {"conn_type": "snowflake", "login": "SOMEBODY", "password": "of-somebody", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(fields))
        yield server


@pytest.fixture
def good(account: SnowflakeState) -> Embedded:
    return Embedded(CONN_ID, SERVICE, token_of(account).secret)


@pytest.fixture
def bad() -> Embedded:
    return Embedded(CONN_ID, SERVICE, WRONG)


def asked(server: SnowflakeServer) -> int:
    return server.requests.count("login")


def outcome(check: SnowflakeCheck, embedded: Embedded) -> str:
    try:
        check.sign_in(embedded)
    except (SnowflakeRefused, SnowflakeUnreachable) as error:
        return f"{type(error).__name__}: {error}"
    return "let in"


def test_a_good_secret_is_let_in_and_asked_about_once(snowflake: SnowflakeServer, good: Embedded) -> None:
    check = SnowflakeCheck()
    assert [outcome(check, good) for _ in range(3)] == ["let in"] * 3
    assert asked(snowflake) == 1


def test_a_refusal_is_told_to_each_and_asked_for_once(
    snowflake: SnowflakeServer, account: SnowflakeState, bad: Embedded
) -> None:
    check = SnowflakeCheck()
    refusals = []
    for _ in range(6):
        with pytest.raises(SnowflakeRefused) as raised:
            check.sign_in(bad)
        refusals.append(raised.value)
    assert {(str(each), each.refusal) for each in refusals} == {(str(refusals[0]), Refusal.TOKEN_INVALID)}
    # One of its own for each: an exception that many threads raise grows a traceback of all of them.
    assert len({id(each) for each in refusals}) == 6
    assert (asked(snowflake), service_of(account).guesses) == (1, 1)


@pytest.mark.parametrize("which", ["good", "bad"])
def test_many_threads_that_ask_at_once_are_one_question(
    snowflake: SnowflakeServer, request: pytest.FixtureRequest, which: str
) -> None:
    embedded: Embedded = request.getfixturevalue(which)
    check = SnowflakeCheck()
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: outcome(check, embedded), range(64)))
    assert len(set(outcomes)) == 1
    assert (outcomes[0] == "let in") is (which == "good")
    assert asked(snowflake) == 1


def test_each_secret_and_each_user_is_a_question_of_its_own(
    snowflake: SnowflakeServer, good: Embedded, bad: Embedded
) -> None:
    check = SnowflakeCheck()
    another_user = Embedded(CONN_ID, "NOBODY", good.secret)
    outcomes = [outcome(check, each) for each in (bad, good, another_user, bad, good, another_user)]
    assert outcomes[:3] == outcomes[3:]
    assert outcomes[1] == "let in"
    assert SERVICE in outcomes[0]
    assert "NOBODY" in outcomes[2]
    assert asked(snowflake) == 3


def test_a_snowflake_that_could_not_be_asked_may_be_asked_again(snowflake: SnowflakeServer, good: Embedded) -> None:
    snowflake.faults.script("login", [Unwell(503), Unwell(503)])
    check = SnowflakeCheck()
    for _ in range(2):
        with pytest.raises(SnowflakeUnreachable):
            check.sign_in(good)
    check.sign_in(good)
    check.sign_in(good)
    assert asked(snowflake) == 3


def test_another_task_asks_anew(snowflake: SnowflakeServer, account: SnowflakeState, bad: Embedded) -> None:
    for number in (1, 2):
        with pytest.raises(SnowflakeRefused):
            SnowflakeCheck().sign_in(bad)
        assert asked(snowflake) == service_of(account).guesses == number


def test_an_airflow_connection_that_is_gone_is_a_refusal(
    snowflake: SnowflakeServer, good: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{CONN_ID.upper()}")
    check = SnowflakeCheck()
    for _ in range(2):
        with pytest.raises(SnowflakeRefused, match=f"There is no Airflow connection '{CONN_ID}' any more") as raised:
            check.sign_in(good)
        assert raised.value.refusal is None
    assert asked(snowflake) == 0


def test_without_a_driver_it_is_neither_a_yes_nor_a_no(
    snowflake: SnowflakeServer, good: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = SnowflakeCheck()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "snowflake", None)
        with pytest.raises(SnowflakeDriverMissing):
            check.sign_in(good)
    check.sign_in(good)
    assert asked(snowflake) == 1


def test_the_secret_is_nowhere(
    snowflake: SnowflakeServer, good: Embedded, bad: Embedded, caplog: pytest.LogCaptureFixture
) -> None:
    check = SnowflakeCheck()
    told = []
    with caplog.at_level(logging.DEBUG):
        check.sign_in(good)
        for _ in range(2):
            with pytest.raises(SnowflakeRefused) as raised:
                check.sign_in(bad)
            told.append(all_that_is_told_by(raised.value))
    assert f"'{CONN_ID}': {SERVICE} can sign in to Snowflake from here." in caplog.text
    scanner = Scanner({"good": good.secret, "bad": bad.secret})
    assert not scanner.data("\n".join([*told, caplog.text, repr(good), repr(bad)]), "what was told")
    assert redact(f"{good.secret} and {bad.secret}") == "*** and ***"
