"""A programmatic access token as Snowflake keeps it, and the text that is its secret."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

MAX_TOKENS = 15  # disabled and rotated ones included, expired ones not
DEFAULT_DAYS = 15
MAX_DAYS = 365
DEFAULT_OVERLAP_HOURS = 24
MAX_BYPASS_MINUTES = 1440


class TokenStatus(StrEnum):
    """The words of SHOW."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    DISABLED = "DISABLED"


@dataclass(eq=False)
class AccessToken:
    """One token. Rotating makes two of it: the new secret keeps name and object, the old one gets its own."""

    id: int  # CREDENTIALS.credential_id
    name: str
    secret: str
    days_to_expiry: float
    created_on: datetime
    created_by: str
    expires_at: datetime
    role_restriction: str | None = None
    comment: str | None = None
    disabled: bool = False
    rotated_to: str | None = None  # the live token's name, in the old one
    bypass_until: datetime | None = None  # until then no network policy is required (persons only)
    last_used_on: datetime | None = None

    def status(self, now: datetime) -> TokenStatus:
        """An expired token stays expired, whatever else it is."""
        if now >= self.expires_at:
            return TokenStatus.EXPIRED
        return TokenStatus.DISABLED if self.disabled else TokenStatus.ACTIVE

    def left(self, now: datetime) -> timedelta:
        """How long it still lives."""
        return max(self.expires_at - now, timedelta())

    def bypass_minutes(self, now: datetime) -> int | None:
        """What is left of the bypass, in minutes."""
        if self.bypass_until is None or self.bypass_until <= now:
            return None
        return -(-int((self.bypass_until - now).total_seconds()) // 60)


def new_secret(random: Random, token_id: int, expires_at: datetime) -> str:
    """A JSON Web Token by its looks, as Snowflake's are: header, payload and signature in base64url."""
    header = {"kid": str(random.randrange(10**10, 10**11)), "alg": "ES256"}
    payload = {"p": f"{random.randrange(10**8)}:{token_id}", "iss": "SF:1049", "exp": int(expires_at.timestamp())}
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in [*parts, random.randbytes(64)])
