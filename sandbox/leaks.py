"""Find secrets where none may be: in files, in the cells of SQLite databases, in the arguments of processes.

A secret seldom leaks as it is. It comes percent-encoded in a URL, escaped in JSON or XML, inside a base64 block
(`Authorization: Basic`, a JWT), or as Python prints it. The scanner looks for all of these and tells
the *name* of what it found, never the value.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import html
import json
import os
import sqlite3
import subprocess
import threading
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, quote_plus
from xml.sax import saxutils

import markupsafe

SHORTEST = 8
"""A shorter secret, or a shorter part of one, would be found by chance."""

_HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s")

SQLITE_MAGIC = b"SQLite format 3\x00"
ZLIB_HEADERS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


@dataclass(frozen=True, order=True)
class Finding:
    """One secret in one place."""

    secret: str
    form: str
    place: str

    def __str__(self) -> str:
        return f"{self.secret} ({self.form}) in {self.place}"


def forms(value: str) -> dict[bytes, str]:
    """How a secret may be written, each with the name of that form; what equals the plain one counts as plain."""
    written: dict[bytes, str] = {}
    for form, text in _text_forms(value):
        written.setdefault(text.encode(), form)
    for form, data in _byte_forms(value.encode()):
        if len(data) >= SHORTEST:
            written.setdefault(data, form)
    return written


def _text_forms(value: str) -> Iterator[tuple[str, str]]:
    yield "plain", value
    for form, encoded in (
        ("quote", quote(value)),
        ("quote, nothing safe", quote(value, safe="")),
        ("quote_plus", quote_plus(value)),
    ):
        yield form, encoded
        yield f"{form}, lower case", _lower_case_percents(encoded)
    for form, ascii_only in (("JSON", True), ("JSON, not only ASCII", False)):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield form, once
        yield f"{form}, twice", json.dumps(once, ensure_ascii=ascii_only)[1:-1]
    yield "JSON, slashes escaped", json.dumps(value)[1:-1].replace("/", "\\/")
    yield "XML escape", saxutils.escape(value)
    yield "XML quoteattr", saxutils.quoteattr(value)[1:-1]
    yield "XML, all five entities", saxutils.escape(value, {'"': "&quot;", "'": "&apos;"})
    yield "HTML escape", html.escape(value)
    yield "HTML as Jinja writes it", str(markupsafe.escape(value))
    for form, ascii_only in (("JSON in HTML", True), ("JSON in HTML, not only ASCII", False)):
        in_json = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        for char in "<>&'":
            in_json = in_json.replace(char, f"\\u{ord(char):04x}")
        yield form, in_json
        yield f"{form}, in an attribute", str(markupsafe.escape(in_json))
    yield "CSV", value.replace('"', '""')
    yield "XML numeric", "".join(char if char.isalnum() else f"&#{ord(char)};" for char in value)
    yield "XML numeric, hex", "".join(char if char.isalnum() else f"&#x{ord(char):x};" for char in value)
    yield "XML numeric, specials", "".join(f"&#{ord(char)};" if char in "<>&\"'" else char for char in value)
    yield "XML numeric, every character", "".join(f"&#{ord(char)};" for char in value)
    yield "XML ASCII", saxutils.escape(value).encode("ascii", "xmlcharrefreplace").decode()
    yield "repr", repr(value)[1:-1]
    yield "ascii()", ascii(value)[1:-1]
    yield "repr of bytes", repr(value.encode())[2:-1]


def _byte_forms(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "hex", value.hex().encode()
    yield "hex, upper case", value.hex().upper().encode()
    yield "UTF-16", value.decode().encode("utf-16-le")
    for before in range(3):
        # What stands before the secret shifts it within the groups of three bytes; the characters which depend on its
        # neighbours are left out.
        begin = -(-before * 8 // 6)
        end = (before + len(value)) * 8 // 6
        shifted = b"\x00" * before + value
        yield f"base64, {before} before", base64.b64encode(shifted)[begin:end]
        yield f"urlsafe base64, {before} before", base64.urlsafe_b64encode(shifted)[begin:end]


def _lower_case_percents(encoded: str) -> str:
    head, *rest = encoded.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])


def traces_of(secrets: Mapping[str, str]) -> dict[str, str]:
    """These secrets, and the hashes of them that anybody could make, who then could try out what the secret is."""
    traces = dict(secrets)
    for name, value in secrets.items():
        for kind in _HASHES:
            digest = hashlib.new(kind, value.encode(), usedforsecurity=False).digest()
            # The beginning is enough to recognise it, for whoever shortened it will have kept that much.
            traces[f"{kind} of {name}"] = digest.hex()[:20]
            for form, encode in (("base64", base64.b64encode), ("urlsafe base64", base64.urlsafe_b64encode)):
                traces[f"{kind} of {name}, {form}"] = encode(digest).decode()[:14]
    return traces


class Scanner:
    """Looks for these secrets.

    :param secrets: name to value.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        for name, value in secrets.items():
            if len(value) < SHORTEST:
                raise ValueError(f"{name} has fewer than {SHORTEST} characters; it would be found by chance")
        self._patterns = [(name, form, data) for name, value in secrets.items() for data, form in forms(value).items()]

    def data(self, data: bytes | str, place: str) -> list[Finding]:
        """Look into bytes or text, and into what they hold when they are compressed."""
        raw = data.encode() if isinstance(data, str) else data
        found = [Finding(name, form, place) for name, form, pattern in self._patterns if pattern in raw]
        if (unpacked := _unpacked(raw)) is not None:
            found += self.data(unpacked, f"{place}, unpacked")
        return found

    def folder(self, folder: Path, *, since: float = 0.0, without: Collection[str] = ()) -> list[Finding]:
        """Look into every file below, its name included; into SQLite databases cell by cell as well.

        :param since: leave out what was not written to since then
        :param without: leave out the files of these names
        """
        found: list[Finding] = []
        for path in _files(folder):
            if path.name in without:
                continue
            place = str(path.relative_to(folder))
            if in_name := self.data(place, "the name of a file"):
                found += in_name
                place = "a file whose name has a secret in it"
            # A file may be gone before it is read while Airflow is at work.
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime >= since:
                    found += self._file(path, place)
        return sorted(set(found))

    def processes(self, pids: Iterable[int] | None = None) -> list[Finding]:
        """Look at the arguments of these processes, or of all."""
        chosen = None if pids is None else set(pids)
        found = []
        for pid, arguments in _arguments():
            if chosen is None or pid in chosen:
                found += self.data(arguments, "the arguments of a process")
        return sorted(set(found))

    def _file(self, path: Path, place: str) -> list[Finding]:
        content = path.read_bytes()
        found = self.data(content, place)
        if content.startswith(SQLITE_MAGIC):
            found += self._database(path, place)
        return found

    def _database(self, path: Path, place: str) -> list[Finding]:
        # SQLite itself reads what is still in the write-ahead log, and joins what lies on several pages.
        found = []
        with contextlib.closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
        ) as database:
            database.text_factory = bytes
            tables = [
                str(name, "utf-8")
                for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            for table in tables:
                quoted = table.replace('"', '""')
                rows = database.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608
                columns = [column[0] for column in rows.description]
                for row in rows:
                    for column, cell in zip(columns, row, strict=True):
                        if isinstance(cell, bytes):
                            found += self.data(cell, f"{place}, table {table}, column {column}")
        return found


class ArgumentWatch:
    """Looks at the arguments of all processes again and again, while something runs whose processes are short-lived."""

    def __init__(self, scanner: Scanner, interval: float = 0.25) -> None:
        self.findings: set[Finding] = set()
        self.looks = 0
        self._scanner = scanner
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            self.findings |= set(self._scanner.processes())
            self.looks += 1
            self._over.wait(self._interval)


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _unpacked(data: bytes) -> bytes | None:
    try:
        if data.startswith(b"\x1f\x8b"):
            return gzip.decompress(data)
        if data.startswith(ZLIB_HEADERS):
            return zlib.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None  # it only looked like it
    return None


def _arguments() -> Iterator[tuple[int, bytes]]:
    proc = Path("/proc")
    if (proc / "self").exists():
        for entry in proc.iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    yield int(entry.name), (entry / "cmdline").read_bytes()
        return
    listing = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], check=True, capture_output=True)  # noqa: S607
    for line in listing.stdout.splitlines():
        pid, _, arguments = line.strip().partition(b" ")
        yield int(pid), arguments
