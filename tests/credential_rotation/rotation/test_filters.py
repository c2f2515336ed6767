"""Narrowing a run."""

from __future__ import annotations

from typing import Any

import pytest

from credential_rotation.rotation.filters import Filters
from tests.builders import content

ITEM = content("Sales [Q3] Überblick", project="Sales EU", owner="ann.miller", tags=("Certified", "gdpr"), id="AB-12")


def test_no_filter_takes_everything() -> None:
    assert Filters().take(ITEM, "c1")


@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        ({"projects": ["Sales EU"]}, True),
        ({"projects": ["sales eu"]}, True),
        ({"projects": ["Finance", "SALES EU"]}, True),
        ({"projects": ["Sales"]}, False),
        ({"exclude_projects": ["SALES eu"]}, False),
        ({"exclude_projects": ["Sales"]}, True),
        ({"projects": ["Sales EU"], "exclude_projects": ["Sales EU"]}, False),
        ({"owners": ["Ann.Miller"]}, True),
        ({"owners": ["ann"]}, False),
        ({"tags": ["certified"]}, True),
        ({"tags": ["nightly", "GDPR"]}, True),
        ({"tags": ["cert"]}, False),
        ({"projects": ["Sales EU"], "owners": ["bob"]}, False),
        ({"projects": ["Sales EU"], "owners": ["ann.miller"], "tags": ["gdpr"]}, True),
    ],
)
def test_each_filter_narrows_by_the_whole_name_whatever_the_case(filters: dict[str, Any], taken: bool) -> None:
    assert Filters(**filters).take(ITEM, "c1") is taken


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("sales*", True),
        ("*ÜBERBLICK", True),
        ("Sales [q]3] überblick", False),
        ("Sales ?Q3? Überblick", True),
        ("sales", False),
        ("*überblick 2", False),
        ("", True),
        ("*", True),
    ],
)
def test_a_content_name_is_a_glob_whatever_the_case(pattern: str, taken: bool) -> None:
    assert Filters(content_name=pattern).take(ITEM, "c1") is taken


def test_a_name_pasted_as_it_is_matches_though_it_holds_brackets() -> None:
    assert Filters(content_name="Sales [Q3] Überblick").take(ITEM, "c1")
    assert Filters(content_name="[draft] forecast*?").take(content("[Draft] Forecast*?"), "c1")


@pytest.mark.parametrize("name", ["STRASSE", "straße", "Straße"])
def test_names_in_every_script_are_compared_without_case(name: str) -> None:
    assert Filters(projects=[name]).take(content(project="STRASSE"), "c1")


def test_an_accent_written_in_two_ways_is_the_same_accent() -> None:
    composed, decomposed = "Côte d'Ivoire", "Co\u0302te d'Ivoire"
    assert Filters(projects=[decomposed]).take(content(project=composed), "c1")
    assert Filters(content_name=decomposed).take(content(composed), "c1")
    assert Filters(owners=[composed]).take(content(owner=decomposed), "c1")


def test_an_id_may_be_that_of_the_content_or_of_the_connection_whatever_the_case() -> None:
    assert Filters(ids=["ab-12"]).take(ITEM, "c1")
    assert Filters(ids=["C1"]).take(ITEM, "c1")
    assert not Filters(ids=["c2"]).take(ITEM, "c1")
    assert not Filters(ids=["AB-1"]).take(ITEM, "c1")


def test_an_id_does_not_undo_the_other_filters() -> None:
    assert not Filters(ids=["c1"], projects=["Finance"]).take(ITEM, "c1")
