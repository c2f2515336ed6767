"""A page as a person, a browser and an attacker see it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

_VOID = frozenset({"meta", "link", "input", "br", "img", "hr"})
_UNSEEN = frozenset({"script", "style"})


class SeenPage(HTMLParser):
    """What is in the HTML of a page.

    ``tags`` has each element with its attributes, ``inline`` the text of each script and style by element name and
    type, ``text`` what is there to read, with white space made even.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[tuple[str, str | None, str]] = []
        self._told: list[str] = []
        self._within: list[str] = []
        self.feed(html)
        self.close()
        self.text = re.sub(r"\s+", " ", " ".join(self._told))

    @property
    def policy(self) -> str:
        """Its own Content-Security-Policy."""
        [policy] = [
            attributes["content"] or ""
            for tag, attributes in self.tags
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        return policy

    @property
    def data(self) -> Any:
        """The JSON block of its table."""
        [text] = [text for tag, kind, text in self.inline if kind == "application/json"]
        return json.loads(text)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of its table, with their words."""
        data = self.data
        return [
            {
                field: value if field in data["numbers"] else data["words"][value]
                for field, value in zip(data["fields"], row, strict=True)
            }
            for row in data["rows"]
        ]

    def all(self, tag: str, **having: str) -> list[dict[str, str | None]]:
        """The attributes of each such element."""
        return [
            attributes
            for name, attributes in self.tags
            if name == tag and all(attributes.get(key.rstrip("_")) == value for key, value in having.items())
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._within.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._within.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self._within and self._within[-1] in _UNSEEN:
            tag, attributes = next(each for each in reversed(self.tags) if each[0] == self._within[-1])
            self.inline.append((tag, attributes.get("type"), data))
        elif data.strip():
            self._told.append(data.strip())

    def close(self) -> None:
        super().close()
        assert not self._within, f"never closed: {self._within}"


def csp_hash(text: str) -> str:
    """As a policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
