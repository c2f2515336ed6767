"""What Tableau's refusals mean: from a status and Tableau's code to a typed error.

What is a refusal, and what a success, is decided in :mod:`credential_rotation.tableau.success`.

Codes: https://help.tableau.com/current/api/rest_api/en-us/REST/rest_api_concepts_errors.htm
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from credential_rotation.tableau import tsxml
from credential_rotation.tableau.errors import (
    BadAnswer,
    EditRefused,
    NotAllowed,
    NotFound,
    RandomRefusal,
    RequestRefused,
    ServerFault,
    SessionEnded,
    SignInRefused,
    TableauError,
    TableauTooOld,
    Throttled,
)
from credential_rotation.tableau.reading import Received

_VIZQL = "/vizql-data-service/"
# Details of 400039 that no later try will change (server-client-python #703, Tableau KB 005321816).
_NEVER_EDITABLE = ("not editable", "not allowed")


class _Words(NamedTuple):
    """What Tableau says of an error; all None where the answer is no error of Tableau's, but of something before it."""

    code: str | None = None
    summary: str | None = None
    detail: str | None = None


def refusal(received: Received, what: str, redact: Callable[[str], str]) -> TableauError:
    """The typed error for an answer that is not a success.

    :param what: the request, as method and path
    :param redact: takes secrets out of Tableau's words, which may quote what was sent
    """
    words = _words(received.body or b"", received.content_type)
    # Shortened afterwards: half a secret would not be found.
    words = _Words(*(redact(word)[:1000] if word else None for word in words))
    status = received.status if received.status >= 400 else _meant_status(words)
    # There, it is the database that refuses: this request came with a session.
    kind = RequestRefused if words.code == "401001" and _VIZQL in what else _kind(status, words)
    said = ": ".join(part for part in (words.summary, words.detail) if part)
    number = f"{received.status}, code {words.code}" if words.code else f"{received.status}"
    message = f"Tableau answered {number} to {what}" + (f": {said}" if said else ".")
    return kind(message, status=status or received.status, code=words.code, summary=words.summary, detail=words.detail)


def _meant_status(words: _Words) -> int | None:
    """The status that should have come with Tableau's error: the first digits of its code; None without a code."""
    return int(words.code[:3]) if words.code and words.code[:3].isdecimal() else None


def _kind(status: int | None, words: _Words) -> type[TableauError]:
    code, detail = words.code, f"{words.summary or ''} {words.detail or ''}".lower()
    if status is None:
        # Neither done nor refused: 304 of a cache, say.
        return BadAnswer
    if status == 401:
        return SignInRefused if code == "401001" else SessionEnded
    if status == 429:
        return Throttled
    if code == "400033":
        return RandomRefusal
    if code == "400039":
        return EditRefused if any(words in detail for words in _NEVER_EDITABLE) else RandomRefusal
    if status in (403, 404) and not any(words):
        # A gateway's page must not be taken for "this item is gone", or for "this site has no flows".
        return BadAnswer
    if status == 403:
        return NotAllowed
    if status == 404:
        return TableauTooOld if code == "404003" else NotFound
    if status >= 500 or status == 408:
        return ServerFault
    return RequestRefused


def _words(body: bytes, content_type: str) -> _Words:
    """Tableau's code, summary and detail. An error may come in either format, or as somebody else's HTML page."""
    try:
        root = tsxml.parse(body, content_type)
    except BadAnswer:
        return _json_words(body)
    error = root.find("error")
    if error is None:
        return _Words()
    return _Words(error.get("code"), error.findtext("summary"), error.findtext("detail"))


def _json_words(body: bytes) -> _Words:
    """The REST API wraps an error in ``error``; VizQL Data Service does not, and has names of its own."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return _Words()
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return _Words()
    code = error.get("code") or error.get("tab-error-code") or error.get("errorCode")
    words = (code, error.get("summary"), error.get("detail") or error.get("message"))
    return _Words(*(str(word) if word else None for word in words))
