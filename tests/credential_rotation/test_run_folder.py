"""The files of a run, on a local disk and on an object store."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from credential_rotation.run_folder import RunFolder

DAG = "rotate_snowflake_pat_in_tableau"
RUN = "manual__2026-01-01T00:00:00+00:00"


@pytest.fixture(params=["a path", "file", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where reports go: a local disk, by both names, and fsspec's object store in memory."""
    return {
        "a path": str(tmp_path / "reports"),
        "file": f"file://{tmp_path}/reports",
        "memory": f"memory://{uuid.uuid4().hex}/reports",
    }[request.param]


@pytest.fixture
def folder(root: str) -> RunFolder:
    return RunFolder(DAG, RUN, root)


def test_what_is_written_can_be_read(folder: RunFolder) -> None:
    value = {"name": "Umsätze 漢字 🔑", "list": [1, None, True, 2.5], "empty": {}}
    folder.write("work/plan.json", value)
    assert folder.read("work/plan.json") == value
    folder.write("work/plan.json", [])
    assert folder.read("work/plan.json") == []


def test_what_is_missing_is_none(folder: RunFolder) -> None:
    assert folder.read("report.json") is None
    assert folder.read("work/no/such/folder.json") is None


@pytest.mark.parametrize("torn", ["", '{"records": [{"con', "[1, 2", "\0\0\0"])
def test_a_torn_file_is_as_good_as_missing(folder: RunFolder, torn: str) -> None:
    folder.write_text("work/task.json", torn)
    assert folder.read("work/task.json") is None


def test_a_file_that_is_no_utf_8_is_as_good_as_missing(tmp_path: Path) -> None:
    folder = RunFolder(DAG, RUN, str(tmp_path))
    Path(folder.write("a.json", "x")).write_bytes(b'"\xff\xfe"')
    assert folder.read("a.json") is None


def test_names_lists_the_files_of_one_folder(folder: RunFolder) -> None:
    for name in ("work/b.json", "work/a.json", "work/deeper/c.json", "other/d.json"):
        folder.write(name, name)
    assert folder.names("work") == ["work/a.json", "work/b.json"]
    assert [folder.read(name) for name in folder.names("work")] == ["work/a.json", "work/b.json"]
    assert folder.names("nowhere") == []
    assert folder.names("work/a.json") == []


def test_a_removed_file_is_gone_and_removing_nothing_is_no_error(folder: RunFolder) -> None:
    folder.write("work/a.json", 1)
    folder.remove("work/a.json")
    assert folder.read("work/a.json") is None
    assert folder.names("work") == []
    folder.remove("work/a.json")
    folder.remove("no/such/folder/a.json")


def test_there_is_nothing_below_a_file(tmp_path: Path) -> None:
    folder = RunFolder(DAG, RUN, str(tmp_path))
    folder.write("report.json", 1)
    assert folder.read("report.json/below.json") is None


@pytest.mark.parametrize(
    "run_id",
    [
        RUN,
        "scheduled__2026-01-01T00:00:00.123456+00:00",
        "asset_triggered__2026-01-01T00:00:00+00:00_x1",
        "with blanks and ümlauts",
        "a~b_c.d-e",
        "a@b",
        "dots..",
    ],
)
def test_an_odd_run_id_is_a_folder_of_its_own(root: str, run_id: str) -> None:
    odd, other = RunFolder(DAG, run_id, root), RunFolder(DAG, "another", root)
    odd.write("report.json", run_id)
    assert odd.read("report.json") == run_id
    assert other.read("report.json") is None
    assert [path.name for path in ObjectStoragePath(f"{root}/{DAG}").iterdir()] == [run_id]


def test_where_a_file_is_can_be_read_by_people_and_programs(folder: RunFolder, root: str) -> None:
    where = folder.write("report.json", {"a": 1})
    assert where.endswith(f"{DAG}/{RUN}/report.json")
    assert json.loads(ObjectStoragePath(where).read_text()) == {"a": 1}
    assert ("://" in where) is root.startswith("memory")


def test_a_file_is_whole_at_every_moment(tmp_path: Path) -> None:
    folder = RunFolder(DAG, RUN, str(tmp_path))
    values = [[n] * 20_000 for n in range(8)]
    folder.write("work/task.json", values[0])

    def write_and_read(number: int) -> bool:
        folder.write("work/task.json", values[number % 8])
        return folder.read("work/task.json") in values

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, range(80)))
    assert folder.names("work") == ["work/task.json"]
    assert os.listdir(tmp_path / DAG / RUN / "work") == ["task.json"]  # noqa: PTH208 (hidden ones, too)


def test_a_process_that_is_killed_while_it_writes_leaves_the_file_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(DAG, RUN, str(tmp_path))
    folder.write("work/task.json", "before")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.write("work/task.json", "after")
    assert folder.read("work/task.json") == "before"
    assert folder.names("work") == ["work/task.json"]


def test_a_text_may_come_in_pieces_and_one_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    folder = RunFolder(DAG, RUN, str(tmp_path))
    assert Path(folder.write_text("report.html", iter(["<p>", "1</p>"]))).read_text() == "<p>1</p>"

    def broken() -> Iterator[str]:
        yield "<p>"
        raise RuntimeError("broken off")

    with pytest.raises(RuntimeError, match="broken off"):
        folder.write_text("report.html", broken())
    assert Path(tmp_path / DAG / RUN / "report.html").read_text() == "<p>1</p>"
    assert os.listdir(tmp_path / DAG / RUN) == ["report.html"]  # noqa: PTH208 (hidden ones, too)


def test_what_another_task_wrote_since_the_last_listing_is_listed(root: str) -> None:
    mine, another = RunFolder(DAG, RUN, root), RunFolder(DAG, RUN, root)
    mine.write("work/a.json", 1)
    assert mine.names("work") == ["work/a.json"]
    another.write("work/b.json", 2)
    assert mine.names("work") == ["work/a.json", "work/b.json"]


def test_the_elements_of_a_last_list_can_be_read_one_by_one_and_the_rest_without_them(folder: RunFolder) -> None:
    rows = [{"name": f"Orders\u2028\x85\r\n{number} }},\n", "list": [number]} for number in range(3)]
    folder.write("report.json", {"state": "success", "problems": [], "summary": {"a": 1}, "connections": iter(rows)})
    assert list(folder.elements("report.json", "connections")) == rows
    told = {"state": "success", "problems": [], "summary": {"a": 1}}
    assert folder.head("report.json", before="connections") == told
    head, found = folder.head_and_elements("report.json", "connections", containing='"list": [1]')
    assert (head, list(found)) == (told, rows[1:2])


def test_of_a_missing_file_there_are_no_elements_and_no_head(folder: RunFolder) -> None:
    assert list(folder.elements("report.json", "connections")) == []
    assert folder.head("report.json", before="connections") == {}


def test_an_empty_list_has_no_elements(folder: RunFolder) -> None:
    folder.write("report.json", {"state": "success", "connections": iter(())})
    assert list(folder.elements("report.json", "connections")) == []
    assert folder.head("report.json", before="connections") == {"state": "success"}
