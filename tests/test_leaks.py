"""The leak scanner finds what it has to find; a scanner that misses something is worse than none."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode
from xml.sax import saxutils

import markupsafe
import pytest
from cryptography.fernet import Fernet
from jinja2.utils import htmlsafe_json_dumps

from credential_rotation.file_names import file_named_after
from credential_rotation.fingerprint import Fingerprints
from credential_rotation.fleet.model import RunBrief
from credential_rotation.fleet.site_state import TokenInForce
from credential_rotation.fleet.writing import Rotation, note_renewal, note_rotation
from credential_rotation.journal import Journal
from credential_rotation.ledgers import Ledgers
from credential_rotation.pages.report_page import write_report_page
from credential_rotation.plan_files import Plan, write_plan
from credential_rotation.renewal.report import RENEWED, RenewalReport, UserReport
from credential_rotation.rotation.ledger import Entry, Ledger
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.proof import Proving
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.report import Report
from credential_rotation.run_folder import RunFolder
from credential_rotation.settings import Settings
from sandbox.leaks import ArgumentWatch, Scanner, forms, traces_of
from tests.builders import snowflake_credential, target

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
    "HTML by Jinja": lambda s: str(markupsafe.escape(s)),
    "JSON in a script": lambda s: f"<script>{htmlsafe_json_dumps({'password': s})}</script>",
    "JSON in an attribute": lambda s: f'<a data-x="{markupsafe.escape(str(htmlsafe_json_dumps({"password": s})))}">',
    "CSV": lambda s: f'1,"{s.replace(chr(34), chr(34) * 2)}",2',
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
    code = "import sys; print(flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code, f"--password={TOKEN}"], stdin=-1, stdout=-1)  # noqa: S603
    # For a moment a process that begins shows no arguments.
    assert process.stdout is not None
    process.stdout.readline()
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


# What this package itself keeps


SITE = "https://tableau.acme.example|acme"


class Kept:
    """Whatever the package writes between and during runs, where it writes it unless told otherwise."""

    def __init__(self, airflow_home: Path) -> None:
        self.reports = Settings.from_environment({"AIRFLOW_HOME": str(airflow_home)}).reports
        self.folder = RunFolder("a_dag", "a_run", self.reports)
        self.ledgers = Ledgers(self.reports, "a_dag")

    def write(self, fingerprint_key: bytes = b"a key", **leak: str) -> None:
        """All of it; a leak stands in the field of that name."""
        record = target(1, touched=True, **{name: text for name, text in leak.items() if name in ("reason", "undoing")})
        write_plan(
            self.folder,
            Plan("plan", 1, (), (), (target(1),), {"tableau_default": SITE}),
            [snowflake_credential(token=TOKEN, previous_password=SECRET)],
            Fingerprints(fingerprint_key),
        )
        proving = Proving("2026-11-24T04:00:00Z", since=0.0, job_id=leak.get("job_id", "job"))
        journal = Journal(self.folder, "plan", "canary-batch", [record])
        journal.note(replace(record, proving=proving))
        journal.close()
        entry = Entry(leak.get("token", "fingerprint"), leak.get("username", "ETL"), "2026-11-24T04:00:00Z", "a_run")
        self.ledgers.write(SITE, Ledger({"item/connection": entry}))
        self.ledgers.open(leak.get("run_id", "a_run"))
        self._tell(replace(record, outcome=Outcome.FAILED), leak)

    def _tell(self, record: ConnectionRecord, leak: Mapping[str, str]) -> None:
        """What people are shown of it: the report, its page, and what the page in Airflow reads."""
        report = Report("a_run", False, (leak.get("problem", "a problem"),), (), 1, (record,), {}, 1.0)
        values = {**report.head(), "connections": list(report.rows())}
        self.folder.write("report.json", values)
        self.folder.write_text("report.csv", report.as_csv())
        assert write_report_page(self.folder, values) is None
        noon = "2026-11-24T12:00:00+00:00"
        run = RunBrief("a_dag", "a_run", "failed", False, None, noon, leak.get("verdict", "a verdict"))
        in_force = {
            "snowflake_pat": TokenInForce(leak.get("login", "ETL"), leak.get("token", "fingerprint"), frozenset())
        }
        note_rotation(self.reports, Rotation(run, self.folder, {"tableau_default": SITE}, in_force, is_whole=True))
        user = UserReport("snowflake_pat", "ETL", outcome=RENEWED, reason=leak.get("token_reason"), expires_at=noon)
        note_renewal(self.reports, run, RenewalReport("a_renewal", False, (), (user,)))


@pytest.fixture
def kept(home: Path) -> Kept:
    return Kept(home)


def test_what_the_package_keeps_is_where_the_scan_looks_and_clean(scanner: Scanner, home: Path, kept: Kept) -> None:
    kept.write()
    names = {path.relative_to(home).parts[:2] for path in home.rglob("*.json")}
    assert names == {("credential_rotation", name) for name in ("ledger", "fleet", "a_dag")}
    assert Scanner(traces_of({"odd": SECRET, "token": TOKEN})).folder(home) == []


@pytest.mark.parametrize(
    ("field", "where"),
    [
        ("token", "credential_rotation/ledger/tableau.acme.example-acme-"),
        ("username", "credential_rotation/ledger/tableau.acme.example-acme-"),
        ("run_id", "credential_rotation/ledger/open/"),
        ("reason", "credential_rotation/a_dag/a_run/work/plan/journals/canary-batch.json"),
        ("undoing", "credential_rotation/a_dag/a_run/work/plan/journals/canary-batch.json"),
        ("job_id", "credential_rotation/a_dag/a_run/work/plan/journals/canary-batch.json"),
        ("reason", "credential_rotation/a_dag/a_run/report.json"),
        ("reason", "credential_rotation/a_dag/a_run/report.csv"),
        ("reason", "credential_rotation/a_dag/a_run/report.html"),
        ("problem", "credential_rotation/a_dag/a_run/report.html"),
        ("reason", "credential_rotation/fleet/targets/"),
        ("login", "credential_rotation/fleet/sites/"),
        ("token", "credential_rotation/fleet/sites/"),
        ("verdict", "credential_rotation/fleet/runs/a_dag.json"),
        ("token_reason", f"credential_rotation/fleet/tokens/{file_named_after('snowflake_pat')}"),
    ],
)
@pytest.mark.parametrize("secret", [SECRET, TOKEN], ids=["odd", "token"])
def test_a_leak_into_what_the_package_keeps_is_found(
    home: Path, kept: Kept, field: str, where: str, secret: str
) -> None:
    kept.write(**{field: f"why, and {secret}"})
    places = {finding.place for finding in Scanner({"secret": secret}).folder(home)}
    assert [place for place in places if place.startswith(where)]


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512", "blake2b"])
@pytest.mark.parametrize(
    "write",
    [
        lambda digest: digest.hex(),
        lambda digest: digest.hex()[:24],
        lambda digest: f"sha:{digest.hex()}",
        lambda digest: base64.b64encode(digest).decode(),
        lambda digest: base64.urlsafe_b64encode(digest).decode().rstrip("="),
    ],
    ids=["hex", "the first half or less", "with a word before", "base64", "urlsafe base64"],
)
def test_a_hash_that_anybody_could_make_is_a_leak(
    home: Path, kept: Kept, kind: str, write: Callable[[bytes], str]
) -> None:
    digest = hashlib.new(kind, TOKEN.encode()).digest()
    kept.write(token=write(digest))
    assert {finding.secret.partition(",")[0] for finding in Scanner(traces_of({"token": TOKEN})).folder(home)} == {
        f"{kind} of token"
    }
