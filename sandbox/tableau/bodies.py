"""Request bodies, XML with or without namespace or JSON, read into one form and checked against what is allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from sandbox.tableau.errors import bad_request

NAMESPACE = "http://tableau.com/api"
ROOT = "tsRequest"


@dataclass
class Node:
    """An element of a request."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def child(self, name: str) -> Node | None:
        """The first child of that name."""
        return next((child for child in self.children if child.name == name), None)


@dataclass(frozen=True)
class Shape:
    """What an element may hold; anything else is a mistake of the caller's, answered with 400000."""

    attributes: frozenset[str] = frozenset()
    children: Mapping[str, Shape] = field(default_factory=dict)
    text: bool = False


def shape(*attributes: str, text: bool = False, **children: Shape) -> Shape:
    """A shape with these attributes and children."""
    return Shape(frozenset(attributes), children, text)


CREDENTIALS = shape(
    "name",
    "password",
    "personalAccessTokenName",
    "personalAccessTokenSecret",
    "jwt",
    "isUat",  # 3.27, Cloud; TSC's JWTAuth always sends it
    site=shape("contentUrl"),
    user=shape("id"),
)
CONNECTION = shape(
    "serverAddress",
    "serverPort",
    "userName",
    "password",
    "embedPassword",
    "queryTaggingEnabled",
    "authenticationType",
)
BULK_CONNECTION = shape("userName", "password", "embedPassword", "authenticationType")
VIRTUAL_CONNECTION = shape("serverAddress", "serverPort", "userName", "password")
CONNECTION_LUIDS = shape(connectionLUID=shape(text=True))
NOTHING = shape()

SIGN_IN_BODY = shape(credentials=CREDENTIALS)
SWITCH_SITE_BODY = shape(site=shape("contentUrl"))
UPDATE_BODY = shape(connection=CONNECTION)
BULK_UPDATE_BODY = shape(connectionLUIDs=CONNECTION_LUIDS, connection=BULK_CONNECTION)
VIRTUAL_UPDATE_BODY = shape(connection=VIRTUAL_CONNECTION)
REFRESH_BODY = shape(extractRefresh=shape("incremental"))  # TSC sends it from 3.25 on


def read(body: bytes, content_type: str) -> Node:
    """Read a body; nothing but a tsRequest with the shapes of the schema gets through."""
    return _read_json(body) if "json" in content_type.casefold() else _read_xml(body)


def check(node: Node, allowed: Shape) -> Node:
    """The node, if it holds nothing that the shape does not name."""
    for name in node.attributes:
        if name not in allowed.attributes:
            raise bad_request(f"Payload is not valid: attribute '{name}' is not allowed in element '{node.name}'.")
    if node.text.strip() and not allowed.text:
        raise bad_request(f"Payload is not valid: element '{node.name}' holds text.")
    for child in node.children:
        if child.name not in allowed.children:
            raise bad_request(f"Payload is not valid: element '{child.name}' is not allowed in '{node.name}'.")
        check(child, allowed.children[child.name])
    return node


def boolean(text: str) -> bool:
    """An XSD boolean: true, false, 1, 0. 'True' is not one."""
    if text not in {"true", "false", "1", "0"}:
        raise bad_request(f"Payload is not valid: '{text}' is not a boolean.")
    return text in {"true", "1"}


def _read_xml(body: bytes) -> Node:
    try:
        # expat itself refuses entity bombs, and this server listens to this machine alone
        root = ET.fromstring(body)  # noqa: S314
    except ET.ParseError as error:
        raise bad_request(f"Payload is either malformed or incomplete: {error}") from error
    node = _from_xml(root)
    if node.name != ROOT:
        raise bad_request(f"Payload is not valid: the root is '{node.name}', not '{ROOT}'.")
    return node


def _from_xml(element: ET.Element) -> Node:
    namespace, _, name = element.tag.rpartition("}")
    if namespace.lstrip("{") not in {"", NAMESPACE}:
        raise bad_request(f"Payload is not valid: unknown namespace in '{element.tag}'.")
    attributes = {key: value for key, value in element.attrib.items() if not key.endswith("}schemaLocation")}
    return Node(name, attributes, [_from_xml(child) for child in element], element.text or "")


def _read_json(body: bytes) -> Node:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise bad_request(f"Payload is either malformed or incomplete: {error}") from error
    if not isinstance(value, dict):
        raise bad_request("Payload is not valid: an object is expected.")
    return _from_json(ROOT, value)


def _from_json(name: str, value: Any) -> Node:
    if not isinstance(value, dict):
        return Node(name, text=_text(value))
    node = Node(name)
    for key, each in value.items():
        if isinstance(each, list):
            node.children.extend(_from_json(key, item) for item in each)
        elif isinstance(each, dict):
            node.children.append(_from_json(key, each))
        else:
            node.attributes[key] = _text(each)
    return node


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
