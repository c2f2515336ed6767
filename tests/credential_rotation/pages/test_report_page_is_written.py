"""report.html beside report.json; a page that can't be made changes nothing about the run."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from credential_rotation.pages import report_page
from credential_rotation.pages.report_page import write_report_page
from credential_rotation.run_folder import RunFolder
from tests.credential_rotation.pages.run_reports import good_report


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder("rotate_snowflake_pat_in_tableau", "manual__1", str(tmp_path))


def test_it_is_beside_the_other_files(folder: RunFolder, tmp_path: Path) -> None:
    assert write_report_page(folder, good_report()) is None
    [page] = tmp_path.glob("rotate_snowflake_pat_in_tableau/manual__1/report.html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_one_that_can_not_be_made_is_logged_and_noted(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> dict[str, object]:
        raise RuntimeError("what it was")

    monkeypatch.setattr(report_page, "report_context", broken)
    with caplog.at_level(logging.ERROR):
        note = write_report_page(folder, good_report())
    assert note == "report.html could not be made (RuntimeError); report.json and report.csv have everything."
    assert "what it was" in caplog.text
    assert not list(tmp_path.rglob("*.*"))
