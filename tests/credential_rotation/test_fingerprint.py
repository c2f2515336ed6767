"""A fingerprint recognises its secret, and tells nothing to who has not the key."""

from __future__ import annotations

import base64
import hashlib

import pytest
from airflow.sdk.execution_time.comms import PutVariable
from airflow.sdk.log import redact

from credential_rotation.fingerprint import Fingerprints, fingerprints
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
