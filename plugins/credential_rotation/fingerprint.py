"""Recognises a secret again without keeping it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from airflow.sdk import Variable

from credential_rotation.secrecy import hide_in_logs

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
        text: str | None = Variable.get(_VARIABLE, default=None)
        # An API server that stumbles is told as "not there". Made anew, the key would undo all that is known, and tasks
        # of this run would no longer recognise the tokens of its plan.
        is_unread = text is None and _VARIABLE in list(Variable.keys(prefix=_VARIABLE))
    except Exception as problem:  # noqa: BLE001 - whatever a secrets backend raises
        raise NoFingerprints(f"can't be read ({_kind_of(problem)})") from None
    if is_unread:
        raise NoFingerprints("is there, but can't be read")
    return text


def _make() -> str:
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    # An error may quote it.
    hide_in_logs(key)
    try:
        Variable.set(
            _VARIABLE,
            key,
            description="The key of the fingerprints by which tokens are recognised. Deleted, all is updated again.",
        )
    except Exception as problem:  # noqa: BLE001 - whatever Airflow raises
        raise NoFingerprints(f"can't be written ({_kind_of(problem)})") from None
    # As others see it, for somebody else may have made one at the same time.
    if text := _read():
        return text
    raise NoFingerprints("was written, and yet is empty: a secrets backend in front of Airflow's own says so")


def _kind_of(problem: Exception) -> str:
    """What kind of problem it is; its text may hold anything."""
    error = getattr(problem, "error", None)
    return str(getattr(getattr(error, "error", None), "value", type(problem).__name__))
