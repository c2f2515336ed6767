"""What a person may ask of a run."""

from __future__ import annotations

from typing import Any

import pytest

from credential_rotation.rotation.budget import FailureBudget
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.tableau.content import ContentType
from tests.builders import DEFAULTS, rotation_params


def test_the_defaults_are_usable() -> None:
    params = rotation_params()
    assert params.content_types == list(ContentType)
    assert params.budget == FailureBudget(percent=10)
    assert params.filters.take_content is not None


def test_the_filters_are_those_that_were_asked_for() -> None:
    asked = {"projects": ["a"], "exclude_projects": ["b"], "owners": ["c"], "tags": ["d"], "ids": ["e"]}
    filters = rotation_params(**asked, content_name="f*").filters
    assert (filters.projects, filters.exclude_projects, filters.owners) == (["a"], ["b"], ["c"])
    assert (filters.tags, filters.ids, filters.content_name) == (["d"], ["e"], "f*")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dryrun", "dry_run"),
        ("dry-run", "dry_run"),
        ("project", "projects"),
        ("snowflake_conn_id", "snowflake_conn_ids"),
        ("max_failure", "max_failures"),
    ],
)
def test_an_unknown_key_is_refused_and_the_nearest_one_named(typed: str, meant: str) -> None:
    with pytest.raises(UnusableParams) as raised:
        rotation_params(conf={typed: True})
    assert f"'{typed}' (did you mean '{meant}'?)" in str(raised.value)


def test_an_unknown_key_that_is_near_nothing_is_refused_with_the_list_of_those_known() -> None:
    with pytest.raises(UnusableParams) as raised:
        rotation_params(conf={"zzzzzz": 1, "qqqqqq": 2})
    assert "'qqqqqq', 'zzzzzz'" in str(raised.value)
    assert "did you mean" not in str(raised.value)
    assert all(name in str(raised.value) for name in DEFAULTS)


@pytest.mark.parametrize("name", ["tableau_conn_ids", "snowflake_conn_ids", "content_types"])
def test_an_empty_list_of_what_is_needed_is_refused(name: str) -> None:
    with pytest.raises(UnusableParams, match=f"{name} is empty"):
        rotation_params(**{name: []})


@pytest.mark.parametrize("name", ["tableau_conn_ids", "snowflake_conn_ids", "projects", "owners", "tags", "ids"])
@pytest.mark.parametrize("value", [["a", "b", "a"], ["a", " a"]])
def test_what_is_named_twice_is_refused(name: str, value: list[str]) -> None:
    with pytest.raises(UnusableParams, match=f"{name} names a twice"):
        rotation_params(**{name: value})


@pytest.mark.parametrize("name", ["tableau_conn_ids", "snowflake_conn_ids", "projects", "exclude_projects", "ids"])
@pytest.mark.parametrize("value", ["", "  "])
def test_a_name_of_nothing_but_spaces_is_refused(name: str, value: str) -> None:
    with pytest.raises(UnusableParams, match=name):
        rotation_params(**{name: ["a", value]})


def test_spaces_around_a_name_are_a_slip_of_the_hand() -> None:
    params = rotation_params(snowflake_conn_ids=[" snowflake_etl "], ids=["\tabc\n"])
    assert params.snowflake_conn_ids == ["snowflake_etl"]
    assert params.ids == ["abc"]


@pytest.mark.parametrize("name", ["content_name", "validate_on", "roll_back_run"])
@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_text_means_that_nothing_was_typed(name: str, value: str) -> None:
    assert getattr(rotation_params(**{name: value}), name) is None


@pytest.mark.parametrize("name", ["content_name", "validate_on"])
def test_spaces_around_a_text_are_taken_off(name: str) -> None:
    assert getattr(rotation_params(**{name: " abc\n"}), name) == "abc"


def test_an_unknown_content_type_is_refused() -> None:
    with pytest.raises(UnusableParams, match="content_types: 'dashboard'"):
        rotation_params(content_types=["dashboard"])


@pytest.mark.parametrize("name", ["canary_proof", "proof"])
@pytest.mark.parametrize("value", ["connects", "saved"])
def test_either_proof_may_be_asked_for(name: str, value: str) -> None:
    assert getattr(rotation_params(**{name: value}), name) == value


def test_a_run_to_roll_back_is_named_with_the_order_to_roll_back() -> None:
    params = rotation_params(roll_back=True, roll_back_run=" manual__1\n")
    assert (params.roll_back, params.roll_back_run) == (True, "manual__1")


def test_a_roll_back_may_leave_open_of_which_run() -> None:
    assert rotation_params(roll_back=True).roll_back_run is None
    assert rotation_params(roll_back=True, roll_back_run="  ").roll_back_run is None


def test_a_run_to_roll_back_without_that_order_is_refused() -> None:
    # It would otherwise rotate forward, which is the contrary.
    with pytest.raises(UnusableParams, match="roll_back_run names a run, but roll_back is off"):
        rotation_params(roll_back_run="manual__1")


@pytest.mark.parametrize("name", ["force", "require_approval", "embed_where_prompting", "dry_run"])
def test_every_switch_may_be_on(name: str) -> None:
    assert getattr(rotation_params(**{name: True}), name) is True


@pytest.mark.parametrize(
    "value", [-1, "-1", "-1%", "101%", "ten", "", "%", "10%%", "10% of all", "1.5", True, "nan%", "inf%"]
)
def test_any_other_max_failures_is_refused(value: Any) -> None:
    with pytest.raises(UnusableParams, match="max_failures"):
        rotation_params(max_failures=value)
