"""Tableau's XML: the one format in which we write and read.

XML and not JSON, on purpose and in both directions: an XML attribute has one spelling of a boolean, while sources
disagree whether ``embedPassword`` is a boolean or a string in JSON; virtual connections and errors are documented in
XML; and Tableau's own schema (ts-api XSD) can check both our requests and its answers.
"""

from __future__ import annotations

import re

# The standard library's parser is safe here: expat 2.4.1 and later stop entity bombs, and no external entity is read.
from xml.etree import ElementTree as ET

from credential_rotation.tableau.errors import BadAnswer

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

    :raises BadAnswer: when it is something else than Tableau's XML: HTML, JSON, nothing, or cut short
    """
    start = body.lstrip()[:200].lower()
    if not start:
        raise BadAnswer("the answer is empty")
    if start.startswith((b"{", b"[")) or "json" in content_type:
        raise BadAnswer("the answer is JSON, but XML was asked for")
    if start.startswith((b"<!doctype", b"<html")):
        raise BadAnswer("the answer is an HTML page: something between here and Tableau answered, or Tableau is down")
    try:
        root = ET.fromstring(body)  # noqa: S314 (see the import)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise BadAnswer(f"the answer can't be read as XML, it may be cut short ({error})") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "tsResponse":
        raise BadAnswer(f"the answer is XML, but no tsResponse: <{root.tag[:40]}>")
    return root
