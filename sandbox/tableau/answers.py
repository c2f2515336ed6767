"""Answers as a tree of elements, written as XML or as JSON, whichever the request accepts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from xml.sax.saxutils import escape, quoteattr

Value = str | int | bool | None

XML_TYPE = "application/xml;charset=utf-8"
JSON_TYPE = "application/json;charset=utf-8"


@dataclass(frozen=True)
class Element:
    """An element with attributes and children. `many`: its children are a list, in JSON an array below their name."""

    name: str
    attributes: Mapping[str, Value] = field(default_factory=dict)
    children: Sequence[Element] = ()
    text: str | None = None
    many: bool = False


def listing(name: str, children: Iterable[Element]) -> Element:
    """A list element, such as `datasources` around many `datasource`."""
    return Element(name, children=list(children), many=True)


@dataclass
class Answer:
    """What goes back: a status and either elements, or a body as it stands; `cut` says how the wire fails."""

    status: int = 200
    elements: Sequence[Element] = ()
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = XML_TYPE
    cut: str | None = None  # "reset": the connection is reset; "half": half of the body comes; "close": nothing comes


def as_xml(elements: Sequence[Element], version: str) -> bytes:
    """The elements inside tsResponse, with Tableau's namespace and schema location."""
    parts = [_xml_head(version)]
    for element in elements:
        _write_xml(element, parts)
    parts.append("</tsResponse>")
    return "".join(parts).encode()


@cache
def _xml_head(version: str) -> str:
    schema = f"https://help.tableau.com/samples/en-us/rest_api/ts-api_{version.replace('.', '_')}.xsd"
    return (
        "<?xml version='1.0' encoding='UTF-8'?>"
        '<tsResponse xmlns="http://tableau.com/api" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="http://tableau.com/api {schema}">'
    )


def _write_xml(element: Element, parts: list[str]) -> None:
    parts.append(f"<{element.name}")
    for name, value in element.attributes.items():
        if value is not None:
            text = ("true" if value else "false") if isinstance(value, bool) else str(value)
            parts.append(f" {name}={quoteattr(text)}")
    if not element.children and element.text is None:
        parts.append("/>")
        return
    parts.append(">")
    if element.text is not None:
        parts.append(escape(element.text))
    for child in element.children:
        _write_xml(child, parts)
    parts.append(f"</{element.name}>")


def as_json(elements: Sequence[Element]) -> bytes:
    """The elements as one object (shapes: tableau-mcp's types)."""
    return json.dumps({element.name: _json_value(element) for element in elements}).encode()


def _json_value(element: Element) -> Any:
    if element.many:
        return (
            {element.children[0].name: [_json_value(child) for child in element.children]} if element.children else {}
        )
    if element.text is not None and not element.attributes:
        return element.text
    value: dict[str, Any] = {name: each for name, each in element.attributes.items() if each is not None}
    if element.text is not None:
        value["value"] = element.text
    value.update({child.name: _json_value(child) for child in element.children})
    return value
