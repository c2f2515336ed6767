"""The end of the demo: what the report says, and what Tableau really holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from sandbox.verdict import Verdict

SHOWN_DIFFERENCES = 15


def print_report(console: Console, report: Mapping[str, Any]) -> None:
    """Tables of the report: outcomes, reasons of exclusion, updates by content type and Snowflake user."""
    summary = report["summary"]
    outcomes = Counter(row["outcome"] for row in report["connections"])
    console.print(
        f"\nThe run is [bold]{report['state']}[/]: {summary['content']} items of content, "
        f"{summary['connections']} connections, {summary['targets']} targets; {report['requests']} requests, "
        f"{report['sign_ins']} sign-in(s), {report['throttled']} throttled, {report['seconds']:.0f} s",
        soft_wrap=True,
    )
    console.print(_counts("Outcomes", "outcome", outcomes))
    console.print(_counts("Excluded, and why", "reason", Counter(summary["excluded"])))
    console.print(_by_type_and_user(report["connections"]))


def print_verdict(console: Console, verdict: Verdict, contradictions: list[str]) -> None:
    """What the sandbox holds, count by count, and each difference."""
    console.print("\n[bold]What Tableau holds now[/], looked at in the sandbox itself:")
    console.print(f"  {verdict.targets_right} of {verdict.targets} targets hold the new token of their user")
    console.print(f"  {verdict.others_untouched} of {verdict.others} other connections are as they were before")
    console.print(f"  the report is {'wrong' if contradictions else 'right'} about each of them")
    differences = [*verdict.differences, *contradictions]
    for text in differences[:SHOWN_DIFFERENCES]:
        console.print(f"  [red]differs:[/] {text}", soft_wrap=True)
    if len(differences) > SHOWN_DIFFERENCES:
        console.print(f"  [red]and {len(differences) - SHOWN_DIFFERENCES} more[/]")
    if not verdict.targets:
        console.print("  [red]there was nothing to rotate[/]")


def _counts(title: str, what: str, counts: Counter[str]) -> Table:
    table = Table(title=title, title_justify="left", min_width=44)
    table.add_column(what)
    table.add_column("connections", justify="right")
    for name, count in counts.most_common():
        table.add_row(name, str(count))
    return table


def _by_type_and_user(rows: list[dict[str, Any]]) -> Table:
    done = [row for row in rows if row["outcome"] in {"updated", "unchanged"}]
    credentials = sorted({row["snowflake_conn_id"] for row in done})
    table = Table(title="Updated, by content type and Snowflake user", title_justify="left")
    table.add_column("content type")
    for credential in credentials:
        table.add_column(credential, justify="right")
    for content_type in sorted({row["content_type"] for row in done}):
        counts = Counter(row["snowflake_conn_id"] for row in done if row["content_type"] == content_type)
        table.add_row(content_type, *(str(counts[credential] or "") for credential in credentials))
    return table
