"""Keeping secrets out of sight: in logs (Airflow's masker) and in the texts that others send us."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

from airflow.sdk.log import mask_secret

HIDDEN = "***"

# Below this, hiding a value would black out ordinary text; Airflow's masker draws its line there, too.
_SHORTEST = 5


def forms_of(secret: str) -> list[str]:
    """The secret as a log or an answer may show it: plain, URL-encoded, JSON- or XML-escaped, base64; longest first."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {
        secret,
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        escape(secret),
        escape(secret, {'"': "&quot;", "'": "&apos;"}),
        escape(secret, {'"': "&quot;", "'": "&#39;"}),
        escape(secret, {'"': "&quot;", "'": "&#x27;"}),
        quoteattr(secret)[1:-1],
        escape(secret, {'"': "&quot;", "\t": "&#09;", "\n": "&#10;", "\r": "&#13;"}),  # as ElementTree writes it
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
    return sorted((form for form in forms if len(form) >= _SHORTEST), key=lambda form: (-len(form), form))


def hide_in_logs(secret: str) -> None:
    """Tell Airflow's masker about a secret, in every form in which it may be printed."""
    if not secret:
        return
    for form in forms_of(secret):
        mask_secret(form)


class Redactor:
    """Takes secrets out of text that was written by somebody else: Tableau's error details may quote what was sent."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """From now on take this secret out, too."""
        if secret:
            self._forms.update(forms_of(secret))

    def __call__(self, text: str) -> str:
        """The text without any of the secrets."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, HIDDEN)
        return text
