"""Key-pair sign-in: the claims and the signature of the JSON Web Token that a driver sends.

The reasons and their codes: https://docs.snowflake.com/en/user-guide/key-pair-auth-troubleshooting
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.snowflake.account import Account, User

MAX_AGE_SECONDS = 60
RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512"})
EC_ALGORITHMS = frozenset({"ES256", "ES384", "ES512"})

GENERAL = ("390144", "JWT_TOKEN_INVALID")
UNKNOWN_USER = ("394300", "JWT_TOKEN_INVALID_USER_IN_ISSUER")
NO_TIMES = ("394301", "JWT_TOKEN_MISSING_ISSUE_OR_EXPIRATION_TIME")
TOO_OLD = ("394302", "JWT_TOKEN_INVALID_ISSUE_TIME")
EXPIRED = ("394303", "JWT_TOKEN_INVALID_EXPIRATION_TIME")
OTHER_KEY = ("394304", "JWT_TOKEN_INVALID_PUBLIC_KEY_FINGERPRINT_MISMATCH")
OTHER_ALGORITHM = ("394305", "JWT_TOKEN_INVALID_ALGORITHM")
BAD_SIGNATURE = ("394306", "JWT_TOKEN_INVALID_SIGNATURE")
OTHER_ACCOUNT = ("394307", "JWT_TOKEN_ACCOUNT_MISMATCH")


class JwtRefused(Exception):
    """Why, as code and word."""

    def __init__(self, detail: tuple[str, str]) -> None:
        super().__init__(detail[1])
        self.detail = detail


def check(token: str, account: Account, user: User | None) -> None:
    """Raise `JwtRefused` unless this token was made for this account and user, now, with a key of the user's."""
    try:
        algorithm = jwt.get_unverified_header(token)["alg"]
        claims = jwt.decode(token, options={"verify_signature": False})
        issuer, subject = str(claims["iss"]), str(claims["sub"])
    except (jwt.InvalidTokenError, KeyError) as error:
        raise JwtRefused(GENERAL) from error
    named, _, fingerprint = issuer.rpartition(".")
    account_name, _, user_name = named.partition(".")
    if not account.is_called(account_name):
        raise JwtRefused(OTHER_ACCOUNT)
    if user is None or user_name.casefold() != user.name.casefold():
        raise JwtRefused(UNKNOWN_USER)
    if subject != named:
        raise JwtRefused(GENERAL)
    _check_times(claims)
    key = _key_with(fingerprint, user)
    if algorithm not in (RSA_ALGORITHMS if isinstance(key, RSAPublicKey) else EC_ALGORITHMS):
        raise JwtRefused(OTHER_ALGORITHM)
    try:
        jwt.decode(token, key, algorithms=[algorithm], options={"verify_exp": False, "verify_iat": False})
    except jwt.InvalidTokenError as error:
        raise JwtRefused(BAD_SIGNATURE) from error


def _check_times(claims: dict[str, Any]) -> None:
    """By the real clock, for the driver knows no other, however far a test has moved the sandbox's."""
    now = datetime.now(UTC).timestamp()
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int | float) or not isinstance(expires, int | float):
        raise JwtRefused(NO_TIMES)
    if now > expires:
        raise JwtRefused(EXPIRED)
    if abs(now - issued) > MAX_AGE_SECONDS:
        raise JwtRefused(TOO_OLD)


def _key_with(fingerprint: str, user: User) -> RSAPublicKey | EllipticCurvePublicKey:
    for key in map(load_public_key, user.public_keys):
        if fingerprint_of(key) == fingerprint:
            return key
    raise JwtRefused(OTHER_KEY)


def load_public_key(text: str) -> RSAPublicKey | EllipticCurvePublicKey:
    """A public key in PEM, or the base64 in it, which is what ALTER USER SET RSA_PUBLIC_KEY takes."""
    if "-----BEGIN" in text:
        key = serialization.load_pem_public_key(text.encode())
    else:
        key = serialization.load_der_public_key(base64.b64decode(text))
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        raise TypeError("Snowflake takes RSA and elliptic-curve keys only")
    return key


def fingerprint_of(key: RSAPublicKey | EllipticCurvePublicKey) -> str:
    """The form of DESCRIBE USER's RSA_PUBLIC_KEY_FP and of the issuer claim."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()
