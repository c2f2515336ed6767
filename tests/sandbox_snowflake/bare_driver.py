"""A driver with nothing in it: what goes over the wire stands in the test."""

from __future__ import annotations

import gzip
import json
import uuid
from typing import Any

import requests

from sandbox.snowflake import SnowflakeServer
from tests.sandbox_snowflake.small_account import ACCOUNT, ADMIN, ADMIN_PASSWORD

Row = dict[str, str | None]


class Refused(Exception):
    """An answer with `success: false`."""

    def __init__(self, reply: dict[str, Any]) -> None:
        super().__init__(f"{reply['code']}: {reply['message']}")
        self.code = reply["code"]
        self.message = reply["message"]
        self.data = reply["data"]


class BareDriver:
    """One client of a server, and the session it has if it has one."""

    def __init__(self, server: SnowflakeServer) -> None:
        self.server = server
        self.http = requests.Session()
        self.http.trust_env = False  # it trusts the server's authority, whatever the environment says
        if server.authority is not None:
            self.http.verify = str(server.ca_file)
        self.token: str | None = None
        self.master_token: str | None = None

    def send(self, path: str, body: dict[str, Any], token: str | None = None) -> requests.Response:
        """POST, compressed as drivers do it."""
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        if token is not None:
            headers["Authorization"] = f'Snowflake Token="{token}"'
        url = f"{self.server.url}{path}"
        return self.http.post(url, data=gzip.compress(json.dumps(body).encode()), headers=headers, timeout=10)

    def call(self, path: str, body: dict[str, Any], token: str | None = None) -> Any:
        """POST; the data of what worked."""
        reply = self.send(path, body, token).json()
        if not reply["success"]:
            raise Refused(reply)
        return reply["data"]

    def sign_in(
        self, user: str = ADMIN, password: str = ADMIN_PASSWORD, *, role: str = "", client: str = "", **data: Any
    ) -> dict[str, Any]:
        """Sign in, by password unless `data` names an authenticator."""
        said = {"ACCOUNT_NAME": ACCOUNT, "LOGIN_NAME": user, "CLIENT_ENVIRONMENT": {"APPLICATION": client}, **data}
        if "AUTHENTICATOR" not in said:
            said["PASSWORD"] = password
        path = "/session/v1/login-request?request_id=1" + (f"&roleName={role}" if role else "")
        got: dict[str, Any] = self.call(path, {"data": said})
        self.token, self.master_token = got["token"], got["masterToken"]
        return got

    def sql(self, text: str, *, request_id: str | None = None, **body: Any) -> list[Row]:
        """Execute; the rows by column name."""
        path = f"/queries/v1/query-request?requestId={request_id or uuid.uuid4()}"
        data = self.call(path, {"sqlText": text, **body}, self.token)
        names = [column["name"] for column in data["rowtype"]]
        return [dict(zip(names, row, strict=True)) for row in data["rowset"]]
