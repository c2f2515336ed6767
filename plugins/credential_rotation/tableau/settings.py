"""What an Airflow connection says about a Tableau site and how to sign in to it."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.utils import select_proxy

from credential_rotation.tableau.content import ENDPOINTS, ContentType
from credential_rotation.tableau.errors import UnusableSetting
from credential_rotation.tableau.tsxml import first_char_not_in_xml
from credential_rotation.tableau.versions import ApiVersion

if TYPE_CHECKING:
    from airflow.sdk import Connection

DEFAULT_TIMEOUT = 60.0

# Scopes for what this package does; docs/tableau.md says which is for what, and where that is known from. That of the
# update calls is not documented (unknown in November 2026), so the list can be set in the connection.
DEFAULT_SCOPES = (
    "tableau:content:read",
    "tableau:datasources:read",
    "tableau:datasource_connections:update",
    "tableau:datasources:update",
    "tableau:workbooks:read",
    "tableau:workbook_connections:update",
    "tableau:workbooks:update",
    "tableau:flows:read",
    "tableau:flow_connections:read",
    "tableau:flow_connections:update",
    "tableau:flows:update",
    "tableau:users:read",
    "tableau:jobs:read",
    "tableau:tasks:run",
    "tableau:viz_data_service:read",
    "tableau:views:download",
)


class Auth(StrEnum):
    """The ways to sign in to Tableau."""

    PASSWORD = "password"  # noqa: S105 (the name of a way to sign in)
    PAT = "pat"
    JWT = "jwt"


@dataclass(frozen=True)
class TableauSettings:
    """One Tableau site and one way to sign in to it.

    ``secret`` is the password, the Tableau PAT's secret, or the secret value of a Connected App, by ``auth``.
    ``timeout`` is in seconds, for each wait for a byte of an answer. ``without`` names the content types of which the
    site is known to have none.
    """

    conn_id: str
    base_url: str
    site: str
    auth: Auth
    login: str
    secret: str = field(repr=False)
    client_id: str | None = None
    secret_id: str | None = None
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    api_version: ApiVersion | None = None
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    proxies: dict[str, str] | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT
    without: frozenset[ContentType] = frozenset()

    @property
    def identity(self) -> str:
        """Who signs in where, without the secret: two settings with the same identity end each other's sessions."""
        return "|".join([self.base_url.lower(), self.auth, self.login, self.client_id or "", self.secret_id or ""])

    @property
    def site_key(self) -> str:
        """Which site this is, however it is signed in to."""
        return f"{self.base_url.lower()}|{self.site.lower()}"


def from_airflow_connection(conn: Connection) -> TableauSettings:
    """Read and check an Airflow connection of any type.

    Understands what the official Tableau provider's connections hold (``host`` with or without a scheme, ``site_id``).

    :raises UnusableSetting: naming the connection, the field, and what to do
    """
    reader = _Reader(conn)
    auth = reader.auth()
    login = (conn.login or "").strip()
    secret = conn.password or ""
    if not login:
        raise reader.wrong("login", f"is empty; it must be {_LOGIN_MEANS[auth]}")
    if not secret:
        raise reader.wrong("password", f"is empty; it must be {_PASSWORD_MEANS[auth]}")
    for field_name, value in (("login", login), ("password", secret)):
        if char := first_char_not_in_xml(value):
            raise reader.wrong(field_name, f"holds the character U+{ord(char):04X}, which can't be sent to Tableau")
    base_url = reader.base_url()
    return TableauSettings(
        conn_id=conn.conn_id,
        base_url=base_url,
        site=reader.site(),
        auth=auth,
        login=login,
        secret=secret,
        client_id=reader.text("client_id", required=auth is Auth.JWT),
        secret_id=reader.text("secret_id", required=auth is Auth.JWT),
        scopes=reader.scopes(),
        api_version=reader.api_version(),
        verify=reader.verify(),
        cert=reader.cert(),
        proxies=reader.proxies(base_url),
        timeout=reader.timeout(),
        without=reader.without(),
    )


_LOGIN_MEANS = {
    Auth.PASSWORD: "the Tableau user name",
    Auth.PAT: "the name of the Tableau PAT",
    Auth.JWT: "the user to sign in as",
}
_PASSWORD_MEANS = {
    Auth.PASSWORD: "the user's password",
    Auth.PAT: "the secret of the Tableau PAT",
    Auth.JWT: "the secret value of the Connected App",
}


class _Reader:
    """Reads one field at a time, and knows how to complain about it."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        try:
            extra = json.loads(conn.extra) if conn.extra else {}
        except ValueError:
            extra = None
        if not isinstance(extra, dict):
            raise self.wrong("extra", "is no JSON object")
        self.extra: dict[str, Any] = extra

    def wrong(self, what: str, problem: str) -> UnusableSetting:
        return UnusableSetting(f"Airflow connection '{self.conn.conn_id}': {what} {problem}.")

    def auth(self) -> Auth:
        value = self.extra.get("auth", Auth.PASSWORD)
        try:
            return Auth(value)
        except ValueError:
            known = ", ".join(f"'{auth}'" for auth in Auth)
            raise self.wrong("extra 'auth'", f"is not one of {known}") from None

    def text(self, key: str, *, required: bool = False) -> str | None:
        value = self.extra.get(key)
        if value is None or value == "":
            if required:
                raise self.wrong(f"extra '{key}'", "is missing; a Connected App needs it")
            return None
        if not isinstance(value, str):
            raise self.wrong(f"extra '{key}'", "must be a text")
        return value

    def site(self) -> str:
        site, site_id = self.text("site"), self.text("site_id")
        if site and site_id and site != site_id:
            raise self.wrong("extra", "has both 'site' and 'site_id', and they differ; keep one")
        return site or site_id or ""

    def base_url(self) -> str:
        host = (self.conn.host or "").strip()
        if not host:
            raise self.wrong("host", "is empty; it must be the address of Tableau, such as 10ax.online.tableau.com")
        url = host if "://" in host else f"{(self.conn.schema or 'https').strip()}://{host}"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise self.wrong("host", "is no valid address") from None
        if parts.scheme not in ("http", "https"):
            raise self.wrong("schema", "must be https (or http, see allow_http)")
        if parts.username is not None or parts.password is not None:
            raise self.wrong("host", "holds a user or password; these belong in login and password")
        name = parts.hostname or ""
        if "#" in host or "/site/" in parts.path:
            raise self.wrong("host", "must not hold the site; that belongs in extra 'site'")
        if not name or any(char.isspace() for char in url) or parts.query:
            raise self.wrong("host", "is no valid address; it must look like 10ax.online.tableau.com")
        if "api" in parts.path.split("/"):
            raise self.wrong("host", "must be the address of Tableau itself, without /api/…")
        if parts.scheme == "http" and not is_loopback(name) and not self.allows_http():
            raise self.wrong(
                "schema",
                f"is http: secrets would go to {name} unencrypted. Use https, or set extra 'allow_http' to true",
            )
        port = port or self.conn.port
        if port and not 0 < port <= 65535:
            raise self.wrong("port", "must be from 1 to 65535")
        netloc = f"[{name}]" if ":" in name else name
        if port and port != {"http": 80, "https": 443}[parts.scheme]:
            netloc = f"{netloc}:{port}"
        return f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}"

    def allows_http(self) -> bool:
        # A string where the Airflow connection is a URL: there each value is one.
        return str(self.extra.get("allow_http")).lower() == "true"

    def scopes(self) -> tuple[str, ...]:
        value = self.extra.get("scopes")
        if value is None:
            return DEFAULT_SCOPES
        scopes = value.split() if isinstance(value, str) else value
        if not isinstance(scopes, list) or not scopes or not all(isinstance(scope, str) for scope in scopes):
            raise self.wrong("extra 'scopes'", "must be a list of texts such as 'tableau:content:read'")
        return tuple(scopes)

    def api_version(self) -> ApiVersion | None:
        value = self.extra.get("api_version")
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            # A JSON number can't tell 3.1 from 3.10.
            raise self.wrong("extra 'api_version'", 'must be a text, in quotes, such as "3.26"')
        try:
            return ApiVersion.parse(value)
        except ValueError as error:
            raise self.wrong("extra 'api_version'", f"can't be used: {error}") from None

    def verify(self) -> bool | str:
        value = self.extra.get("verify", True)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if isinstance(value, str) and value:
            return value
        raise self.wrong("extra 'verify'", "must be true, false, or the path of a file with certificate authorities")

    def cert(self) -> str | tuple[str, str] | None:
        value = self.extra.get("cert")
        if value is None or isinstance(value, str):
            return value or None
        if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
            return value[0], value[1]
        raise self.wrong("extra 'cert'", "must be the path of a client certificate, or a pair [certificate, key]")

    def proxies(self, base_url: str) -> dict[str, str] | None:
        value = self.extra.get("proxies")
        if value is None:
            return None
        if not (isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair)):
            raise self.wrong("extra 'proxies'", 'must be an object such as {"https": "http://proxy:3128"}')
        proxy = select_proxy(base_url, value)
        if proxy and base_url.startswith("http://") and not self.allows_http() and not _is_on_this_machine(proxy):
            raise self.wrong(
                "extra 'proxies'",
                "would send secrets unencrypted to another machine: plain http to this machine needs no proxy. Take it "
                "out, use https, or set extra 'allow_http' to true",
            )
        return value

    def without(self) -> frozenset[ContentType]:
        value = self.extra.get("without") or []
        value = value.split() if isinstance(value, str) else value
        known = [content_type for content_type, endpoint in ENDPOINTS.items() if endpoint.optional]
        if not isinstance(value, list) or not all(each in known for each in value):
            raise self.wrong("extra 'without'", f"must be a list of what this site has none of: {', '.join(known)}")
        return frozenset(ContentType(each) for each in value)

    def timeout(self) -> float:
        value = self.extra.get("timeout", DEFAULT_TIMEOUT)
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = -1.0
        if isinstance(value, bool) or not 0 < seconds <= 3600:
            raise self.wrong("extra 'timeout'", "must be a number of seconds, more than 0 and at most 3600")
        return seconds


def _is_on_this_machine(proxy: str) -> bool:
    try:
        return is_loopback(urlsplit(proxy if "://" in proxy else f"http://{proxy}").hostname or "")
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host name can only mean this machine. A name that merely resolves to it does not count."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
