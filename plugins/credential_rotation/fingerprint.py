"""Recognises a secret again without keeping it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from credential_rotation.secrecy import hide_in_logs
from credential_rotation.variables import VariableTrouble, read_variable, write_variable

# "secret" in the name makes Airflow's UI and logs mask the value.
_VARIABLE = "credential_rotation_fingerprint_secret"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Fingerprints:
    """Makes fingerprints: texts by which a secret is recognised, and that tell nothing to who has not the key."""

    key: bytes = field(repr=False)

    def of(self, secret: str) -> str:
        """The fingerprint of a secret, the same each time."""
        return hmac.new(self.key, secret.encode(), hashlib.sha256).hexdigest()[:32]


class NoFingerprints(RuntimeError):
    """The key of the fingerprints can't be had; a later try may help."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The Airflow Variable '{_VARIABLE}' {problem}. It is the key of the fingerprints by which tokens are "
            "recognised. Tasks make it when it is not there; where they may not, create it: a long random text."
        )


def fingerprints() -> Fingerprints:
    """Fingerprints under this Airflow's own key, which is made when it is first needed.

    It is kept in an Airflow Variable, which Airflow encrypts. Without that, no fingerprint is known any more: then
    every connection is updated again.

    :raises NoFingerprints: when it can be neither read nor made
    """
    key = _read() or _make()
    hide_in_logs(key)
    return Fingerprints(key.encode())


def _read() -> str | None:
    try:
        # Taken for "not there" and made anew, the key would undo all that is known, and tasks of this run would no
        # longer recognise the tokens of its plan.
        return read_variable(_VARIABLE)
    except VariableTrouble as problem:
        raise NoFingerprints(str(problem)) from None


def _make() -> str:
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    # An error may quote it.
    hide_in_logs(key)
    why = "The key of the fingerprints by which tokens are recognised. Deleted, all is updated again."
    try:
        write_variable(_VARIABLE, key, why)
    except VariableTrouble as problem:
        raise NoFingerprints(str(problem)) from None
    # As others see it, for somebody else may have made one at the same time.
    if text := _read():
        return text
    raise NoFingerprints("was written, and yet is empty: a secrets backend in front of Airflow's own says so")
