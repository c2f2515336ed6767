"""Who signed in with what: the rows of LOGIN_HISTORY."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Factor(StrEnum):
    """The words of `first_authentication_factor`."""

    PASSWORD = "PASSWORD"
    KEY_PAIR = "RSA_KEYPAIR"
    TOKEN = "PROGRAMMATIC_ACCESS_TOKEN"


@dataclass(frozen=True)
class LoginEvent:
    """One attempt. `client` and `token_name` are the sandbox's: Snowflake shows an address and a credential id."""

    event_id: int
    event_timestamp: datetime
    user_name: str | None
    client: str
    client_ip: str
    reported_client_type: str
    reported_client_version: str
    first_authentication_factor: Factor
    first_authentication_factor_id: int | None
    token_name: str | None
    is_success: bool
    error_code: str | None = None
    error_message: str | None = None
    uuid: str = ""  # what the client was shown in its place

    def as_json(self) -> dict[str, Any]:
        """All of it: there is no secret in here."""
        return {**vars(self), "event_timestamp": self.event_timestamp.isoformat()}
