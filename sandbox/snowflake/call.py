"""One request as the endpoints see it."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sandbox.snowflake.errors import SnowflakeError
from sandbox.snowflake.operations import PATHS
from sandbox.snowflake.parser import parse
from sandbox.snowflake.statements import ShowTokens, Statement, UserStatement

TOKEN = re.compile(r'Snowflake Token="([^"]*)"')


class BadRequest(Exception):
    """What no driver sends."""


@dataclass
class Call:
    """A request: what the path, the query, the headers and the body said."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    raw_body: bytes

    @cached_property
    def body(self) -> dict[str, Any]:
        """The body, which drivers compress."""
        raw = self.raw_body
        try:
            if self.headers.get("content-encoding") == "gzip":
                raw = gzip.decompress(raw)
            said = json.loads(raw) if raw.strip() else {}
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise BadRequest(f"the body is no JSON: {error}") from error
        if not isinstance(said, dict):
            raise BadRequest("the body is no JSON object")
        return said

    @property
    def login(self) -> dict[str, Any]:
        """The `data` of a login request."""
        data = self.body.get("data")
        if not isinstance(data, dict):
            raise BadRequest("the login request has no data")
        return data

    @property
    def token(self) -> str | None:
        """The session token, or the master token, of the Authorization header."""
        found = TOKEN.fullmatch(self.headers.get("authorization", ""))
        return found[1] if found else None

    @property
    def request_id(self) -> str:
        """Under which the driver repeats a statement whose answer was lost."""
        return self.query.get("requestId", "")

    @cached_property
    def statement(self) -> Statement | SnowflakeError:
        """The statement, or why it is none."""
        try:
            return parse(str(self.body.get("sqlText", "")))
        except SnowflakeError as error:
            return error

    @property
    def operation(self) -> str | None:
        """What this request does; None: no such endpoint."""
        name = PATHS.get((self.method, self.path))
        if name != "query":
            return name
        return self.statement.operation if isinstance(self.statement, Statement) else Statement.operation

    @property
    def parameters(self) -> dict[str, str]:
        """What faults and the request log can tell it by: user, token, authenticator."""
        if self.operation == "login":
            authenticator = str(self.login.get("AUTHENTICATOR") or "PASSWORD")
            return {"user": str(self.login.get("LOGIN_NAME", "")).upper(), "authenticator": authenticator.upper()}
        if PATHS.get((self.method, self.path)) != "query" or not isinstance(self.statement, UserStatement | ShowTokens):
            return {}
        named = {"user": self.statement.user, "token": getattr(self.statement, "token", None)}
        return {name: value for name, value in named.items() if value}
