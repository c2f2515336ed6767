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


def fingerprints() -> Fingerprints:
    """Fingerprints under this Airflow's own key, which is made when it is first needed.

    It is kept in an Airflow Variable, which Airflow encrypts. Without that, no fingerprint is known any more: then
    every connection is updated again.
    """
    text: str | None = Variable.get(_VARIABLE, default=None)
    if not text:
        Variable.set(
            _VARIABLE,
            base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode(),
            description="The key of the fingerprints by which tokens are recognised. Deleted, all is updated again.",
        )
        # As others see it, for somebody else may have made one at the same time.
        text = str(Variable.get(_VARIABLE))
    hide_in_logs(text)
    return Fingerprints(text.encode())
