"""Names that become parts of paths: readable where they are ordinary, and never two that are one."""

from __future__ import annotations

import itertools
import json
import string
import uuid
from pathlib import Path
from random import Random
from urllib.parse import unquote

import pytest
from airflow.sdk import ObjectStoragePath

from credential_rotation.file_names import file_named_after, json_file, path_part
from credential_rotation.run_folder import Folder, RunFolder

DAG = "rotate_snowflake_pat_in_tableau"
MEANS_SOMETHING = "./:%\\~"


def odd_names() -> list[str]:
    """What Airflow takes for a run id by its own pattern, by the widest that can be set, and for a connection's id."""
    random = Random("odd names")
    short = ["".join(each) for length in (1, 2, 3) for each in itertools.product(MEANS_SOMETHING, repeat=length)]
    by_default = string.ascii_letters + string.digits + "_.~:+-"
    widest = by_default + string.punctuation + " \t\n\r\0\x1b\x7f\u00a0\u200b\u2028ée\u0301ü漢🔑．／："
    drawn = [
        "".join(random.choices(letters, k=random.randint(1, 12))) for letters in (by_default, widest) for _ in range(60)
    ]
    around = [f"nov{odd}2" for odd in widest] + [f"nov{odd}{odd}2" for odd in widest] + [f"nov{odd}" for odd in widest]
    long = ["x" * 250, "x" * 251, "漢" * 250, "漢" * 249 + "字", ":" * 250, "::" * 200, "%" * 300, "é" * 128]
    escaped = ["nov%3A%3A2", "nov:%3A2", "nov%253A2", "%", "%-", "%2E", "%2e"]
    return sorted({*short, *drawn, *around, *long, *escaped})


@pytest.fixture(params=["file", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A local disk, and fsspec's object store in memory."""
    return {"file": f"file://{tmp_path}/reports", "memory": f"memory://{uuid.uuid4().hex}/reports"}[request.param]


@pytest.mark.parametrize(
    "name",
    [
        "manual__2026-11-24T03:45:00.123456+00:00",
        "scheduled__2026-11-24T03:45:00+00:00",
        "asset_triggered__2026-11-24T03:45:00+00:00_aB3~x",
        "backfill__2026-11-24T03:45:00+00:00",
        "november",
        "with blanks and ümlauts",
        "a@b",
        "dots..",
        "snowflake_pat.json",
        "a#b!(c).json",
        "a" * 250,
    ],
)
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert path_part(name) == name


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (".", "%2E"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("nov::2", "nov:%3A2"),
        ("a/b", "a%2Fb"),
        ("a\\b", "a%5Cb"),
        ("100%", "100%25"),
        ("a\n", "a%0A"),
        ("a?b*c", "a%3Fb%2Ac"),
        ("", "%"),
    ],
)
def test_what_is_no_mere_character_of_a_name_is_escaped(name: str, part: str) -> None:
    assert path_part(name) == part


def test_different_names_have_different_parts() -> None:
    names = odd_names()
    # A name that looks like the part of another is one more name.
    names = sorted({*names, *map(path_part, names)})
    assert len({path_part(name) for name in names}) == len(names)


def test_escapes_can_be_read_back_by_whatever_reads_urls() -> None:
    short = [name for name in odd_names() if "%-" not in path_part(name)]
    assert [unquote(path_part(name)) for name in short] == short


def test_no_part_is_longer_than_disks_allow_or_leads_elsewhere() -> None:
    for part in map(path_part, odd_names()):
        assert 0 < len(part.encode()) <= 255
        assert not part.startswith(".")
        assert not set(part) & set("/\\\0\n\r")
        assert "::" not in part


def test_two_long_names_that_begin_alike_are_told_apart() -> None:
    one, other = path_part("漢" * 249 + "一"), path_part("漢" * 249 + "二")
    assert one != other
    assert one.startswith("漢" * 60)


def test_each_odd_run_id_has_a_folder_of_its_own(root: str) -> None:
    names = odd_names()
    for name in names:
        RunFolder(DAG, name, root).write("work/run.json", {"run_id": name})
    for name in names:
        folder = RunFolder(DAG, name, root)
        assert folder.read("work/run.json") == {"run_id": name}
        assert folder.names("work") == ["work/run.json"]
    assert len(list(ObjectStoragePath(f"{root}/{DAG}").iterdir())) == len(names)
    assert [path.name for path in ObjectStoragePath(root).iterdir()] == [DAG]


def test_each_odd_connection_has_a_file_of_its_own(root: str) -> None:
    names, folder = odd_names(), Folder(root)
    for name in names:
        folder.write(f"arrivals/{json_file(name)}", name)
    assert [folder.read(f"arrivals/{json_file(name)}") for name in names] == names
    assert len(folder.names("arrivals")) == len(names)


def test_a_file_that_is_named_after_something_is_a_part_of_a_path_as_it_is() -> None:
    names = [file_named_after(name) for name in odd_names()]
    assert len(set(names)) == len(names)
    assert [path_part(name) for name in names] == names
    assert json.dumps(names).isascii()
