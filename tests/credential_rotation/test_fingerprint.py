"""A fingerprint recognises its secret, and tells nothing to who has not the key."""

from __future__ import annotations

import base64
import hashlib

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.execution_time.comms import GetVariable, GetVariableKeys, PutVariable
from airflow.sdk.log import redact

from credential_rotation.fingerprint import Fingerprints, NoFingerprints, fingerprints
from credential_rotation.retry_policy import RotationRetryPolicy
from tests.credential_rotation.hooks.telling import all_that_is_told_by
from tests.credential_rotation.supervising import Supervisor

VARIABLE = "credential_rotation_fingerprint_secret"
SECRETS = ["today's token", "ä𝄞", "x" * 256]


@pytest.mark.parametrize("secret", SECRETS)
def test_it_recognises_its_own_secret_and_no_other(secret: str) -> None:
    ours = Fingerprints(b"a key")
    assert ours.of(secret) == Fingerprints(b"a key").of(secret)
    assert len({ours.of(each) for each in (secret, secret + " ", secret[:-1], secret.upper(), "")}) == 5


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512"])
def test_it_is_neither_the_secret_nor_a_hash_that_anybody_could_make(secret: str, kind: str) -> None:
    text = Fingerprints(b"a key").of(secret)
    assert secret not in text
    assert text[:16] not in hashlib.new(kind, secret.encode()).hexdigest()
    assert text != Fingerprints(b"").of(secret)


def test_another_key_makes_another_fingerprint() -> None:
    assert Fingerprints(b"a key").of("token") != Fingerprints(b"another key").of("token")


def test_the_key_is_not_shown() -> None:
    assert "a key" not in repr(Fingerprints(b"a key"))


def test_the_key_is_made_once_and_kept_in_a_variable_that_airflow_masks(supervisor: Supervisor) -> None:
    first = fingerprints()
    key = supervisor.variables[VARIABLE]
    assert key
    assert len(base64.b64decode(key)) == 32
    assert fingerprints() == first == Fingerprints(key.encode())
    (put,) = [message for message in supervisor.sent if isinstance(message, PutVariable)]
    assert "Deleted, all is updated again" in (put.description or "")
    assert redact({VARIABLE: "anything"}) == {VARIABLE: "***"}


def test_each_airflow_has_a_key_of_its_own(supervisor: Supervisor) -> None:
    first = fingerprints()
    supervisor.variables.clear()
    assert fingerprints() != first


def test_of_two_that_make_a_key_at_once_both_use_the_one_that_stays(supervisor: Supervisor) -> None:
    def somebody_else_is_later(message: PutVariable) -> None:
        supervisor.variables[message.key] = "the key of somebody else"

    supervisor.after_writing = somebody_else_is_later
    assert fingerprints() == Fingerprints(b"the key of somebody else")


def test_the_key_is_masked_wherever_it_appears(supervisor: Supervisor, nothing_masked: None) -> None:
    supervisor.variables[VARIABLE] = "a-key-out-of-a-variable"
    fingerprints()
    assert redact("the key is a-key-out-of-a-variable") == "the key is ***"


def test_a_key_that_a_secrets_backend_in_front_holds_is_taken_and_nothing_is_written(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"AIRFLOW_VAR_{VARIABLE.upper()}", "the key of a vault")
    supervisor.fails = (PutVariable,)
    assert fingerprints() == Fingerprints(b"the key of a vault")


def test_an_empty_key_is_no_key(supervisor: Supervisor) -> None:
    supervisor.variables[VARIABLE] = ""
    assert fingerprints() != Fingerprints(b"")
    assert supervisor.variables[VARIABLE]


def test_an_empty_key_in_front_that_hides_the_one_that_was_made_is_one_clear_error(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"AIRFLOW_VAR_{VARIABLE.upper()}", "")
    with pytest.raises(NoFingerprints, match=f"'{VARIABLE}' was written, and yet is empty"):
        fingerprints()


def test_a_key_that_can_not_be_written_is_one_clear_error_that_tells_no_key(
    supervisor: Supervisor, nothing_masked: None
) -> None:
    supervisor.fails = (PutVariable,)
    with pytest.raises(
        NoFingerprints, match=rf"'{VARIABLE}' can't be written \(API_SERVER_ERROR\).* create it"
    ) as raised:
        fingerprints()
    (put,) = [message for message in supervisor.sent if isinstance(message, PutVariable)]
    assert put.value
    assert put.value not in all_that_is_told_by(raised.value)
    assert redact(f"the key is {put.value}") == "the key is ***"
    assert RotationRetryPolicy().evaluate(raised.value, 1, 4).action is RetryAction.DEFAULT


@pytest.mark.parametrize("fails", [(GetVariable,), (GetVariable, GetVariableKeys)])
def test_a_key_that_can_not_be_read_just_now_is_not_made_anew(supervisor: Supervisor, fails: tuple[type, ...]) -> None:
    """Airflow takes an API server that stumbles for a Variable that is not there."""
    before = fingerprints()
    supervisor.fails = fails
    with pytest.raises(NoFingerprints, match="can't be read"):
        fingerprints()
    supervisor.fails = ()
    assert fingerprints() == before


def test_whoever_may_not_read_it_is_told_so(supervisor: Supervisor) -> None:
    supervisor.denies = (GetVariable,)
    with pytest.raises(NoFingerprints, match=r"can't be read \(AirflowSecretsBackendAccessDenied\)"):
        fingerprints()
    assert supervisor.variables == {}
