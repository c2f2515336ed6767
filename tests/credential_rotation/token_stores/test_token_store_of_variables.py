"""Tokens in Airflow Variables: never as plain text, never lost in silence, never told."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from airflow.sdk.execution_time.comms import GetVariable, GetVariableKeys, PutVariable
from airflow.sdk.log import redact

from credential_rotation.secrecy import forms_of
from credential_rotation.settings import Settings
from credential_rotation.token_stores.chosen import chosen_store
from credential_rotation.token_stores.kept import KeptToken, KeptTokens, StoreUnusable
from credential_rotation.token_stores.variable import VariableTokenStore
from tests.credential_rotation.hooks.telling import all_that_is_told_by
from tests.credential_rotation.supervising import Supervisor

KEY = "credential_rotation_token_of_etl"
OLD = KeptToken("the-old-secret/+\"'", "TABLEAU", "2026-12-01T00:00:00+00:00", is_renewed=False)
NEW = KeptToken("the-new-secret", "TABLEAU")
NEWER = KeptToken("the-newer-secret", "TABLEAU", "2027-01-01T00:00:00+00:00")

pytestmark = pytest.mark.usefixtures("nothing_masked")


def make() -> VariableTokenStore:
    return VariableTokenStore("a fernet key")


def test_nothing_is_kept_at_first(supervisor: Supervisor) -> None:
    assert make().read("etl") is None


def test_what_is_kept_is_there_for_whoever_reads_next(supervisor: Supervisor) -> None:
    make().adopt("etl", OLD)
    assert make().read("etl") == KeptTokens(OLD)
    make().keep_pending("etl", NEW)
    assert make().read("etl") == KeptTokens(OLD, pending=NEW)
    make().keep_pending("etl", NEWER)
    assert make().read("etl") == KeptTokens(OLD, pending=NEWER)
    make().promote("etl")
    assert make().read("etl") == KeptTokens(NEWER, previous=OLD)
    make().keep_pending("etl", NEW)
    assert make().read("etl") == KeptTokens(NEWER, previous=OLD, pending=NEW)
    make().drop_pending("etl")
    assert make().read("etl") == KeptTokens(NEWER, previous=OLD)
    assert list(supervisor.variables) == [KEY]


def test_each_credential_has_its_own(supervisor: Supervisor) -> None:
    make().adopt("etl", OLD)
    make().adopt("etl_2", NEW)
    assert make().read("etl") == KeptTokens(OLD)
    assert make().read("etl_") is None


def test_each_change_is_one_write(supervisor: Supervisor) -> None:
    make().adopt("etl", OLD)
    make().keep_pending("etl", NEW)
    make().promote("etl")
    assert sum(isinstance(message, PutVariable) for message in supervisor.sent) == 3


def test_what_begins_again_forgets_the_rest(supervisor: Supervisor) -> None:
    make().adopt("etl", OLD)
    make().keep_pending("etl", NEW)
    make().adopt("etl", NEWER)
    assert make().read("etl") == KeptTokens(NEWER)


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.keep_pending("etl", NEW),
        lambda store: store.promote("etl"),
        lambda store: store.drop_pending("etl"),
    ],
)
def test_what_was_deleted_meanwhile_can_not_be_changed(
    supervisor: Supervisor, change: Callable[[VariableTokenStore], None]
) -> None:
    with pytest.raises(StoreUnusable, match="Nothing is kept of 'etl' any more"):
        change(make())
    assert supervisor.variables == {}


def test_without_a_pending_one_nothing_becomes_current(supervisor: Supervisor) -> None:
    make().adopt("etl", OLD)
    with pytest.raises(StoreUnusable, match="no pending token of 'etl'"):
        make().promote("etl")
    assert make().read("etl") == KeptTokens(OLD)


def test_without_a_fernet_key_nothing_is_written(supervisor: Supervisor) -> None:
    with pytest.raises(StoreUnusable, match="no Fernet key") as raised:
        VariableTokenStore("").adopt("etl", OLD)
    assert supervisor.variables == {}
    assert OLD.secret not in all_that_is_told_by(raised.value)


@pytest.mark.parametrize("fails", [(GetVariable,), (GetVariable, GetVariableKeys)])
def test_what_can_not_be_read_just_now_is_never_taken_for_nothing(
    supervisor: Supervisor, fails: tuple[type, ...]
) -> None:
    make().adopt("etl", OLD)
    before = dict(supervisor.variables)
    supervisor.fails = fails
    for act in (VariableTokenStore.read, VariableTokenStore.promote, VariableTokenStore.drop_pending):
        with pytest.raises(StoreUnusable, match=f"'{KEY}' .*can't be read") as raised:
            act(make(), "etl")
        assert OLD.secret not in all_that_is_told_by(raised.value)
    assert supervisor.variables == before


def test_whoever_may_not_read_is_told_so(supervisor: Supervisor) -> None:
    supervisor.denies = (GetVariable,)
    with pytest.raises(StoreUnusable, match=r"can't be read \(AirflowSecretsBackendAccessDenied\)"):
        make().read("etl")


def test_what_another_version_has_kept_besides_is_passed_over(supervisor: Supervisor) -> None:
    supervisor.variables[KEY] = '{"current": {"secret": "a-secret-all-the-same", "name": "TABLEAU", "formers": []}}'
    assert make().read("etl") == KeptTokens(KeptToken("a-secret-all-the-same", "TABLEAU"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON, but a-secret-all-the-same",
        "[]",
        "{}",
        "null",
        '"a-secret-all-the-same"',
        '{"current": null}',
        '{"current": "a-secret-all-the-same"}',
        '{"current": {"secret": "a-secret-all-the-same"}}',
        '{"current": {"secret": 12345678, "name": "TABLEAU"}}',
        '{"current": {"secret": "", "name": "TABLEAU"}}',
        '{"pending": {"secret": "a-secret-all-the-same", "name": "TABLEAU"}}',
    ],
)
def test_something_else_in_it_is_told_and_left_alone(supervisor: Supervisor, text: str) -> None:
    supervisor.variables[KEY] = text
    with pytest.raises(StoreUnusable, match=f"'{KEY}' holds something else than the tokens of 'etl'") as raised:
        make().read("etl")
    assert "a-secret" not in all_that_is_told_by(raised.value)
    with pytest.raises(StoreUnusable):
        make().keep_pending("etl", NEW)
    assert supervisor.variables == {KEY: text}


def test_what_can_not_be_written_is_one_clear_error(supervisor: Supervisor) -> None:
    make().adopt("etl", OLD)
    supervisor.fails = (PutVariable,)
    with pytest.raises(StoreUnusable, match=rf"'{KEY}' can't be written \(API_SERVER_ERROR\)") as raised:
        make().keep_pending("etl", NEW)
    assert OLD.secret not in all_that_is_told_by(raised.value)
    assert NEW.secret not in all_that_is_told_by(raised.value)
    supervisor.fails = ()
    assert make().read("etl") == KeptTokens(OLD)


def test_to_check_writes_what_is_there(supervisor: Supervisor) -> None:
    make().adopt("etl", OLD)
    make().keep_pending("etl", NEW)
    make().check("etl")
    assert make().read("etl") == KeptTokens(OLD, pending=NEW)
    supervisor.fails = (PutVariable,)
    with pytest.raises(StoreUnusable, match="can't be written"):
        make().check("etl")


def test_what_is_written_and_reads_differently_is_told(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    make().adopt("etl", OLD)
    monkeypatch.setenv(f"AIRFLOW_VAR_{KEY.upper()}", supervisor.variables[KEY] or "")
    with pytest.raises(StoreUnusable, match="was written, and reads differently") as raised:
        make().keep_pending("etl", NEW)
    told = all_that_is_told_by(raised.value)
    assert OLD.secret not in told
    assert NEW.secret not in told


def test_secrets_are_masked_when_they_are_written_and_when_they_are_read(supervisor: Supervisor) -> None:
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker  # noqa: PLC0415 (imports Airflow)

    make().adopt("etl", OLD)
    make().keep_pending("etl", NEW)
    for again in (False, True):
        if again:
            reset_secrets_masker()
            make().read("etl")
        for secret in (OLD.secret, NEW.secret):
            for form in forms_of(secret):
                assert redact(f"said: {form}") == "said: ***"


def test_the_whole_variable_is_masked_by_its_name(supervisor: Supervisor) -> None:
    assert redact({KEY: "anything"}) == {KEY: "***"}


def test_a_person_who_finds_the_variable_is_told_what_it_is(supervisor: Supervisor) -> None:
    make().adopt("etl", OLD)
    (put,) = [message for message in supervisor.sent if isinstance(message, PutVariable)]
    assert "the password of the Airflow connection counts again" in (put.description or "")
    assert json.loads(put.value or "").keys() == {"current"}


def test_a_secret_is_in_no_repr() -> None:
    kept = KeptTokens(OLD, previous=NEW, pending=NEWER)
    for token in (OLD, NEW, NEWER):
        assert token.secret not in repr(kept)
        assert token.secret not in repr(token)


@pytest.mark.parametrize(
    ("level", "namespaces", "refuses"),
    [
        ("INFO", "", False),
        ("DEBUG", "", True),
        ("debug", "botocore=INFO", True),
        ("DEBUG", "sqlalchemy=INFO supervisor=INFO", False),
        ("DEBUG", "supervisor = WARNING, botocore=DEBUG", False),
        ("INFO", "botocore=INFO,supervisor=debug", True),
        ("DEBUG", "my.supervisor=INFO", True),
    ],
)
def test_where_airflow_would_log_them_no_token_is_written(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, level: str, namespaces: str, refuses: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", level)
    monkeypatch.setenv("AIRFLOW__LOGGING__NAMESPACE_LEVELS", namespaces)
    store = chosen_store(Settings.from_environment({}))
    if refuses:
        with pytest.raises(StoreUnusable, match="writes each Variable that a task sets into the log"):
            store.adopt("etl", OLD)
    else:
        store.adopt("etl", OLD)
    assert bool([each for each in supervisor.sent if isinstance(each, PutVariable)]) is not refuses
