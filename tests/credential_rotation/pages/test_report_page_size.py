"""A large site: the page stays small enough to be opened, and takes little memory to make."""

from __future__ import annotations

import tracemalloc
import uuid
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from credential_rotation.pages.report_page import report_pieces

MEGABYTE = 1_000_000


def large_report(connections: int) -> dict[str, Any]:
    """Of a site whose names are as long as names are; each row is made when it is asked for."""
    random = Random(7)

    def luid() -> str:
        return str(uuid.UUID(int=random.getrandbits(128), version=4))

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(connections):
            kind = random.choice(["datasource", "workbook", "flow"])
            outcome = random.choice(["updated", "updated", "updated", "excluded", "failed"])
            yield {
                "tableau_conn_id": "tableau_default",
                "site": "acme",
                "content_type": kind,
                "content_id": luid(),
                "content_name": f"Quarterly margin by region and channel {number}",
                "project": f"Project {number % 60}",
                "owner": f"first.last.{number % 300}",
                "connection_id": luid(),
                "server_address": "acme-prod.snowflakecomputing.com",
                "username": "ETL_USER",
                "snowflake_conn_id": None if outcome == "excluded" else "snowflake_pat",
                "outcome": outcome,
                "proof": "saved" if outcome == "updated" else None,
                "reason": {"excluded": "not_snowflake", "failed": f"Tableau answered 403 to PUT /api/{luid()}."}.get(
                    outcome
                ),
                "attempts": 1,
                "canary": number == 0,
                "content_url": f"https://tableau.acme.example/#/site/acme/{kind}s/{number + 10_000}",
                "seconds": round(random.random() * 3, 3),
            }

    return {"run_id": "large", "dry_run": False, "state": "failed", "seconds": 900.0, "connections": rows()}


@pytest.mark.parametrize(("connections", "megabytes"), [(1_000, 0.4), (10_000, 2.7), (50_000, 13.5)])
def test_the_page_has_a_few_hundred_bytes_for_each_connection(connections: int, megabytes: float) -> None:
    assert sum(len(piece) for piece in report_pieces(large_report(connections))) < megabytes * MEGABYTE


def test_the_page_is_never_in_memory_as_a_whole_with_what_it_is_made_of() -> None:
    longest = 0
    tracemalloc.start()
    try:
        for piece in report_pieces(large_report(10_000)):
            longest = max(longest, len(piece))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert longest < MEGABYTE
    assert peak < 20 * MEGABYTE
