"""Keeping secrets out of sight: in logs (Airflow's masker) and in the texts that others send us."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

from airflow.sdk.log import mask_secret

from credential_rotation.decoding import TooManyForms, packed, unescaped, unpacked

HIDDEN = "***"

# Below this, hiding a value would black out ordinary text; Airflow's masker draws its line there, too.
_SHORTEST = 5
# A text of more characters than that is no message. Looking through one takes a second or so at worst.
_LONGEST = 20_000
# How often base64 is looked for in base64; what holds more of it is not shown.
_MOST_PACKED = 5


def forms_of(secret: str) -> list[str]:
    """The secret as a log may show it: plain, URL-encoded, escaped for JSON, XML or HTML, in base64; longest first.

    Airflow's masker knows texts only. What others write in their own way is taken out by :class:`Redactor` before.
    """
    raw = secret.encode("utf-8", "surrogatepass")
    in_json = json.dumps(secret)[1:-1]
    in_url = quote(raw, safe="")
    forms = {
        secret,
        in_url,
        re.sub("%..", lambda match: match[0].lower(), in_url),
        quote(raw),
        quote_plus(raw),
        in_json,
        json.dumps(in_json)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        _each(in_json, "<>&'", "\\u{:04x}"),  # as JSON is written in HTML
        repr(secret)[1:-1],
        escape(secret),
        escape(secret, {'"': "&quot;", "'": "&apos;"}),
        escape(secret, {'"': "&quot;", "'": "&#39;"}),
        escape(secret, {'"': "&quot;", "'": "&#x27;"}),
        quoteattr(secret)[1:-1],
        escape(secret, {'"': "&quot;", "\t": "&#09;", "\n": "&#10;", "\r": "&#13;"}),  # as ElementTree writes it
        escape(escape(secret)),
        escape(secret).encode("ascii", "xmlcharrefreplace").decode(),
        _each(secret, "<>&\"'", "&#{};"),
        _each(secret, "<>&\"'", "&#x{:x};"),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
    return sorted((form for form in forms if len(form) >= _SHORTEST), key=lambda form: (-len(form), form))


def _each(text: str, chars: str, written: str) -> str:
    return "".join(written.format(ord(char)) if char in chars else char for char in text)


def hide_in_logs(secret: str) -> None:
    """Tell Airflow's masker about a secret, in each form in which our own processes may print it."""
    if not secret:
        return
    for form in forms_of(secret):
        mask_secret(form)


class Redactor:
    """Takes secrets out of text that was written by somebody else: Tableau's error details may quote what was sent.

    How they quote it is not known, so a secret is looked for in all that the text may stand for. Where it is found in
    another form than the text itself, that form is shown, without the secret.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        # As they are, and as they would be after too much was undone; the longest first. In small letters, since hosts
        # and types of answers are shown so.
        self._secrets: tuple[str, ...] = ()
        self._packed = packed(_SHORTEST)
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """From now on take this secret out, too."""
        with self._lock:
            known = {*self._secrets, *(form.lower() for form in _all_forms(secret) if len(form) >= _SHORTEST)}
            self._secrets = tuple(sorted(known, key=lambda form: (-len(form), form)))
            if self._secrets:
                # In base64, six bits are a character.
                shortest = min(len(form.encode("utf-8", "surrogatepass")) for form in self._secrets)
                self._packed = packed(-(-shortest * 8 // 6))

    def __call__(self, text: str) -> str:
        """The text without any of the secrets; nothing of it where it can't be looked through."""
        if not self._secrets:
            return text
        if len(text) > _LONGEST:
            return HIDDEN
        shown: str | None = text
        try:
            while (shown := self._without_one(text)) is not None:
                text = shown  # shorter by then
        except TooManyForms:
            return HIDDEN
        return text.encode("utf-8", "replace").decode()

    def _without_one(self, text: str) -> str | None:
        """The text without one of the secrets, as often as it is there; None where none is there."""
        forms = unescaped(text)
        for secret in self._secrets:
            for form in forms:
                if secret in form.lower():
                    hidden = re.sub(re.escape(secret), HIDDEN, form, flags=re.IGNORECASE)
                    return hidden if len(hidden) < len(form) else HIDDEN
        for form in forms:
            hidden = self._packed.sub(lambda place: HIDDEN if self._is_packed_in(place[0]) else place[0], form)
            if hidden != form:
                return hidden
        return None

    def _is_packed_in(self, place: str, depth: int = _MOST_PACKED) -> bool:
        if not depth:
            return True
        for form in (form for each in unpacked(place) for form in unescaped(each)):
            small = form.lower()
            if any(secret in small for secret in self._secrets):
                return True
            if any(self._is_packed_in(inner[0], depth - 1) for inner in self._packed.finditer(form)):
                return True
        return False


def _all_forms(secret: str) -> list[str]:
    try:
        return unescaped(secret)
    except TooManyForms:
        return [secret]
