"""`python -m sandbox bench`: every contender on the same sites, one after the other."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from sandbox.bench.contenders import CREDENTIAL, Measured
from sandbox.bench.on_airflow import run_dag, started_airflow
from sandbox.bench.results import NAMES, Row, bound, draw, print_table, write_json
from sandbox.bench.servers import Latencies, Tableau, started_tableau
from sandbox.local_airflow import REPOSITORY, LocalAirflow

CLOUD = Latencies()
NONE = Latencies(0, 0)


class WrongResult(Exception):
    """A contender has not done its work; how long that took is of no interest."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write it down."""
    options = _parser().parse_args(argv)
    console = Console(width=140)  # the table has eleven columns
    rows: list[Row] = []
    with ExitStack() as stack:
        airflow = None
        if options.airflow:
            console.print("Starting Airflow ...")
            airflow = stack.enter_context(started_airflow(options.home, options.in_flight))
        for latencies, items in [*((CLOUD, size) for size in options.sizes), (NONE, options.without_latency)]:
            for row in _measure(items, latencies, options, airflow):
                console.print(f"{row.items:,} items · {NAMES[row.name]}: {row.seconds:,.1f} s")
                rows.append(row)
    print_table(rows, console)
    options.output.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    write_json(rows, options.output / "benchmark.json", in_flight=options.in_flight, machine=machine)
    draw(rows, options.output / "benchmark.png")
    console.print(f"Written: {options.output / 'benchmark.json'}, {options.output / 'benchmark.png'}")
    return 0


def _measure(
    items: int, latencies: Latencies, options: argparse.Namespace, airflow: LocalAirflow | None
) -> Iterator[Row]:
    """Every contender on a site of its own, each like the other."""
    # At that pace a script needs hours for the rest; it does not become faster meanwhile.
    only = options.part if latencies == CLOUD and items > options.part else None
    targets = 0
    for name in ("one_at_a_time", "thread_pool", "library", *(["airflow"] if airflow else [])):
        with started_tableau(items, f"bench-{items}-{latencies.read:g}-{name}".replace("_", "-"), latencies) as tableau:
            targets, part = tableau.targets(), only if name == "one_at_a_time" else None
            tableau.requests_by_operation()
            measured = (
                run_dag(airflow, tableau) if name == "airflow" and airflow else _run(name, tableau, options, part)
            )
            if not part and not measured.updated == tableau.holding(CREDENTIAL.new_secret) == targets:
                raise WrongResult(f"{NAMES[name]}: {measured.updated} of {targets} targets are updated")
            asked, factor = sum(tableau.requests_by_operation().values()), items / part if part else 1
            yield Row(
                name,
                items,
                targets,
                latencies,
                measured.seconds * factor,
                round(asked * factor),
                measured.cpu_seconds * factor,
                measured.memory_mb,
                is_extrapolated=bool(part),
            )
    yield bound(items, targets, latencies, options.in_flight)


def _run(name: str, tableau: Tableau, options: argparse.Namespace, part: int | None) -> Measured:
    arguments = [name, "--url", tableau.url, "--site", tableau.site, "--in-flight", str(options.in_flight)]
    arguments += ["--only", str(part)] if part else []
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "sandbox.bench.contenders", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise WrongResult(f"{NAMES[name]} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox bench", description="How fast the rotation is, side by side with scripts."
    )
    parser.add_argument("--sizes", type=_sizes, default=[500, 2000, 8000], help="items (default: 500,2000,8000)")
    parser.add_argument("--in-flight", type=int, default=16, help="requests at a time (default: %(default)s)")
    parser.add_argument(
        "--part", type=int, default=500, help="items that the script does at larger sizes (default: %(default)s)"
    )
    parser.add_argument("--without-latency", type=int, default=2000, metavar="ITEMS", help="(default: %(default)s)")
    parser.add_argument("--no-airflow", dest="airflow", action="store_false", help="leave the DAG out")
    parser.add_argument("--home", type=Path, default=REPOSITORY / ".airflow-bench", help="AIRFLOW_HOME of the DAG")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs", help="a folder (default: docs)")
    return parser


def _sizes(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]
