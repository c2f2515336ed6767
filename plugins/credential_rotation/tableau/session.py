"""A Tableau session, and how it is sealed for storage."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import asdict, dataclass, field
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from credential_rotation.tableau.settings import TableauSettings
from credential_rotation.tableau.versions import ApiVersion


@dataclass(frozen=True)
class TableauSession:
    """What signing in gave us. ``signed_in_by`` names the run that did it, and so may end it."""

    token: str = field(repr=False)
    site_id: str
    user_id: str
    api_version: str
    signed_in_by: str = ""

    @property
    def version(self) -> ApiVersion:
        """The REST API version that this session uses."""
        return ApiVersion.parse(self.api_version)


class SessionSeal:
    """Encrypts a session with a key that is derived from the sign-in's own secret and identity.

    So a stored session is unreadable even where Airflow has no Fernet key, and it becomes void by itself when the
    secret, the user, the server or the site changes.
    """

    def __init__(self, settings: TableauSettings) -> None:
        self._key_material = "\0".join([settings.secret, settings.identity, settings.site_key]).encode()

    def seal(self, session: TableauSession) -> str:
        """The session as a text that may be stored."""
        return self.seal_text(json.dumps(asdict(session)))

    def open(self, text: str) -> TableauSession | None:
        """The session in a stored text; None when it was sealed for another sign-in, or is no such text."""
        opened = self.open_text(text)
        try:
            return TableauSession(**json.loads(opened)) if opened else None
        except (ValueError, TypeError):
            return None

    def seal_text(self, text: str) -> str:
        """Any text, sealed."""
        salt = os.urandom(16)
        sealed = Fernet(_derive(self._key_material, salt)).encrypt(text.encode())
        return f"{base64.urlsafe_b64encode(salt).decode()}.{sealed.decode()}"

    def open_text(self, text: str) -> str | None:
        """What was sealed; None when it was sealed for another sign-in, or is no sealed text."""
        salt, dot, sealed = text.partition(".")
        try:
            key = _derive(self._key_material, base64.urlsafe_b64decode(salt))
            return Fernet(key).decrypt(sealed.encode()).decode() if dot else None
        except (InvalidToken, ValueError, TypeError):
            return None


@lru_cache(maxsize=32)
def _derive(material: bytes, salt: bytes) -> bytes:
    # Slow on purpose (tens of milliseconds, once per sign-in and process): the secret may be a weak password.
    return base64.urlsafe_b64encode(Scrypt(salt=salt, length=32, n=2**14, r=8, p=1).derive(material))
