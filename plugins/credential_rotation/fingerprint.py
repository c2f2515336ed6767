"""Recognises a secret again without keeping it."""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt


def fingerprint(secret: str) -> str:
    """A text by which the secret can be recognised and from which it can't be found: salted, and slow to try out."""
    salt = os.urandom(16)
    return f"{base64.b64encode(salt).decode()}.{base64.b64encode(_scrypt(salt).derive(secret.encode())).decode()}"


def is_of(text: str, secret: str) -> bool:
    """Whether a fingerprint is that of the secret."""
    salt, _, key = text.partition(".")
    try:
        _scrypt(base64.b64decode(salt)).verify(secret.encode(), base64.b64decode(key))
    except InvalidKey:
        return False
    return True


def _scrypt(salt: bytes) -> Scrypt:
    return Scrypt(salt=salt, length=32, n=2**14, r=8, p=1)
