"""Files of a run are sent as they are, and never held as a whole."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from credential_rotation.pages.run_files import run_file
from tests.credential_rotation.fleet.story import ROTATION
from tests.credential_rotation.pages.airflow_around import Visitor

MEGABYTE = 1_000_000


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREDENTIAL_ROTATION_REPORTS", f"file://{tmp_path}")
    return tmp_path


def write(reports: Path, content: bytes, dag_id: str = ROTATION) -> None:
    folder = reports / dag_id / "run-1"
    folder.mkdir(parents=True)
    (folder / "report.json").write_bytes(content)


def test_a_large_report_is_never_in_memory_as_a_whole(reports: Path) -> None:
    write(reports, b"[" + b'"connection",' * 2_000_000 + b"0]")
    tracemalloc.start()
    try:
        pieces = run_file(f"file://{reports}", ROTATION, "run-1", "report.json")
        assert pieces is not None
        length = sum(len(piece) for piece in pieces)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length > 25 * MEGABYTE
    assert peak < 2 * MEGABYTE


def test_the_report_is_answered_byte_for_byte(reports: Path, visitor: Visitor) -> None:
    content = '{\n"state": "success",\n"connections": [\n{"content_name": "Übersicht"}\n]\n}'.encode()
    write(reports, content)
    answer = visitor.get(f"/api/run?dag_id={ROTATION}&run_id=run-1")
    assert answer.content == content
    assert answer.headers["Content-Type"] == "application/json"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_of_other_dags_nothing_is_sent(reports: Path, visitor: Visitor) -> None:
    write(reports, b"{}", dag_id="another_dag")
    assert visitor.get("/api/run?dag_id=another_dag&run_id=run-1").status_code == 404
    write(reports, b"{}", dag_id="fleet")
    assert visitor.get("/api/run?dag_id=fleet&run_id=run-1").status_code == 404


def test_the_table_is_there_to_be_kept(reports: Path, visitor: Visitor) -> None:
    write(reports, b'{"state": "success", "connections": []}')
    table = "content_name,outcome\nÜbersicht,updated\n".encode()
    (reports / ROTATION / "run-1" / "report.csv").write_bytes(table)
    seen = visitor.sees(f"/run?dag_id={ROTATION}&run_id=run-1")
    [link] = [attributes["href"] for tag, attributes in seen.tags if attributes.get("download") == "report.csv"]
    answer = visitor.get(f"/{link}")
    assert answer.content == table
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="report.csv"'


def test_without_a_table_there_is_a_kind_404(reports: Path, visitor: Visitor) -> None:
    answer = visitor.get(f"/report.csv?dag_id={ROTATION}&run_id=run-1")
    assert answer.status_code == 404
    assert "There is no report of such a run." in answer.text
