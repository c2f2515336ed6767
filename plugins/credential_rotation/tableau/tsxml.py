"""Tableau's XML: the one format in which we write and read.

XML and not JSON, on purpose and in both directions: an XML attribute has one spelling of a boolean, while sources
disagree whether ``embedPassword`` is a boolean or a string in JSON; virtual connections and errors are documented in
XML; and Tableau's own schema (ts-api XSD) can check both our requests and its answers.
"""

from __future__ import annotations

import re

# The standard library's parser is safe here: no external entity is read, and a document with a DTD is refused.
from xml.etree import ElementTree as ET
from xml.parsers.expat import ErrorString

from credential_rotation.tableau.errors import BadAnswer

# Each element and each attribute takes up to 300 bytes of memory, however short it is. Of the 1,000 items of a page,
# each has some 30 of them, and two more for each of its tags.
_MOST_PARTS = 500_000
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def first_char_not_in_xml(text: str) -> str | None:
    """The first character of a text that XML 1.0 can't carry, even escaped (https://www.w3.org/TR/xml/#charsets)."""
    found = _NOT_IN_XML.search(text)
    return found.group() if found else None


def request(child: ET.Element | None = None) -> bytes:
    """The body of a request: ``<tsRequest>`` around one element, or empty."""
    root = ET.Element("tsRequest")
    if child is not None:
        root.append(child)
    body: bytes = ET.tostring(root, encoding="utf-8")
    return body


def parse(body: bytes, content_type: str) -> ET.Element:
    """The root of an answer, its namespaces taken off.

    :raises BadAnswer: when it is something else than Tableau's XML: HTML, JSON, nothing, cut short, or a bomb
    """
    start = body[:1000].lstrip()[:200].lower()
    if not start:
        raise BadAnswer("the answer is empty")
    if start.startswith((b"{", b"[")) or "json" in content_type:
        raise BadAnswer("the answer is JSON, but XML was asked for")
    if start.startswith((b"<!doctype", b"<html")):
        raise BadAnswer("the answer is an HTML page: something between here and Tableau answered, or Tableau is down")
    if body.count(b"<") + body.count(b"=") > _MOST_PARTS:
        raise BadAnswer("the answer has more elements and attributes than any of Tableau's")
    root = _tree(body)
    # No error quotes the answer: it may echo a secret.
    if isinstance(root, str):
        raise BadAnswer(f"the answer can't be read as XML, it may be cut short ({root})")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "tsResponse":
        raise BadAnswer("the answer is XML, but not a tsResponse")
    return root


def _tree(body: bytes) -> ET.Element | str:
    """The root; or why there is none, without the parser's own error, which quotes from the answer."""
    try:
        return ET.fromstring(body, ET.XMLParser(target=_WithoutDtd()))  # noqa: S314 (see the import)
    except ET.ParseError as error:
        line, column = error.position
        return f"{ErrorString(error.code)}: line {line}, column {column}"
    except (ValueError, LookupError):
        return "its encoding is not known"


class _WithoutDtd(ET.TreeBuilder):
    """Refuses a document type: Tableau sends none, and entities that it declares may grow to many times its size."""

    def doctype(self, *_: str | None) -> None:
        raise BadAnswer("the answer has a document type, which Tableau's have not")
