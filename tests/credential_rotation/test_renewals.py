"""Which token is known to be where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from credential_rotation.announcements import is_to_be_told, what_is_late
from credential_rotation.renewal.attempts import Attempt
from credential_rotation.renewal.report import UserReport
from credential_rotation.renewals import Arrival, Renewal, Renewals

ETL = "snowflake_etl"
NOW = datetime.now(UTC)


@pytest.fixture
def renewals(tmp_path: Path) -> Renewals:
    return Renewals(f"file://{tmp_path}")


def told_long_ago(renewals: Renewals) -> Any:
    """A task of the renewal, on the day after the rotation was told of a token that is to be on two sites."""
    yesterday = (NOW - timedelta(hours=30)).isoformat()
    renewals.renewed(ETL, Renewal(yesterday, "a run", announced="fp", token="fp", waiting_since=yesterday))
    return SimpleNamespace(
        renewals=renewals,
        current=lambda _: "fp",
        user_report=lambda _: None,
        has_arrived=lambda conn_id, token: renewals.arrival(conn_id).is_everywhere(token, ("site_a", "site_b")),
    )


def test_a_token_that_is_on_one_of_two_sites_is_not_everywhere(renewals: Renewals) -> None:
    task = told_long_ago(renewals)
    renewals.arrived(ETL, Arrival("fp", ["site_a"]))
    assert is_to_be_told(task, ETL, NOW)
    assert "not everywhere in Tableau yet" in str(what_is_late(task, UserReport(ETL, "ETL"), told=True, now=NOW))


def test_two_rotations_of_one_site_each_add_up(renewals: Renewals) -> None:
    task = told_long_ago(renewals)
    for site in ("site_b", "site_a", "site_c"):
        renewals.arrived(ETL, Arrival("fp", [site]))
    assert renewals.arrival(ETL) == Arrival("fp", ["site_a", "site_b", "site_c"])
    assert not is_to_be_told(task, ETL, NOW)
    assert what_is_late(task, UserReport(ETL, "ETL"), told=False, now=NOW) is None


def test_of_another_token_they_do_not(renewals: Renewals) -> None:
    renewals.arrived(ETL, Arrival("older", ["site_a"]))
    renewals.arrived(ETL, Arrival("fp", ["site_b"]))
    assert renewals.arrival(ETL) == Arrival("fp", ["site_b"])
    assert is_to_be_told(told_long_ago(renewals), ETL, NOW)


def test_what_is_known_of_oddly_named_connections_is_kept_apart(renewals: Renewals) -> None:
    odd = ["a::b", "::", ".", "..", "a/b", "a//b", "../renewals/a", "a%2Fb", "x" * 260, "x" * 261]
    for conn_id in odd:
        renewals.renewed(conn_id, Renewal(run_id=conn_id))
        renewals.arrived(conn_id, Arrival(conn_id, ["site_a"]))
        renewals.begin(conn_id, Attempt(conn_id, ""))
    assert [renewals.renewal(conn_id).run_id for conn_id in odd] == odd
    assert [renewals.arrival(conn_id).token for conn_id in odd] == odd
    assert [renewals.of(conn_id) for conn_id in odd] == [[Attempt(conn_id, "")] for conn_id in odd]
    renewals.departed("..")
    assert [conn_id for conn_id in odd if renewals.arrival(conn_id).token is None] == [".."]
