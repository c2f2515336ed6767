"""The faults that a test can script, one class each.

A fault plays with the request (`exchange`): it may answer in the endpoint's place, let the endpoint answer and spoil
that, or change the world just before. In the control plane a fault is JSON: the class's `word` as `"fault"`, and its
fields by name: `{"fault": "throttle", "retry_after": "2"}`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from sandbox.tableau.answers import JSON_TYPE, Answer
from sandbox.tableau.errors import TableauError, throttled


class Exchange(Protocol):
    """What a fault may do with the request it hits."""

    def answer(self) -> Answer:
        """Let the endpoint do its work and answer."""

    def end_session(self) -> None:
        """End the session that the request uses."""

    def flip_format(self) -> None:
        """Answer in XML where JSON was asked for, and the other way round."""

    def wait(self, seconds: float) -> None:
        """Let time pass (cut short when the server stops)."""


@dataclass(frozen=True)
class Fault:
    """The base of all faults."""

    word: ClassVar[str] = ""

    def play(self, exchange: Exchange) -> Answer:
        """Answer the request as a server with this fault does."""
        raise NotImplementedError


@dataclass(frozen=True)
class Throttle(Fault):
    """429; Retry-After in seconds, as an HTTP date, or none."""

    word: ClassVar[str] = "throttle"
    retry_after: str | None = "1"

    def play(self, exchange: Exchange) -> Answer:  # noqa: ARG002 - answers in the endpoint's place
        """Refuse, with no effect."""
        return throttled(self.retry_after)


@dataclass(frozen=True)
class ServerError(Fault):
    """A 5xx with Tableau's XML."""

    word: ClassVar[str] = "server_error"
    status: int = 500
    retry_after: str | None = None

    def play(self, exchange: Exchange) -> Answer:  # noqa: ARG002 - answers in the endpoint's place
        """Fail, with no effect."""
        error = TableauError(f"{self.status}000", "An unexpected error occurred.")
        return error.answer({} if self.retry_after is None else {"Retry-After": self.retry_after})


@dataclass(frozen=True)
class HtmlPage(Fault):
    """A page of HTML, as a gateway in front of Tableau sends when Tableau is away."""

    word: ClassVar[str] = "html"
    status: int = 503

    def play(self, exchange: Exchange) -> Answer:  # noqa: ARG002 - answers in the endpoint's place
        """Show the gateway's page."""
        page = (
            b"<!DOCTYPE html><html><head><title>Service Unavailable</title></head><body><h1>Tableau</h1></body></html>"
        )
        return Answer(self.status, body=page, content_type="text/html;charset=utf-8")


@dataclass(frozen=True)
class TableauCode(Fault):
    """A given Tableau error: 400033, 400039 with a detail, 403004, 404004 ..."""

    word: ClassVar[str] = "code"
    code: str = "400033"
    detail: str = "There was a problem updating connection information for datasource."

    def play(self, exchange: Exchange) -> Answer:  # noqa: ARG002 - answers in the endpoint's place
        """Refuse with this code."""
        return TableauError(self.code, self.detail).answer()


@dataclass(frozen=True)
class ResetBefore(Fault):
    """The connection is reset before anything happened."""

    word: ClassVar[str] = "reset_before"

    def play(self, exchange: Exchange) -> Answer:  # noqa: ARG002 - answers in the endpoint's place
        """Reset."""
        return Answer(cut="reset")


@dataclass(frozen=True)
class ResetAfter(Fault):
    """The request has its effect, and the connection is reset in place of an answer."""

    word: ClassVar[str] = "reset_after"

    def play(self, exchange: Exchange) -> Answer:
        """Do the work, then reset."""
        return dataclasses.replace(exchange.answer(), cut="reset")


@dataclass(frozen=True)
class HalfBody(Fault):
    """The request has its effect; half of the body comes, then the connection closes."""

    word: ClassVar[str] = "half_body"

    def play(self, exchange: Exchange) -> Answer:
        """Do the work, then send half."""
        return dataclasses.replace(exchange.answer(), cut="half")


@dataclass(frozen=True)
class EmptyBody(Fault):
    """The request has its effect; the answer has no body."""

    word: ClassVar[str] = "empty_body"

    def play(self, exchange: Exchange) -> Answer:
        """Do the work, answer nothing."""
        return dataclasses.replace(exchange.answer(), elements=(), body=b"")


@dataclass(frozen=True)
class Silence(Fault):
    """Nothing for some seconds; then the answer (`then="answer"`), or the connection closes (`then="close"`)."""

    word: ClassVar[str] = "silence"
    seconds: float = 1.0
    then: str = "answer"

    def play(self, exchange: Exchange) -> Answer:
        """Wait, then answer or close."""
        exchange.wait(self.seconds)
        return exchange.answer() if self.then == "answer" else Answer(cut="close")


@dataclass(frozen=True)
class Redirect(Fault):
    """A redirect to another place."""

    word: ClassVar[str] = "redirect"
    location: str = "https://elsewhere.example/"
    status: int = 302

    def play(self, exchange: Exchange) -> Answer:  # noqa: ARG002 - answers in the endpoint's place
        """Send the client there."""
        return Answer(self.status, body=b"", headers={"Location": self.location})


@dataclass(frozen=True)
class OtherFormat(Fault):
    """JSON where XML was asked for, and the other way round."""

    word: ClassVar[str] = "other_format"

    def play(self, exchange: Exchange) -> Answer:
        """Do the work, answer in the wrong format."""
        exchange.flip_format()
        return exchange.answer()


@dataclass(frozen=True)
class RawAnswer(Fault):
    """Any status and body: what no other fault says."""

    word: ClassVar[str] = "raw"
    status: int = 200
    body: str = ""
    content_type: str = JSON_TYPE

    def play(self, exchange: Exchange) -> Answer:  # noqa: ARG002 - answers in the endpoint's place
        """Send it."""
        return Answer(self.status, body=self.body.encode(), content_type=self.content_type)


@dataclass(frozen=True)
class SessionLost(Fault):
    """The session ended just before this request: 401002 (TSC #717)."""

    word: ClassVar[str] = "session_lost"

    def play(self, exchange: Exchange) -> Answer:
        """End the session, then go on."""
        exchange.end_session()
        return exchange.answer()


@dataclass(frozen=True)
class Slow(Fault):
    """The request has its effect after some seconds."""

    word: ClassVar[str] = "latency"
    seconds: float = 0.5

    def play(self, exchange: Exchange) -> Answer:
        """Wait, then go on."""
        exchange.wait(self.seconds)
        return exchange.answer()


@dataclass(frozen=True)
class Pass(Fault):
    """No fault: the request goes through. For scripts like 'the third one fails'."""

    word: ClassVar[str] = "pass"

    def play(self, exchange: Exchange) -> Answer:
        """Go on."""
        return exchange.answer()


LANGUAGE: dict[str, type[Fault]] = {
    kind.word: kind
    for kind in (
        Throttle,
        ServerError,
        HtmlPage,
        TableauCode,
        ResetBefore,
        ResetAfter,
        HalfBody,
        EmptyBody,
        Silence,
        Redirect,
        OtherFormat,
        RawAnswer,
        SessionLost,
        Slow,
        Pass,
    )
}


def fault_from_json(said: Mapping[str, Any]) -> Fault:
    """The fault that `{"fault": word, ...fields}` means."""
    fields = dict(said)
    word = fields.pop("fault", None)
    kind = LANGUAGE.get(str(word))
    if kind is None:
        raise ValueError(f"unknown fault {word!r}; known are {', '.join(LANGUAGE)}")
    try:
        return kind(**fields)
    except TypeError as error:
        raise ValueError(f"{word}: {error}") from error


def fault_as_json(fault: Fault) -> dict[str, Any]:
    """The fault in the control plane's words."""
    return {"fault": fault.word, **dataclasses.asdict(fault)}
