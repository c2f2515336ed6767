"""Whose word on Snowflake connections is followed, of those who can emit the asset that starts the rotation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from credential_rotation.triggering_events import NamedByEvents, named_by_events

OURS, OTHERS, API = "renew_snowflake_pat", "somebody_elses_dag", None
KNOWN = ("snowflake_etl", "snowflake_bi")


def event(*conn_ids: str, source: str | None) -> Any:
    return SimpleNamespace(extra={"snowflake_conn_ids": list(conn_ids)}, source_dag_id=source)


def named(*events: Any) -> NamedByEvents:
    context: Any = {"triggering_asset_events": {"snowflake_pat": list(events)}}
    return named_by_events(context, KNOWN)


@pytest.mark.parametrize("source", [OURS, OTHERS, API])
def test_what_is_known_is_followed_whoever_names_it(source: str | None) -> None:
    assert named(event("snowflake_bi", source=source)) == NamedByEvents(("snowflake_bi",))


def test_what_the_renewal_has_renewed_is_followed_though_it_was_triggered_for_other_connections() -> None:
    """Or else Tableau would be left with a token that dies."""
    assert named(event("marketing", source=OURS)) == NamedByEvents(("marketing",))


@pytest.mark.parametrize("source", [OTHERS, API, "", "renew_snowflake_pat_2", "RENEW_SNOWFLAKE_PAT"])
def test_what_is_not_known_is_not_followed_where_others_name_it(source: str | None) -> None:
    found = named(event("aws_default", source=source))
    assert found == NamedByEvents((), ("aws_default",))
    assert "names 'aws_default' as Snowflake connections" in str(found.problem)
    assert "CREDENTIAL_ROTATION_SNOWFLAKE_CONN_IDS" in str(found.problem)


def test_events_that_came_together_are_told_apart() -> None:
    found = named(
        event("snowflake_etl", "aws_default", source=API),
        event("marketing", source=OURS),
        event("marketing", "aws_default", "x", source=OTHERS),
    )
    assert found == NamedByEvents(("snowflake_etl", "marketing"), ("aws_default", "x"))
    assert found.all == ["snowflake_etl", "marketing"]


@pytest.mark.parametrize("extra", [None, {}, {"snowflake_conn_ids": []}, {"snowflake_conn_ids": "snowflake_etl"}])
def test_an_event_that_names_none_says_nothing(extra: dict[str, Any] | None) -> None:
    found = named(SimpleNamespace(extra=extra, source_dag_id=API))
    assert (found.all, found.problem) == ([], None)


def test_a_run_that_no_event_has_started_names_none() -> None:
    for context in ({}, {"triggering_asset_events": None}, {"triggering_asset_events": {}}):
        any_context: Any = context
        assert named_by_events(any_context, KNOWN) == NamedByEvents()
