"""Style and scripts, as the pages link them."""

from __future__ import annotations

from functools import cache

from fastapi import Response

from credential_rotation.pages.answers import NoSuchThing, text
from credential_rotation.pages.environment import STATIC

_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}


def answer(name: str) -> Response:
    """A file; by its name in a list, so that no other can be named."""
    found = _files().get(name)
    if found is None:
        raise NoSuchThing("There is no such file.")
    return text(*found)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    return {
        path.name: (path.read_bytes(), _MEDIA_TYPES[path.suffix])
        for path in STATIC.iterdir()
        if path.suffix in _MEDIA_TYPES
    }
