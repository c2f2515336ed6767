"""Secrets stay out of sight, in whatever form they are printed."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import pytest
from airflow.sdk.log import redact

from credential_rotation.secrecy import HIDDEN, Redactor, forms_of, hide_in_logs

SECRET = "p&ss <w>\"o'rd/+ä\t\n"

# How it may come back: as we send it, as others quote it.
PRINTED = {
    "plain": SECRET,
    "repr": repr(SECRET)[1:-1],
    "JSON": json.dumps(SECRET)[1:-1],
    "JSON with letters as they are": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "XML text": escape(SECRET),
    "XML attribute": quoteattr(SECRET)[1:-1],
    "the XML attribute that we send": ET.tostring(ET.Element("c", {"p": SECRET}), "unicode")[6:-4],
    "HTML": html.escape(SECRET),
    "URL path": quote(SECRET),
    "URL parameter": quote(SECRET, safe=""),
    "form": quote_plus(SECRET),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()).decode(),
}


@pytest.mark.parametrize("printed", list(PRINTED.values()), ids=list(PRINTED))
def test_a_secret_is_taken_out_however_it_is_printed(printed: str) -> None:
    assert Redactor([SECRET])(f"before {printed} after") == f"before {HIDDEN} after"


@pytest.mark.usefixtures("nothing_masked")
@pytest.mark.parametrize("printed", list(PRINTED.values()), ids=list(PRINTED))
def test_airflows_logs_hide_it_however_it_is_printed(printed: str) -> None:
    hide_in_logs(SECRET)
    assert redact(f"before {printed} after") == f"before {HIDDEN} after"


def test_a_secret_within_another_leaves_nothing_of_the_longer_one() -> None:
    redact_both = Redactor(["token-123"])
    redact_both.add("token-123-and-more")
    assert redact_both("a token-123-and-more b token-123 c") == f"a {HIDDEN} b {HIDDEN} c"


def test_every_occurrence_is_taken_out() -> None:
    assert Redactor(["token-123"])("token-123token-123 token-123") == f"{HIDDEN}{HIDDEN} {HIDDEN}"


def test_ordinary_text_stays() -> None:
    assert Redactor(["token-123"])("Too many requests. token-12") == "Too many requests. token-12"
    assert Redactor()("anything") == "anything"


def test_what_is_too_short_to_be_a_secret_does_not_black_out_ordinary_text() -> None:
    redactor = Redactor(["a", "1234", ""])
    assert redactor("a cat has 1234 lives") == "a cat has 1234 lives"
    assert forms_of("") == []


def test_half_a_pair_of_surrogates_is_no_reason_to_fail() -> None:
    secret = "token\ud800-123"
    assert Redactor([secret])(f"a {secret} b") == f"a {HIDDEN} b"


@pytest.mark.usefixtures("nothing_masked")
def test_nothing_to_hide_is_nothing_to_do() -> None:
    hide_in_logs("")
    assert redact("a text") == "a text"
