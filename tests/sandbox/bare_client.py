"""A bare client: everything that goes over the wire stands in the test."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import requests

from sandbox.tableau import (
    ADMIN_PASSWORD,
    ADMIN_USER,
    TABLEAU_PAT_NAME,
    TABLEAU_PAT_SECRET,
    TableauServer,
)

JSON = {"Accept": "application/json"}
BY_PASSWORD = {"name": ADMIN_USER, "password": ADMIN_PASSWORD}
BY_PAT = {"personalAccessTokenName": TABLEAU_PAT_NAME, "personalAccessTokenSecret": TABLEAU_PAT_SECRET}


class BareClient:
    """Requests to the sandbox with nothing in between; a session can be taken by signing in."""

    def __init__(self, server: TableauServer) -> None:
        self.server = server
        self.http = requests.Session()
        self.token: str | None = None
        self.version = "3.26"

    def sign_in(self, credentials: dict[str, Any] | None = None, site: str = "acme") -> requests.Response:
        """Sign in with JSON; a session that comes of it is used from then on."""
        body = {"credentials": {**(BY_PASSWORD if credentials is None else credentials), "site": {"contentUrl": site}}}
        response = self.send("POST", "auth/signin", json=body, headers=JSON)
        if response.ok:
            self.token = response.json()["credentials"]["token"]
        return response

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request below /api/<version>/ with the session's token."""
        headers = {"X-Tableau-Auth": self.token} if self.token else {}
        headers |= options.pop("headers", {})
        url = path if path.startswith("/") else f"/api/{self.version}/{path}"
        options.setdefault("allow_redirects", False)
        return self.http.request(method, self.server.url + url, headers=headers, timeout=10, **options)

    def get(self, path: str, **query: Any) -> requests.Response:
        """A GET below the site."""
        return self.send("GET", f"sites/{self.server.state.site.id}/{path}", params=query)

    def get_json(self, path: str, **query: Any) -> Any:
        """The JSON of a GET below the site."""
        site = self.server.state.site.id
        return self.send("GET", f"sites/{site}/{path}", params=query, headers=JSON).json()

    def put(self, path: str, attributes: str) -> requests.Response:
        """A PUT below the site of one connection with these attributes."""
        body = f"<tsRequest><connection {attributes}/></tsRequest>"
        return self.send("PUT", f"sites/{self.server.state.site.id}/{path}", data=body)

    def post(self, path: str, body: str = "<tsRequest/>") -> requests.Response:
        """A POST below the site."""
        return self.send("POST", f"sites/{self.server.state.site.id}/{path}", data=body)


def error_code(response: requests.Response) -> str:
    """Tableau's error code in an XML answer."""
    error = ET.fromstring(response.content).find("{http://tableau.com/api}error")  # noqa: S314 - the sandbox's own answer
    assert error is not None, response.text
    return error.attrib["code"]
