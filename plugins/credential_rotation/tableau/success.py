"""What counts as success: one rule for all operations, and what each of them answers when it is done.

A status alone shows nothing: a cache answers 304 to an update that never reached Tableau, a gateway answers 200 with a
page of its own, or with nothing. So an operation is done when its answer is a 2xx *and* in Tableau's own format *and*
holds what Tableau answers to this operation. Everything else is a failure: what Tableau itself calls an error is a
refusal, whatever its status; the rest is a bad answer.

https://help.tableau.com/current/api/rest_api/en-us/REST/rest_api_ref.htm
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from credential_rotation.tableau import tsxml
from credential_rotation.tableau.answers import refusal
from credential_rotation.tableau.errors import AnswerTooLarge, BadAnswer, EmptyAnswer
from credential_rotation.tableau.reading import Received

XML, JSON, CSV = "application/xml", "application/json", "text/csv"

_MIB = 1024 * 1024
_NO_JSON = object()


@dataclass(frozen=True)
class Success:
    """What an operation answers when it is done.

    :param holds: the elements, or keys of JSON, of which the answer has at least one; empty: any answer of Tableau's
    :param media: the type of the answer
    :param may_be_empty: whether a 2xx without a body is enough
    :param most: the most bytes that are read of it, decompressed
    """

    holds: tuple[str, ...] = ()
    media: str = XML
    may_be_empty: bool = False
    most: int = 8 * _MIB


def listing(container: str) -> Success:
    """A list, or a page of one. Where nothing is in it, Tableau still says how long it is.

    A page has 1,000 items: the limit leaves 64 KiB for each, more than twice what one takes with a name of 255
    characters, a description of 4,000, three bytes each, and a hundred tags.
    """
    return Success(("pagination", container), most=64 * _MIB)


ANY_ANSWER = Success()
SIGN_IN = Success(("credentials",))
SIGN_OUT = Success(may_be_empty=True)
SERVER_INFO = Success(("serverInfo",))
USERS = listing("users")
CONNECTIONS = Success(("connections", "virtualConnectionConnections", "pagination"))
# The connection as it is now, all connections of its item, or none (server-client-python accepts each of them): what
# this shows is compared by the caller.
UPDATE = ANY_ANSWER
DATA_SOURCE = Success(("datasource",))
VIEWS = Success(("views",))
REFRESH = JOB = Success(("job",))
JOBS = listing("backgroundJobs")
CANCEL_JOB = Success(may_be_empty=True)
# Without fields there can be no query; the caller looks for them.
METADATA = Success(media=JSON, most=4 * _MIB)
QUERY = Success(("data",), media=JSON, most=4 * _MIB)
# It is enough to know that there is some: the data of a view may have any size.
VIEW_DATA = Success(media=CSV, most=_MIB)


def element_of(received: Received, success: Success, what: str, redact: Callable[[str], str]) -> Element:
    """The root of an answer in XML; one without children where it is empty, and may be.

    :param what: the request, as method and path
    :param redact: takes secrets out of Tableau's words, which may quote what was sent
    :raises TableauError: when it is no success
    """
    body = _body_of_2xx(received, success, what, redact)
    if not body or body.isspace():
        if success.may_be_empty:
            return Element("tsResponse")
        raise EmptyAnswer(f"{what}: the answer is empty.", status=received.status)
    try:
        root = tsxml.parse(body, received.content_type)
    except BadAnswer as error:
        raise BadAnswer(f"{what}: {error}.", status=received.status) from None
    if root.find("error") is not None:
        raise refusal(received, what, redact)
    if success.holds and all(root.find(name) is None for name in success.holds):
        raise _lacks(success, what, received)
    return root


def bytes_of(received: Received, success: Success, what: str, redact: Callable[[str], str]) -> bytes:
    """The body of an answer in another format than XML.

    :raises TableauError: when it is no success
    """
    body = _body_of_2xx(received, success, what, redact)
    kind = received.content_type.partition(";")[0].strip().lower()
    if kind != success.media:
        shown = redact(kind) or "of no type"
        raise BadAnswer(f"{what}: the answer is {shown} instead of {success.media}.", status=received.status)
    if success.media == JSON:
        _check_json(body, received, success, what, redact)
    return body


def _body_of_2xx(received: Received, success: Success, what: str, redact: Callable[[str], str]) -> bytes:
    if not received.is_2xx:
        raise refusal(received, what, redact)
    if received.body is None:
        raise AnswerTooLarge(
            f"{what}: the answer has more than {success.most // _MIB} MiB when decompressed, which is the limit. "
            "Tableau's own are smaller: find out what answers in its place.",
            status=received.status,
        )
    return received.body


def _check_json(body: bytes, received: Received, success: Success, what: str, redact: Callable[[str], str]) -> None:
    answer = _read_json(body)
    if answer is _NO_JSON:
        raise BadAnswer(f"{what}: the answer is no JSON.", status=received.status)
    said = answer if isinstance(answer, dict) else {}
    if said.keys() & {"error", "errorCode", "tab-error-code"}:
        raise refusal(received, what, redact)
    if success.holds and not any(isinstance(said.get(name), list) for name in success.holds):
        raise _lacks(success, what, received)


def _read_json(body: bytes) -> Any:
    """What is said; ``_NO_JSON`` in place of the parser's own error, which holds all of the answer."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NO_JSON


def _lacks(success: Success, what: str, received: Received) -> BadAnswer:
    wanted = " or ".join(success.holds)
    return BadAnswer(f"{what}: the answer lacks what Tableau answers to that ({wanted}).", status=received.status)
