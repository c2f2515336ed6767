"""The hook for Tableau's REST API."""

from __future__ import annotations

from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import requests
from airflow.providers.http.hooks.http import HttpHook
from requests.adapters import HTTPAdapter

from credential_rotation.hooks.variable_store import VariableStore
from credential_rotation.secrecy import Redactor, hide_in_logs
from credential_rotation.settings import home
from credential_rotation.tableau import tsxml
from credential_rotation.tableau.answers import refusal
from credential_rotation.tableau.errors import (
    BadAnswer,
    NotAllowed,
    NotFound,
    RequestRefused,
    SessionEnded,
    SessionKeepsEnding,
    SignInRefused,
    TableauError,
    TableauTooOld,
)
from credential_rotation.tableau.pace import Pace
from credential_rotation.tableau.reading import ACCEPT_ENCODING, Received
from credential_rotation.tableau.session import SessionSeal, TableauSession
from credential_rotation.tableau.session_sharing import SessionSharing, SessionStore, host_lock_file
from credential_rotation.tableau.settings import Auth, TableauSettings, from_airflow_connection, is_loopback
from credential_rotation.tableau.sign_in import credentials_with_site
from credential_rotation.tableau.success import ANY_ANSWER, SERVER_INFO, SIGN_IN, SIGN_OUT, XML, Success, listing
from credential_rotation.tableau.traffic import Traffic
from credential_rotation.tableau.transport import QUICK_TRIES, Transport
from credential_rotation.tableau.versions import JWT_SIGN_IN, OLDEST, SERVER_INFO_VERSION, ApiVersion

if TYPE_CHECKING:
    from airflow.sdk import Connection

_Answer = TypeVar("_Answer")
# Hosts share no lock: two that sign in at once end each other's session, and a busy thread may meet several such ends.
_MOST_RENEWALS = 6
# What else can refuse a sign-in. Let through, a 404 here would be taken for an item that is gone, since any request may
# be the one that signs in again.
_REFUSALS = (SignInRefused, SessionEnded, NotAllowed, NotFound, RequestRefused, TableauTooOld)


class TableauHook(HttpHook):
    """Talk to the REST API of one Tableau site, in one session that all tasks share.

    Takes an Airflow connection of any type, so that one made for the official Tableau provider works as it is. Its
    fields are described in docs/tableau.md. Unlike in its parent, nothing of the connection's extra ever becomes a
    header, every request has a timeout, no redirect is followed to another origin, and each failure is a typed error
    of :mod:`credential_rotation.tableau.errors`.

    https://help.tableau.com/current/api/rest_api/en-us/REST/rest_api.htm

    :param tableau_conn_id: the Airflow connection of the site
    :param run: names the run that works; only a session that it signed in to is ended by :meth:`sign_out`
    :param in_flight: how many threads will use this hook at once; that many connections are kept alive
    :param requests_per_minute: the most requests that this hook sends in a minute; None for no limit
    :param session_store: where the shared session is kept; by default an Airflow Variable
    """

    conn_name_attr = "tableau_conn_id"
    default_conn_name = "tableau_default"
    conn_type = "tableau"
    hook_name = "Tableau (shared session)"

    def __init__(
        self,
        tableau_conn_id: str = default_conn_name,
        *,
        run: str = "",
        in_flight: int = 16,
        requests_per_minute: float | None = None,
        session_store: SessionStore | None = None,
    ) -> None:
        # Retrying is not the adapter's business: it would hide faults from our own counting and typed errors.
        super().__init__(method="GET", http_conn_id=tableau_conn_id, adapter=HTTPAdapter(pool_maxsize=in_flight))
        self.tableau_conn_id = tableau_conn_id
        self.traffic = Traffic()
        self._run = run
        self._pace = Pace(requests_per_minute)
        self._redact = Redactor()
        self.settings = self._read_settings()
        self.base_url = self.settings.base_url
        self._base_url_initialized = True
        self._http = self.get_conn()
        self._transport = Transport(self._http, self.settings, self._redact, self.traffic, self._pace)
        self._sharing = SessionSharing(
            session_store or VariableStore(tableau_conn_id),
            SessionSeal(self.settings),
            self._sign_in,
            self.keep_secret,
            host_lock_file(home() / ".locks", f"{tableau_conn_id}|{self.settings.identity}"),
        )

    def _read_settings(self) -> TableauSettings:
        settings = from_airflow_connection(self.get_connection(self.tableau_conn_id))
        self.keep_secret(settings.secret)
        for proxy in (settings.proxies or {}).values():
            self.keep_secret(requests.utils.get_auth_from_url(proxy)[1])
        return settings

    def keep_secret(self, secret: str) -> None:
        """Never show this value: not in a log, and not in an error in which Tableau quotes what it was sent."""
        hide_in_logs(secret)
        self._redact.add(secret)

    # What HttpHook leaves to its children.

    def get_conn(
        self,
        headers: dict[Any, Any] | None = None,
        extra_options: dict[str, Any] | None = None,  # noqa: ARG002 (the parent's signature)
    ) -> requests.Session:
        """A ``requests`` session for this Tableau: alive between requests, without cookies, not yet signed in."""
        session = _CautiousSession()
        session.auth = _no_auth
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.verify = self.settings.verify
        session.cert = self.settings.cert
        session.proxies = dict(self.settings.proxies or {})
        session.headers.update({"Accept": XML, "Content-Type": XML, "Accept-Encoding": ACCEPT_ENCODING})
        session.headers.update(headers or {})
        return self._configure_session_from_mount_adapters(session)

    def _configure_session_from_extra(
        self,
        session: requests.Session,
        connection: Connection,  # noqa: ARG002 (the parent's signature)
        extra_options: dict[str, Any],  # noqa: ARG002
    ) -> requests.Session:
        # The parent turns each unknown key of the extra into a header: a secret would leave that way.
        return session

    def _extract_auth(self, connection: Connection) -> None:  # noqa: ARG002 (the parent's signature)
        # The parent would send login and password as Basic auth with every request.
        return None

    def check_response(self, response: requests.Response) -> None:
        """Raise the typed error of an answer that is none of 2xx; the parent would log the whole body."""
        if response.status_code >= 300:
            what = f"{response.request.method} {response.request.path_url.partition('?')[0]}"
            received = Received(response.status_code, response.headers, response.content)
            raise refusal(received, what, self._redact)

    def run(
        self,
        endpoint: str | None = None,
        data: dict[str, Any] | str | None = None,
        headers: dict[str, Any] | None = None,
        extra_options: dict[str, Any] | None = None,
        **request_kwargs: Any,
    ) -> Element:
        """Send a request of the signed-in user; the parent's way in, with the same safety as :meth:`call`.

        :param endpoint: below the site, such as ``datasources``
        :param data: the body, as XML text
        """
        if headers or extra_options or request_kwargs or isinstance(data, dict):
            raise TypeError("TableauHook.run takes an endpoint and an XML text; use call() for more")
        return self.call(self.method, (endpoint or "").lstrip("/"), data.encode() if data else None)

    # The signed-in user.

    def call(self, method: str, endpoint: str, body: bytes | None = None, success: Success = ANY_ANSWER) -> Element:
        """Send a request to an endpoint of the site; the root of the answer.

        When the session has ended, it is renewed (or one taken that somebody renewed meanwhile) and the request is sent
        again.

        :param endpoint: below ``/api/<version>/sites/<site>/``, such as ``datasources?pageSize=10``
        :param success: what Tableau answers when it is done
        :raises TableauError: as described there
        """

        def send(session: TableauSession) -> Element:
            return self._transport.send(method, _path(session, endpoint), success, body=body, token=session.token)

        return self._in_a_session(send)

    def fetch(
        self, method: str, endpoint: str, success: Success, body: bytes | None = None, *, once: bool = False
    ) -> bytes:
        """Send a request whose answer is no XML; its body. Sessions are renewed as in :meth:`call`.

        :param endpoint: below the site as in :meth:`call`, or from the root of the server where it begins with ``/``
        :param success: what Tableau answers when it is done
        :param once: send it once, whatever the answer: each time may be a sign-in that the database refuses, and five
            of those lock a user there
        :raises TableauError: as described there
        """

        def send(session: TableauSession) -> bytes:
            path = _path(session, endpoint)
            tries = 1 if once else QUICK_TRIES
            return self._transport.fetch(method, path, success, body=body, token=session.token, tries=tries)

        return send(self._sharing.current()) if once else self._in_a_session(send)

    def redacted(self, text: str) -> str:
        """A text of Tableau's without the secrets that it may quote."""
        return self._redact(text)

    def _in_a_session(self, send: Callable[[TableauSession], _Answer]) -> _Answer:
        session = self._sharing.current()
        for _ in range(_MOST_RENEWALS):
            try:
                return send(session)
            except SessionEnded:
                session = self._sharing.renew(session)
        try:
            return send(session)
        except SessionEnded:
            raise SessionKeepsEnding(self._why_sessions_keep_ending()) from None

    def version(self) -> ApiVersion:
        """The REST API version in use: that of the connection's extra, else the server's own."""
        return self._sharing.current().version

    def sign_out(self) -> bool:
        """End the shared session, if it is this run's own; whether it was ended.

        Somebody else's session is left alone: signing out ends it for everybody who shares it.
        """
        session = self._sharing.stored()
        if session is None or not self._run or session.signed_in_by != self._run:
            return False
        self._sharing.forget(session)
        try:
            self._transport.send("POST", f"/api/{session.api_version}/auth/signout", SIGN_OUT, token=session.token)
        except SessionEnded:
            return False
        return True

    def test_connection(self) -> tuple[bool, str]:
        """Whether the connection works: for the *Test* button of Airflow's connection form, and for a check task.

        Uses the shared session, since a sign-in of its own could end it.
        """
        try:
            session = self._sharing.current()
            self.call("GET", "datasources?pageSize=1&pageNumber=1", success=listing("datasources"))
        except TableauError as error:
            return False, str(error)
        return True, f"Signed in to site '{self.settings.site}' of {self.base_url}, REST API {session.api_version}"

    def _sign_in(self) -> TableauSession:
        version = self.settings.api_version or self._server_version()
        needed = JWT_SIGN_IN if self.settings.auth is Auth.JWT else OLDEST
        if version < needed:
            raise TableauTooOld(f"{self.base_url} speaks REST API {version}; {needed} or later is needed.")
        self.traffic.count(sign_ins=1)
        credentials = credentials_with_site(self.settings)
        self.keep_secret(credentials.get("jwt", ""))
        body = tsxml.request(credentials)
        try:
            root = self._transport.send("POST", f"/api/{version}/auth/signin", SIGN_IN, body=body)
        except _REFUSALS as error:
            raise SignInRefused(self._why_sign_in_is_refused(error), status=error.status, code=error.code) from None
        session = self._read_session(root, version)
        self.log.info("Signed in to Tableau (connection '%s', REST API %s).", self.tableau_conn_id, version)
        return session

    def _server_version(self) -> ApiVersion:
        try:
            root = self._transport.send("GET", f"/api/{SERVER_INFO_VERSION}/serverinfo", SERVER_INFO)
            return ApiVersion.parse(root.findtext("serverInfo/restApiVersion", ""))
        except (ValueError, BadAnswer, *_REFUSALS):
            raise BadAnswer(
                f"{self.base_url} does not say which REST API version it speaks; set extra 'api_version' of the "
                f"Airflow connection '{self.tableau_conn_id}'."
            ) from None

    def _read_session(self, root: Element, version: ApiVersion) -> TableauSession:
        credentials = next(root.iter("credentials"))
        site, user = credentials.find("site"), credentials.find("user")
        token, site_id = credentials.get("token"), site.get("id") if site is not None else None
        if not token or not site_id:
            raise BadAnswer("Tableau answered the sign-in without a session token, or without the site.")
        return TableauSession(
            token=token,
            site_id=site_id,
            user_id=user.get("id", "") if user is not None else "",
            api_version=str(version),
            signed_in_by=self._run,
        )

    def _why_sign_in_is_refused(self, error: TableauError) -> str:
        said = ": ".join(part for part in (error.summary, error.detail) if part) or "no reason given"
        check = {
            Auth.PASSWORD: "login and password; under multi-factor authentication only a Tableau PAT or a JWT works",
            Auth.PAT: "login (name of the Tableau PAT) and password (its secret); it is void after 15 unused days",
            Auth.JWT: "login (the user), client_id, secret_id and password (the secret value); the app must be enabled",
        }[self.settings.auth]
        return (
            f"Tableau refuses to sign in ({error.code or error.status}: {said}). Check the Airflow connection "
            f"'{self.tableau_conn_id}': {check}; and the site, which is '{self.settings.site}'."
        )

    def _why_sessions_keep_ending(self) -> str:
        cause = "Somebody else signs in with the same Tableau PAT: each sign-in ends the session before it. Give this "
        if self.settings.auth is not Auth.PAT:
            cause = "Something ends them at once, or Tableau does not accept what it issued. If need be, give this "
        if self.settings.auth is Auth.JWT:
            # https://help.tableau.com/current/server/en-us/connected_apps_scopes.htm (401002)
            cause = f"Tableau says the same where extra 'scopes' lacks what a request needs. {cause}"
        return (
            f"Each new Tableau session of the Airflow connection '{self.tableau_conn_id}' ended at once "
            f"({_MOST_RENEWALS} times). {cause}package a sign-in of its own."
        )


class _CautiousSession(requests.Session):
    """Leads a request to where the Airflow connection says, and nowhere else."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 (the parent's signature)
        """Leave redirects to the transport.

        Requests would follow them anywhere; and it stumbles over one that is no address, even when told to follow none.
        """
        return

    def merge_environment_settings(self, url: Any, proxies: Any, stream: bool | None, verify: Any, cert: Any) -> Any:
        """Take proxies from the environment, as requests does, but not for this machine.

        What is meant for this machine would be sent to another one, and plain http would be read there.
        """
        named = dict(proxies or {})
        merged = super().merge_environment_settings(url, dict(named), stream, verify, cert)
        if is_loopback(urlsplit(url).hostname or ""):
            merged["proxies"] = {**self.proxies, **named}
        return merged


def _path(session: TableauSession, endpoint: str) -> str:
    return endpoint if endpoint.startswith("/") else f"/api/{session.api_version}/sites/{session.site_id}/{endpoint}"


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # Without this, requests would take Basic auth for the host out of a ~/.netrc.
    return request
