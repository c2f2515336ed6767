"""What a text may stand for: all that comes of it when what is escaped or packed in it is undone.

An error may come as JSON in XML in HTML, and each of these escapes what is in it. So each kind of escape is undone by
itself, one layer at a time, in any order, until nothing new comes of it.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterator

# Texts come to a few dozen at most. What comes to more was made to be looked through in vain.
_MOST_FORMS = 200

_PERCENT = re.compile(r"%(?:u([0-9a-fA-F]{4})|([0-9a-fA-F]{2}))")
_BACKSLASH = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|u\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|([0-7]{1,3})|([abfnrtv])|(\W|_))",
    re.DOTALL,
)
_CONTROLS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_ENTITY = re.compile(r"&(?:#([0-9]{1,10})|#[xX]([0-9a-fA-F]{1,8})|[a-zA-Z][a-zA-Z0-9]*);?")
_DOUBLED = re.compile(r"([\"'])\1")
_LATIN_1 = re.compile("[\u0080-\u00ff]{2,}")
_HEXADECIMAL = re.compile("(?:[0-9a-fA-F]{2})+")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
# base64 may be broken into lines.
_PACKED = r"[A-Za-z0-9+/_-](?:(?:\r?\n)?[A-Za-z0-9+/_-]){%d,}={0,2}"


class TooManyForms(Exception):
    """More comes of a text than is looked through."""


def unescaped(text: str) -> list[str]:
    """The text itself, and all that comes of it when escapes are undone.

    :raises TooManyForms: when it is escaped in too many ways
    """
    forms = [text]
    for form in forms:  # grows meanwhile
        for undo in _UNDO:
            undone = undo(form)
            if undone != form and undone not in forms:
                forms.append(undone)
        if len(forms) > _MOST_FORMS:
            raise TooManyForms
    return forms


def packed(shortest: int) -> re.Pattern[str]:
    """What finds the places in a text that may be base64 or hexadecimal digits, of so many characters at least."""
    return re.compile(_PACKED % (shortest - 1))


def unpacked(place: str) -> Iterator[str]:
    """What such a place may stand for, wherever in it the base64 or the digits begin; a character for each byte."""
    digits = re.sub(r"[\r\n=]", "", place).translate({ord("-"): "+", ord("_"): "/"})
    for begin in range(4):
        part = digits[begin:]
        # A character left over is of what comes after.
        part = part[: len(part) - (len(part) % 4 == 1)]
        yield base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")
    for begin in range(2):
        for pairs in _HEXADECIMAL.findall(digits, begin):
            yield bytes.fromhex(pairs).decode("latin-1")


def _percent(match: re.Match[str]) -> str:
    return chr(int(match[1] or match[2], 16))


def _backslash(match: re.Match[str]) -> str:
    hexadecimal = match[1] or match[2] or match[3] or match[4]
    if hexadecimal or match[5]:
        return _char(int(hexadecimal, 16) if hexadecimal else int(match[5], 8), match[0])
    return _CONTROLS[match[6]] if match[6] else match[7]


def _entity(match: re.Match[str]) -> str:
    if match[1] or match[2]:
        return _char(int(match[1]) if match[1] else int(match[2], 16), match[0])
    return html.unescape(match[0])


def _char(code: int, otherwise: str) -> str:
    return chr(code) if code <= 0x10FFFF else otherwise


def _read_as_utf_8(match: re.Match[str]) -> str:
    """What is a character for each byte: base64 and %, and what was misread."""
    return match[0].encode("latin-1").decode("utf-8", "replace")


def _joined(text: str) -> str:
    """Halves of surrogate pairs, each escaped by itself, as the characters that they are."""
    return _PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)


_UNDO: tuple[Callable[[str], str], ...] = (
    lambda text: _joined(_PERCENT.sub(_percent, text)),
    lambda text: _joined(_BACKSLASH.sub(_backslash, text)),
    lambda text: _joined(_ENTITY.sub(_entity, text)),
    lambda text: text.replace("+", " "),
    lambda text: _DOUBLED.sub(r"\1", text),
    lambda text: _LATIN_1.sub(_read_as_utf_8, text),
)
