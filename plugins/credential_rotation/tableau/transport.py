"""Sends one HTTP request to Tableau: timeouts, redirects, quick tries, and an answer or a typed error.

Knows nothing of sessions and nothing of endpoints.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit
from xml.etree.ElementTree import Element

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception

from credential_rotation.secrecy import Redactor
from credential_rotation.tableau.errors import (
    AnswerTooLarge,
    BadAnswer,
    NotTrusted,
    RandomRefusal,
    RedirectRefused,
    TableauUnwell,
    Throttled,
    Unreachable,
    UnusableSetting,
)
from credential_rotation.tableau.pace import Pace
from credential_rotation.tableau.reading import Received, receive
from credential_rotation.tableau.settings import TableauSettings
from credential_rotation.tableau.success import Success, bytes_of, element_of
from credential_rotation.tableau.traffic import Traffic

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
QUICK_TRIES = 4
# A longer wait than this belongs to the task's retry, so that no worker sleeps.
LONGEST_WAIT = 20.0
# What tableau-migration-sdk waits where a 429 does not say how long (its maximum left to the task's retry).
_UNTOLD_WAITS = (1.0, 3.0, 10.0)
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5


@dataclass(frozen=True)
class _Request:
    """A request, and what Tableau answers when it is done. ``path`` is from the root of the server, with its query."""

    method: str
    path: str
    success: Success
    body: bytes | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def what(self) -> str:
        """For messages."""
        return f"{self.method} {urlsplit(self.path).path}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are not those of every request."""
        media = {"Accept": self.success.media, "Content-Type": self.success.media}
        return media | ({"X-Tableau-Auth": self.token} if self.token else {})


class Transport:
    """The way to one Tableau.

    :param http: a ``requests`` session; one for all threads, so that connections are kept alive
    :param settings: where Tableau is, and how to get there
    :param redact: takes secrets out of what Tableau says before it becomes an error
    """

    def __init__(
        self, http: requests.Session, settings: TableauSettings, redact: Redactor, traffic: Traffic, pace: Pace
    ) -> None:
        self.traffic = traffic
        self._http = http
        self._settings = settings
        self._redact = redact
        self._pace = pace
        # Environment variables are consulted once, not for every request.
        self._route = http.merge_environment_settings(
            settings.base_url, settings.proxies or {}, True, settings.verify, settings.cert
        )

    def send(
        self,
        method: str,
        path: str,
        success: Success,
        *,
        body: bytes | None = None,
        token: str | None = None,
        tries: int = QUICK_TRIES,
    ) -> Element:
        """Send a request, a few times if Tableau is unwell; the root of the answer.

        Every request of this package may be sent twice: updates say what is to be, not what is to change.

        :param path: from the root of the server, with its query
        :param success: what Tableau answers when it is done
        :param token: the session token, for the ``X-Tableau-Auth`` header
        :raises TableauError: see there
        """
        return self._quick_tries(tries)(self._send_once, _Request(method, path, success, body, token))

    def fetch(
        self,
        method: str,
        path: str,
        success: Success,
        *,
        body: bytes | None = None,
        token: str | None = None,
        tries: int = QUICK_TRIES,
    ) -> bytes:
        """Send a request whose answer is no XML, a few times if Tableau is unwell; the body of the answer.

        :param success: what Tableau answers when it is done; its type is that of the body, too, where there is one
        :raises TableauError: see there
        """
        return self._quick_tries(tries)(self._fetch_once, _Request(method, path, success, body, token))

    def _quick_tries(self, tries: int) -> Retrying:
        return Retrying(
            stop=_stop_after(tries),
            retry=retry_if_exception(_worth_a_quick_try),
            wait=_quick_wait,
            before_sleep=_log_quick_try,
            reraise=True,
        )

    def _send_once(self, request: _Request) -> Element:
        return element_of(self._exchange(request), request.success, request.what, self._redact)

    def _fetch_once(self, request: _Request) -> bytes:
        return bytes_of(self._exchange(request), request.success, request.what, self._redact)

    def _exchange(self, request: _Request) -> Received:
        """Send a request, and follow redirects within Tableau."""
        url = self._settings.base_url + request.path
        for _ in range(_MOST_REDIRECTS + 1):
            self._pace.wait()
            self.traffic.count(requests=1)
            received = self._send_to(url, request)
            if isinstance(received, Exception):
                # Not where it was made: there it would take along its cause, which may quote a proxy's password.
                raise received
            if received.status == 429:
                raise self._throttled(received, request.what)
            self._pace.answered()
            if received.status not in _REDIRECTS:
                return received
            url = self._redirected(received, request.method, url)
        raise RedirectRefused(f"{request.what}: Tableau redirects in a circle.")

    def _send_to(self, url: str, request: _Request) -> Received | Exception:
        try:
            # As the session would prepare it, without looking for settings that it has not: a quarter of the cost.
            prepared = requests.PreparedRequest()
            headers = {**self._http.headers, **request.headers}
            prepared.prepare(request.method, url, headers=headers, data=request.body, cookies=self._http.cookies)
            response = self._http.send(
                prepared, timeout=(CONNECT_TIMEOUT, self._settings.timeout), allow_redirects=False, **self._route
            )
            return receive(response, request.success.most)
        except requests.RequestException as error:
            return self._unreachable(error, request.what)
        except BadAnswer as error:
            return BadAnswer(f"{request.what}: {error}.")
        except OSError as error:
            # What the network does is a RequestException; this is how requests says that a file is missing.
            where = f"Airflow connection '{self._settings.conn_id}'"
            return UnusableSetting(f"{where}: extra 'verify' or 'cert' can't be used: {error}.")

    def _redirected(self, received: Received, method: str, url: str) -> str:
        here, conn = _shown_origin(url), f"the Airflow connection '{self._settings.conn_id}'"
        target = _target(url, received.headers.get("Location", ""))
        if target is None:
            raise RedirectRefused(f"{here} redirects to something that is no address.", status=received.status)
        if _origin(target) != _origin(url):
            there = self._redact(_shown_origin(target))
            raise RedirectRefused(
                f"{here} redirects to {there}. Nothing was sent there, since it might be anybody. If Tableau is there, "
                f"write that into {conn}.",
                status=received.status,
            )
        if method != "GET" and received.status not in (307, 308):
            # Followed, it would become a GET (Tableau then answers 405000).
            there = self._redact(urlsplit(target).path)
            raise RedirectRefused(
                f"{here} redirects a {method} to {there} in a way that would lose it. Correct the host in {conn}.",
                status=received.status,
            )
        return target

    def _throttled(self, received: Received, what: str) -> Throttled:
        self.traffic.count(throttled=1)
        error = Throttled(f"Tableau asks to slow down (429) at {what}.", status=429)
        error.retry_after = retry_after_seconds(received.headers.get("Retry-After"))
        told = error.retry_after
        self._pace.throttled(told if told is not None and told <= LONGEST_WAIT else 0.0)
        return error

    def _unreachable(self, error: requests.RequestException, what: str) -> Exception:
        # The text of requests' errors may quote the address of a proxy with its password; the class says enough.
        where = _shown_origin(self._settings.base_url)
        if isinstance(error, requests.exceptions.SSLError):
            return NotTrusted(
                f"{what}: {where} can't be trusted ({self._redact(str(error))}). If its certificate is of your own "
                f"authority, give that as extra 'verify' of the Airflow connection '{self._settings.conn_id}'."
            )
        if isinstance(error, requests.exceptions.ProxyError):
            return Unreachable(f"{what}: the proxy on the way to {where} refused.")
        if isinstance(error, requests.exceptions.Timeout):
            return Unreachable(f"{what}: {where} did not answer within {self._settings.timeout:g} s.")
        if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
            return BadAnswer(f"{what}: the answer of {where} broke off.")
        return Unreachable(f"{what}: no answer from {where} ({_innermost(error)}).")


def retry_after_seconds(value: str | None) -> float | None:
    """The seconds that a ``Retry-After`` header asks for, be it a number or a date; None where it says neither."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    when = _date(value)
    return max(0.0, (when - datetime.now(UTC)).total_seconds()) if when else None


def _date(value: str | None) -> datetime | None:
    """A date of HTTP, in UTC so that two of them can be compared as texts; None for anything else."""
    try:
        when = parsedate_to_datetime(value or "")
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _worth_a_quick_try(error: BaseException) -> bool:
    if isinstance(error, Throttled):
        return error.retry_after is None or error.retry_after <= LONGEST_WAIT
    return isinstance(error, TableauUnwell) and not isinstance(error, AnswerTooLarge)


def _stop_after(tries: int) -> Callable[[RetryCallState], bool]:
    """So many tries; where Tableau only says when to come back, as many as fit into the longest wait."""

    def is_enough(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if tries > 1 and isinstance(error, Throttled) and error.retry_after:
            return state.idle_for >= LONGEST_WAIT
        return state.attempt_number >= tries

    return is_enough


def _quick_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    number = state.attempt_number
    if isinstance(error, Throttled):
        told = error.retry_after
        return (told if told is not None else _UNTOLD_WAITS[min(number, 3) - 1]) + random.uniform(0, 0.5)
    if isinstance(error, RandomRefusal):
        return random.uniform(0.5, 1.0) * number
    return random.uniform(0.25, 0.5) * 2.0**number


def _log_quick_try(state: RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0.0
    error = state.outcome.exception() if state.outcome else None
    log.warning("%s Trying again in %.1f s.", error, wait)


def _target(url: str, location: str) -> str | None:
    """Where a redirect leads; None where that is no address."""
    try:
        # As requests reads it: two parsers may disagree where a URL with a backslash leads.
        target = requests.Request("GET", urljoin(url, location)).prepare().url or ""
        _origin(target)
    except ValueError:
        return None
    return target


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _shown_origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def _innermost(error: BaseException) -> str:
    """The name of what really happened, below the wrappings of requests and urllib3."""
    inner: object = error
    while True:
        reason = getattr(inner, "reason", None)
        following = reason if isinstance(reason, BaseException) else None
        following = following or next((a for a in getattr(inner, "args", ()) if isinstance(a, BaseException)), None)
        if following is None:
            return type(inner).__name__
        inner = following
