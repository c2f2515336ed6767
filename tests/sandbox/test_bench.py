"""`make bench`, at small size: what it measures is true, and bounds are kept that are no matter of time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.bench.command import main
from sandbox.bench.results import Row, bound
from sandbox.bench.servers import Latencies, started_tableau

SIZE = 24


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything but the DAG, on a site whose answers take a moment, and on one whose answers take none."""
    folder = tmp_path_factory.mktemp("bench")
    arguments = ["--sizes", str(SIZE), "--without-latency", str(SIZE), "--no-airflow", "--output", str(folder)]
    assert main([*arguments, "--part", "6", "--in-flight", "8"]) == 0
    assert (folder / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    found: dict[str, Any] = json.loads((folder / "benchmark.json").read_text())
    return found


def rows(measured: dict[str, Any], *, slow: bool) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in measured["rows"] if (row["latencies"]["read"] > 0) == slow}


def test_every_contender_did_the_same_work(measured: dict[str, Any]) -> None:
    assert {(row["items"], row["targets"]) for row in measured["rows"]} == {(SIZE, SIZE // 3)}
    assert list(rows(measured, slow=True)) == ["one_at_a_time", "thread_pool", "library", "bound"]
    assert [row["name"] for row in measured["rows"] if row["is_extrapolated"]] == ["one_at_a_time"]


def test_the_library_asks_little_more_than_must_be_asked(measured: dict[str, Any]) -> None:
    """Lists, the sign-in, and what is read back before the first of each type was seen to be there."""
    library, least = rows(measured, slow=True)["library"], rows(measured, slow=True)["bound"]
    assert least["requests"] <= library["requests"] <= least["requests"] + 8 + 2 * 8


def test_nobody_is_faster_than_the_bound(measured: dict[str, Any]) -> None:
    slow = rows(measured, slow=True)
    assert all(row["seconds"] >= slow["bound"]["seconds"] for row in slow.values())
    assert slow["bound"]["seconds"] == pytest.approx((SIZE * 0.2 + SIZE / 3 * 0.4) / 8)


def test_the_bound_is_what_each_item_and_each_target_must_cost() -> None:
    assert bound(8000, 2667, Latencies(200, 400), 16).seconds == pytest.approx(166.675)


def test_rows_are_compared_only_with_those_of_the_same_work() -> None:
    row = Row("library", 10, 3, Latencies(), 1.0, 13)
    assert row.is_beside(bound(10, 3, Latencies(), 16))
    assert not row.is_beside(bound(20, 6, Latencies(), 16))
    assert not row.is_beside(bound(10, 3, Latencies(0, 0), 16))


def test_a_contender_that_can_not_sign_in_is_no_result() -> None:
    with started_tableau(3, "somewhere", Latencies(0, 0)) as tableau:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "sandbox.bench.contenders", "library", "--url", tableau.url, "--site", "elsewhere"],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).resolve().parents[2],
        )
    assert done.returncode != 0
    assert "elsewhere" in done.stderr
