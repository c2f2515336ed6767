"""Reads an answer piece by piece, and never more of it than may be kept in memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO

import requests
import urllib3

from credential_rotation.tableau.errors import BadAnswer

# The only compression that is asked for; what it decompresses to is bounded here, whatever version of urllib3 there is.
ACCEPT_ENCODING = "gzip"

_PIECE = 64 * 1024
# Of an answer other than 2xx, only Tableau's words are of use; more than this is somebody else's page.
_MOST_OF_A_REFUSAL = 256 * 1024


@dataclass(frozen=True)
class Received:
    """An answer as it came. ``body`` is decompressed, and None where it was too large to be read."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def is_2xx(self) -> bool:
        """Whether it is a success by its status."""
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """What it says that it is."""
        return self.headers.get("Content-Type", "")


def receive(response: requests.Response, most: int) -> Received:
    """Read an answer whose body was not read yet.

    :param most: the most bytes that the body may have, decompressed, where the answer is a success
    :raises requests.RequestException: as where requests reads it
    :raises BadAnswer: when it is compressed in a way that was not asked for
    """
    is_2xx = 200 <= response.status_code < 300
    with closing(response):
        try:
            body = _at_most(most if is_2xx else _MOST_OF_A_REFUSAL, _pieces(response))
        except BadAnswer:
            if is_2xx:
                raise
            body = None  # of a refusal, the status is enough
    return Received(response.status_code, response.headers, body)


def _at_most(most: int, pieces: Iterator[bytes]) -> bytes | None:
    body = BytesIO()
    for piece in pieces:
        body.write(piece)
        if body.tell() > most:
            return None
    return body.getvalue()


def _pieces(response: requests.Response) -> Iterator[bytes]:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", ACCEPT_ENCODING):
        raise BadAnswer("the answer is compressed in a way that was not asked for")
    as_sent = response.raw.stream(_PIECE, decode_content=False)
    try:
        yield from _decompressed(as_sent) if encoding == ACCEPT_ENCODING else as_sent
    except (urllib3.exceptions.ProtocolError, zlib.error) as error:
        raise requests.exceptions.ContentDecodingError(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ConnectionError(error) from error


def _decompressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    unpacking, is_empty = zlib.decompressobj(16 + zlib.MAX_WBITS), True
    for piece in pieces:
        packed, is_empty = piece, False
        while packed and not unpacking.eof:
            yield unpacking.decompress(packed, _PIECE)
            packed = unpacking.unconsumed_tail
    if not unpacking.eof and not is_empty:
        raise zlib.error("it is cut short")
