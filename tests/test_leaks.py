"""The leak scanner finds what it has to find; a scanner that misses something is worse than none."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode
from xml.sax import saxutils

import pytest
from cryptography.fernet import Fernet

from tests.leaks import ArgumentWatch, Scanner, forms

SECRET = """t0ken/with+every <kind> & "quote" and 'apostrophe', b\\ackslash, ümlaut=="""
TOKEN = "eyJraWQiOiIxMjM0NSIsImFsZyI6IkVTMjU2In0.c2VjcmV0LXBhcnQ.c2lnbmF0dXJl"

WRITTEN: dict[str, Callable[[str], str | bytes]] = {
    "plain": lambda s: s,
    "in the middle of a line": lambda s: f"2026-11-24 INFO password={s} and so on",
    "quote": quote,
    "quote, nothing safe": lambda s: quote(s, safe=""),
    "quote_plus": quote_plus,
    "form": lambda s: urlencode({"a": 1, "token": s, "b": 2}),
    "lower-case percent": lambda s: re.sub("%..", lambda match: match[0].lower(), quote(s, safe="")),
    "JSON": lambda s: json.dumps({"password": s}),
    "JSON, not only ASCII": lambda s: json.dumps({"password": s}, ensure_ascii=False),
    "JSON in JSON": lambda s: json.dumps({"extra": json.dumps({"password": s})}),
    "XML text": lambda s: f"<a>{saxutils.escape(s)}</a>",
    "XML attribute": lambda s: f"<connection password={saxutils.quoteattr(s)}/>",
    "XML with all five entities": lambda s: saxutils.escape(s, {'"': "&quot;", "'": "&apos;"}),
    "XML, decimal": lambda s: "".join(f"&#{ord(c)};" if c in "<>&\"'" else c for c in s),
    "XML, every character": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "XML, hex": lambda s: "".join(c if c.isalnum() else f"&#x{ord(c):x};" for c in s),
    "XML, ASCII only": lambda s: saxutils.escape(s).encode("ascii", "xmlcharrefreplace"),
    "HTML": html.escape,
    "repr": lambda s: repr({"password": s}),
    "ascii": lambda s: ascii([s]),
    "repr of bytes": lambda s: repr(s.encode()),
    "hex": lambda s: s.encode().hex(),
    "UTF-16": lambda s: s.encode("utf-16"),
    "basic authorization": lambda s: b"Authorization: Basic " + base64.b64encode(f"user:{s}".encode()),
    "base64, alignment 0": lambda s: base64.b64encode(f"abc{s} and more".encode()),
    "base64, alignment 1": lambda s: base64.b64encode(f"abcd{s} and more".encode()),
    "base64, alignment 2": lambda s: base64.b64encode(f"abcde{s} and more".encode()),
    "urlsafe base64, alignment 0": lambda s: base64.urlsafe_b64encode(f"{s}xx".encode()),
    "urlsafe base64, alignment 1": lambda s: base64.urlsafe_b64encode(f"ÿ?>x{s}>>".encode()[2:]),
    "urlsafe base64, alignment 2": lambda s: base64.urlsafe_b64encode(f"ab{s}x".encode()),
    "gzip": lambda s: gzip.compress(s.encode()),
    "zlib": lambda s: zlib.compress(json.dumps({"dag": s}).encode()),
}


@pytest.fixture
def scanner() -> Scanner:
    return Scanner({"odd": SECRET, "token": TOKEN})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a bit of everything and no secret in it."""
    logs = tmp_path / "logs" / "dag_id=d" / "run_id=r"
    logs.mkdir(parents=True)
    (logs / "attempt=1.log").write_text('{"event": "password=***"}\n')
    (tmp_path / "empty").touch()
    with sqlite3.connect(tmp_path / "airflow.db") as database:
        database.execute("CREATE TABLE connection (id INTEGER, password TEXT, extra BLOB)")
        encrypted = Fernet(Fernet.generate_key()).encrypt(SECRET.encode())
        database.execute("INSERT INTO connection VALUES (1, ?, ?)", (encrypted.decode(), encrypted))
    return tmp_path


def test_a_clean_folder_is_clean(scanner: Scanner, home: Path) -> None:
    assert scanner.folder(home) == []


@pytest.mark.parametrize("secret", [SECRET, TOKEN], ids=["odd", "token"])
@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN.keys())
def test_each_form_is_found_in_a_file(
    scanner: Scanner, home: Path, write: Callable[[str], str | bytes], secret: str
) -> None:
    written = write(secret)
    (home / "logs" / "x.log").write_bytes(written.encode() if isinstance(written, str) else written)
    found = scanner.folder(home)
    assert {finding.secret for finding in found} == {"odd" if secret == SECRET else "token"}
    assert all("x.log" in finding.place for finding in found)


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "blob"])
@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN.keys())
def test_each_form_is_found_in_a_cell(
    scanner: Scanner, home: Path, write: Callable[[str], str | bytes], as_text: bool
) -> None:
    written = write(TOKEN)
    raw = written.encode() if isinstance(written, str) else written
    with sqlite3.connect(home / "airflow.db") as database:
        database.execute("CREATE TABLE x_com (value)")
        cell = raw.decode() if as_text and raw.isascii() else raw
        database.execute("INSERT INTO x_com VALUES (?)", (cell,))
    places = {finding.place.removesuffix(", unpacked") for finding in scanner.folder(home)}
    assert "airflow.db, table x_com, column value" in places


def test_a_long_cell_that_lies_on_several_pages_is_found(scanner: Scanner, home: Path) -> None:
    # In the raw file the secret is torn apart at the page's end.
    with sqlite3.connect(home / "airflow.db") as database:
        database.execute("CREATE TABLE log (extra TEXT)")
        for filling in range(3900, 4120, len(TOKEN) // 2):
            database.execute("INSERT INTO log VALUES (?)", ("x" * filling + TOKEN,))
    places = [finding.place for finding in scanner.folder(home)]
    assert "airflow.db, table log, column extra" in places


def test_what_is_only_in_the_write_ahead_log_is_found(scanner: Scanner, home: Path) -> None:
    database = sqlite3.connect(home / "airflow.db", isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE variable (val TEXT)")
        database.execute("INSERT INTO variable VALUES (?)", (TOKEN,))
        places = {finding.place for finding in scanner.folder(home)}
    finally:
        database.close()
    assert {"airflow.db-wal", "airflow.db, table variable, column val"} <= places
    assert "airflow.db" not in places


def test_a_deleted_row_is_found(scanner: Scanner, home: Path) -> None:
    with sqlite3.connect(home / "airflow.db") as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("CREATE TABLE x_com (value TEXT)")
        database.execute("INSERT INTO x_com VALUES (?)", (TOKEN,))
    with sqlite3.connect(home / "airflow.db") as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("DELETE FROM x_com")
    assert [finding.place for finding in scanner.folder(home)] == ["airflow.db"]


def test_a_file_name_is_looked_at(scanner: Scanner, home: Path) -> None:
    (home / f"run_id={TOKEN}").touch()
    assert [finding.secret for finding in scanner.folder(home)] == ["token"]


def test_a_finding_never_tells_the_secret(scanner: Scanner, home: Path) -> None:
    (home / f"run_id={TOKEN}").write_text(SECRET)
    told = repr(scanner.folder(home)) + "".join(str(finding) for finding in scanner.folder(home))
    assert not Scanner({"odd": SECRET, "token": TOKEN}).data(told, "here")


@pytest.fixture
def leaking_process() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()", f"--password={TOKEN}"], stdin=-1)  # noqa: S603
    yield process
    process.kill()
    process.communicate()


def test_process_arguments_are_looked_at(scanner: Scanner, leaking_process: subprocess.Popen[bytes]) -> None:
    assert [finding.secret for finding in scanner.processes()] == ["token"]
    assert [finding.secret for finding in scanner.processes([leaking_process.pid])] == ["token"]
    assert scanner.processes([1]) == []


def test_a_short_lived_process_is_seen_by_the_watch(scanner: Scanner) -> None:
    with ArgumentWatch(scanner, interval=0.02) as watch:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", TOKEN], check=True)  # noqa: S603
    assert {finding.secret for finding in watch.findings} == {"token"}
    assert watch.looks > 1


def test_a_secret_too_short_to_be_looked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="short has fewer than 8 characters"):
        Scanner({"short": "abc"})


def test_an_ordinary_token_has_few_forms() -> None:
    # No character of it needs escaping, so most forms are the plain one: a scan of a large folder stays quick.
    assert len(forms(TOKEN)) < 20
