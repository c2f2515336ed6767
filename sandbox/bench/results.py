"""What was measured, as a table, as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sandbox.bench.servers import Latencies

NAMES = {
    "one_at_a_time": "script, one at a time",
    "thread_pool": "script, thread pool",
    "library": "our steps without Airflow",
    "airflow": "our DAG on Airflow",
    "bound": "what the server allows",
}


@dataclass(frozen=True)
class Row:
    """One contender at one size.

    :param seconds: from the first request to the last; of the DAG from the trigger until it is green
    :param is_extrapolated: only the first items were done, and the rest takes as long
    :param memory_mb: of its largest process
    """

    name: str
    items: int
    targets: int
    latencies: Latencies
    seconds: float
    requests: int
    cpu_seconds: float = 0.0
    memory_mb: float = 0.0
    is_extrapolated: bool = False

    def is_beside(self, other: Row) -> bool:
        """Whether both did the same work."""
        return (self.items, self.latencies) == (other.items, other.latencies)


def bound(items: int, targets: int, latencies: Latencies, in_flight: int) -> Row:
    """The least time: each item is read once and each target written once, with so many requests in flight."""
    seconds = (items * latencies.read + targets * latencies.write) / 1000 / in_flight
    return Row("bound", items, targets, latencies, seconds, items + targets)


def write_json(rows: Sequence[Row], path: Path, **facts: Any) -> None:
    """Everything that was measured, with what else is to be known of it."""
    path.write_text(json.dumps(facts | {"rows": [asdict(row) for row in rows]}, indent=2) + "\n")


def print_table(rows: Sequence[Row], console: Console) -> None:
    """A table for people."""
    table = Table(title="Seconds to find and update every target")
    for heading in ("latency ms", "items", "targets", "who", "seconds", "× (a)", "÷ bound", "requests", "req/s"):
        table.add_column(heading, justify="left" if heading == "who" else "right")
    table.add_column("CPU ms/req", justify="right")
    table.add_column("MB", justify="right")
    for row in rows:
        table.add_row(*_cells(row, rows), end_section=row.name == "bound")
    console.print(table)
    console.print(
        "~ extrapolated from the first items; MB: the largest process; × (a): as fast as the script, so often"
    )


def draw(rows: Sequence[Row], path: Path) -> None:
    """Seconds over items, for each contender."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (slow)

    latencies = rows[0].latencies
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="tight")
    axes = figure.subplots()
    for name, words in NAMES.items():
        points = sorted((row.items, row.seconds) for row in rows if row.name == name and row.latencies == latencies)
        style = {"linestyle": "--", "color": "grey", "linewidth": 1} if name == "bound" else {"marker": "o"}
        axes.plot(*zip(*points, strict=True), label=words, **style)
    axes.set(xscale="log", yscale="log", xlabel="items on the site, a third of them targets", ylabel="seconds")
    sizes = sorted({row.items for row in rows if row.latencies == latencies})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.set_title(f"Tableau takes {latencies.read:g} ms to read and {latencies.write:g} ms to write")
    axes.legend()
    figure.savefig(path)


def _cells(row: Row, rows: Sequence[Row]) -> list[str]:
    beside = {other.name: other.seconds for other in rows if other.is_beside(row)}
    script, least = beside.get("one_at_a_time"), beside.get("bound")
    return [
        f"{row.latencies.read:g}/{row.latencies.write:g}",
        f"{row.items:,}",
        f"{row.targets:,}",
        NAMES[row.name],
        f"{'~' if row.is_extrapolated else ''}{row.seconds:,.1f}",
        f"{script / row.seconds:.1f}" if script and row.seconds else "",
        f"{row.seconds / least:.2f}" if least else "",
        f"{row.requests:,}",
        f"{row.requests / row.seconds:,.0f}" if row.seconds else "",
        f"{row.cpu_seconds / row.requests * 1000:.2f}" if row.cpu_seconds else "",
        f"{row.memory_mb:,.0f}" if row.memory_mb else "",
    ]
