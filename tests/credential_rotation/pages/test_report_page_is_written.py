"""report.html beside report.json; a page that can't be made changes nothing about the run."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from credential_rotation import rotate_tasks
from credential_rotation.pages import report_page
from credential_rotation.pages.report_page import write_report_page
from credential_rotation.run_folder import RunFolder
from tests.credential_rotation.pages.run_reports import canary, good_report, made_report


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


@pytest.mark.parametrize("broken", [False, True])
def test_the_rest_of_a_report_is_the_same_whether_or_not_there_is_a_page(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    made = made_report(canary(1))
    monkeypatch.setattr(rotate_tasks, "_report", lambda _: made)
    monkeypatch.setattr(rotate_tasks, "_note_arrivals", lambda *_: None)
    if broken:
        monkeypatch.setattr(report_page, "report_context", None)
    task: Any = SimpleNamespace(folder=folder)
    brief, verdict = rotate_tasks._write_report(task)
    [kept] = tmp_path.glob("*/*/report.json")
    assert json.loads(kept.read_text()) == json.loads(json.dumps({**made.head(), "connections": list(made.rows())}))
    assert (brief["state"], verdict) == ("success", "1 updated of 1 targets.")
    assert len(brief["notes"]) == broken
    names = {path.name for path in kept.parent.iterdir()}
    assert names == {"report.json", "report.csv"} | (set() if broken else {"report.html"})
