"""Secrets stay out of sight, in whatever form they are printed."""

from __future__ import annotations

import base64
import html
import json
import random
import re
import string
import time
from collections.abc import Callable, Iterator
from itertools import product
from urllib.parse import quote, quote_plus, unquote
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


@pytest.mark.usefixtures("nothing_masked")
@pytest.mark.parametrize("secret", ["p<s>&'\"w/+x", "p<s>&'w/+x ä"])
@pytest.mark.parametrize(
    "encoding", ["JSON for HTML", "JSON twice", "XML twice", "URL, lower case", "entities, hexadecimal", "XML in ASCII"]
)
def test_airflows_logs_hide_it_in_other_spellings_as_well(secret: str, encoding: str) -> None:
    hide_in_logs(secret)
    printed = {
        "JSON twice": lambda: json.dumps(json.dumps(secret)[1:-1])[1:-1],
        "XML twice": lambda: escape(escape(secret)),
        "entities, hexadecimal": lambda: each("<>&\"'", lambda char: f"&#x{ord(char):x};")(secret),
    }.get(encoding, lambda: ENCODINGS[encoding](secret))()
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


# As others may write it: one encoding in another, each in its own spelling.

SPECIAL = "<>&'\"\\%+"


def each(what: str, write: Callable[[str], str]) -> Callable[[str], str]:
    """Writes these characters in another way, and leaves the others."""
    return lambda text: "".join(
        write(char) if char in what or (what == SPECIAL and char > "~") else char for char in text
    )


def utf_16_units(char: str) -> Iterator[int]:
    raw = char.encode("utf-16-be")
    return (int.from_bytes(raw[at : at + 2]) for at in range(0, len(raw), 2))


def lower_percents(text: str) -> str:
    return re.sub("%..", lambda match: match[0].lower(), text)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, letters as they are": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON, slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON for HTML": lambda text: each("<>&'", lambda char: f"\\u{ord(char):04x}")(json.dumps(text)[1:-1]),
    "JSON in capitals": lambda text: each("<>&'", lambda char: f"\\u{ord(char):04X}")(json.dumps(text)[1:-1]),
    "\\u, specials": each(SPECIAL, lambda char: "".join(f"\\u{unit:04x}" for unit in utf_16_units(char))),
    "\\x, specials": each(SPECIAL, lambda char: "".join(f"\\x{byte:02x}" for byte in char.encode())),
    "repr": lambda text: repr(text)[1:-1],
    "ascii()": lambda text: ascii(text)[1:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "URL path": quote,
    "URL parameter": lambda text: quote(text, safe=""),
    "URL, lower case": lambda text: lower_percents(quote(text, safe="")),
    "URL, Latin-1": lambda text: quote(text, safe="", encoding="latin-1", errors="xmlcharrefreplace"),
    "URL, every character": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "form": quote_plus,
    "%u": each(SPECIAL, lambda char: "".join(f"%u{unit:04x}" for unit in utf_16_units(char))),
    "XML text": escape,
    "XML attribute": lambda text: escape(text, {'"': "&quot;", "'": "&apos;"}),
    "HTML": html.escape,
    "entities, decimal": each(SPECIAL, lambda char: f"&#{ord(char)};"),
    "entities, hexadecimal": each(SPECIAL, lambda char: f"&#x{ord(char):X};"),
    "entities, zeros before": each(SPECIAL, lambda char: f"&#{ord(char):06};"),
    "entities, every character": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "XML in ASCII": lambda text: escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "CSV": lambda text: text.replace('"', '""'),
    "UTF-8 read as Latin-1": lambda text: text.encode().decode("latin-1"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 without padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode().rstrip(),
    "base64 of a user and it": lambda text: base64.b64encode(f"svc:{text}".encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
}
PACKED = {name for name in ENCODINGS if name.startswith(("base64", "hex", "HEX"))}
ALPHABETS = {
    "a token": string.ascii_letters + string.digits + "-_.",
    "base64": string.ascii_letters + string.digits + "+/=",
    "a password": string.ascii_letters + string.digits + string.punctuation,
    "what is escaped": "<>&'\"\\%+/u0041x3c;#",
    "not ASCII": "aZ0<&'\"äßéñÿÄ€Ωж漢字🔑",
}


def secrets(seed: int) -> dict[str, str]:
    """One of each alphabet, and some that look like something else."""
    draw = random.Random(seed)
    made = {name: "".join(draw.choices(chars, k=draw.randint(10, 40))) for name, chars in ALPHABETS.items()}
    return made | {
        "it looks escaped": '100%41 &lt;b&gt; \\u0041 a+b ""',
        "it looks escaped twice": "%2541&amp;lt;\\\\u0041",
        "blanks": "correct horse <battery> staple",
        "two kilobytes": "eyJhbGciOi." * 190,
    }


def left_of(secret: str, printed: str) -> str:
    """What is left beside the asterisks: half of an escaped character, say, or base64's padding, in any encoding."""
    shown = Redactor([secret])(f"password={printed} for ETL")
    before, hidden, after = shown.partition(HIDDEN)
    assert hidden
    left = before.removeprefix("password=") + after.removesuffix(" for ETL")
    for _ in range(4):
        left = html.unescape(unquote(re.sub(r"(?:%u00|\\+u00|\\+x)", "%", left)))
    return left


def tells_nothing(left: str) -> bool:
    return re.fullmatch(r"[\\\"'=]*(#0*(38|x26);)?", left) is not None


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_a_generated_secret_is_taken_out_of_each_encoding(encoding: str, seed: int) -> None:
    for secret in secrets(seed).values():
        printed = ENCODINGS[encoding](secret)
        assert tells_nothing(left_of(secret, printed)), (secret, printed)


@pytest.mark.parametrize("outer", list(ENCODINGS))
def test_a_generated_secret_is_taken_out_of_an_encoding_in_another(outer: str) -> None:
    for seed, inner in enumerate(ENCODINGS):
        for secret in secrets(seed).values():
            printed = ENCODINGS[outer](ENCODINGS[inner](secret))
            assert tells_nothing(left_of(secret, printed)), (secret, printed)


def test_a_generated_secret_is_taken_out_of_several_encodings_in_one_another() -> None:
    draw = random.Random(20)
    for _ in range(3000):
        secret = draw.choice(list(secrets(draw.randint(0, 9999)).values())[:-1])  # the last one would grow too long
        printed, names = secret, draw.choices(list(ENCODINGS), k=draw.randint(3, 5))
        for name in names:
            printed = ENCODINGS[name](printed)
        left = left_of(secret, printed)
        # Where a line of base64 ends just there, or an entity begins like the secret's last character.
        assert tells_nothing(left) or len(left) <= 8, (names, secret, printed)
        assert not any(secret[at : at + 4] in left for at in range(len(secret) - 3)), (names, secret, printed)


def test_what_is_packed_too_often_to_be_looked_through_is_not_shown() -> None:
    printed = "a-token-of-today"
    for _ in range(12):
        printed = base64.b64encode(printed.encode()).decode()
        assert Redactor(["a-token-of-today"])(f"it is {printed}!") == f"it is {HIDDEN}!"


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name not in PACKED])
def test_a_whole_text_may_be_encoded_and_hold_two_secrets_in_two_encodings(encoding: str) -> None:
    for secret, other in product(secrets(1).values(), secrets(2).values()):
        said = f"Payload <connection password='{secret}'/> was {quote(other, safe='')} before"
        shown = Redactor([secret, other])(ENCODINGS[encoding](said))
        assert HIDDEN in shown
        assert not any(piece in shown for hidden in (secret, other) for piece in pieces(hidden))


def pieces(secret: str) -> Iterator[str]:
    """All parts of a secret that nobody would say by chance."""
    return (secret[at : at + 9] for at in range(len(secret) - 8) if " " not in secret[at : at + 9])


@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_of_a_secret_that_begins_like_another_nothing_is_left(encoding: str) -> None:
    short, long = "token-123", "token-123<and>more&secret"
    shown = Redactor([short, long])(f"is {ENCODINGS[encoding](long)} and {short} it")
    assert shown == f"is {HIDDEN} and {HIDDEN} it"


@pytest.mark.parametrize(
    "text",
    [
        "Too many requests.",
        "Invalid username: jane%40acme.example (100% sure), see C:\\Users\\new\\table.tds",
        "Object 'R&amp;D &#40;EU&#41;' does not exist; a+b, \"\", ümlaut \\u00e4",
        "com.tableausoftware.domain.exceptions.PermissionDeniedException: 8f14e45f-ceea-467f-9538-4c1a8f3c2b11",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        base64.b64encode(b"a picture of something else, in so many bytes").decode(),
    ],
)
def test_a_text_without_a_secret_is_shown_as_it_is(text: str) -> None:
    assert Redactor(secrets(3).values())(text) == text


@pytest.mark.parametrize("secret", list(secrets(6).values()))
def test_a_secret_is_taken_out_in_capitals_and_in_small_letters(secret: str) -> None:
    assert Redactor([secret])(f"is {secret.lower()} it") == f"is {HIDDEN} it"
    assert Redactor([secret])(f"is {secret.swapcase()} it") == f"is {HIDDEN} it" or not secret.isascii()


def test_what_is_escaped_too_often_to_be_looked_through_is_not_shown() -> None:
    redact_it = Redactor(["<secret> & more"])
    often, too_often = (f"a %{'25' * times}3csecret> & more b" for times in (20, 300))
    assert redact_it(often) == f"a {HIDDEN} b"
    assert redact_it(too_often) == HIDDEN


def test_a_text_that_is_too_long_to_be_looked_through_is_not_shown() -> None:
    assert Redactor(["a-token-of-today"])("x" * 100_000) == HIDDEN


@pytest.mark.parametrize(
    "text", ["%" * 9999, "\\" * 9999, "&" * 9999, "%25" * 3333, "A" * 9999, "&#9" * 3333, "ÃÃ" * 4999]
)
def test_no_text_takes_long(text: str) -> None:
    redact_it = Redactor(secrets(4).values())
    started = time.perf_counter()
    redact_it(text)
    assert time.perf_counter() - started < 5


def test_an_ordinary_line_takes_no_time_to_speak_of() -> None:
    redact_it = Redactor(secrets(4).values())
    line = "Tableau answered 403, code 403004 to PUT /api/3.26/sites/48b6ba82-fac3/datasources/5a0c: You may not."
    started = time.perf_counter()
    for _ in range(100):
        redact_it(line)
    assert time.perf_counter() - started < 1


def test_secrets_may_be_added_while_others_are_taken_out() -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (for this test alone)

    redact_all = Redactor()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: redact_all.add(f"secret-number-{number:04}"), range(400)))
        shown = list(pool.map(lambda number: redact_all(f"it is secret-number-{number:04}!"), range(400)))
    assert set(shown) == {f"it is {HIDDEN}!"}
