"""The trigger form: the table of the contract, pinned."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from credential_rotation.dag_params import defaults, renewal_params, rotation_params
from credential_rotation.renewal.decision import Wishes
from credential_rotation.renewal.params import RenewalParams
from credential_rotation.rotation.params import RotationParams
from credential_rotation.settings import Settings
from tests.builders import DEFAULTS

TEXTS, SWITCH, MAYBE_TEXT, MAYBE_NUMBER = "array", "boolean", ["null", "string"], ["null", "integer"]
CONTRACT: dict[str, tuple[Any, Any]] = {
    "tableau_conn_ids": (TEXTS, ["tableau_default"]),
    "snowflake_conn_ids": (TEXTS, ["snowflake_pat"]),
    "content_types": (TEXTS, ["datasource", "workbook", "flow", "virtual_connection"]),
    "projects": (TEXTS, []),
    "exclude_projects": (TEXTS, []),
    "owners": (TEXTS, []),
    "tags": (TEXTS, []),
    "content_name": (MAYBE_TEXT, None),
    "ids": (TEXTS, []),
    "dry_run": (SWITCH, False),
    "validate_on": (MAYBE_TEXT, None),
    "canary_proof": ("string", "connects"),
    "proof": ("string", "saved"),
    "require_approval": (SWITCH, False),
    "force": (SWITCH, False),
    "roll_back": (SWITCH, False),
    "roll_back_run": (MAYBE_TEXT, None),
    "embed_where_prompting": (SWITCH, False),
    "max_failures": (["integer", "string"], "10%"),
    "connections_per_task": (MAYBE_NUMBER, None),
    "max_requests_per_minute": (MAYBE_NUMBER, None),
}

RENEWAL_CONTRACT: dict[str, tuple[Any, Any]] = {
    "snowflake_conn_ids": (TEXTS, ["snowflake_pat"]),
    "admin_conn_id": ("string", "snowflake_admin"),
    "renew_before_days": ("number", 7),
    "overlap_hours": ("integer", 72),
    "dry_run": (SWITCH, False),
    "force": (SWITCH, False),
    "remove_rotated": (SWITCH, False),
}


def test_the_form_of_the_renewal_is_that_of_the_contract() -> None:
    form = renewal_params()
    assert {name: (param.schema["type"], param.value) for name, param in form.items()} == RENEWAL_CONTRACT
    assert set(form) == {field.name for field in fields(RenewalParams)}
    for param in form.values():
        assert all(param.schema.get(key) for key in ("title", "section", "description_md"))


def test_the_form_of_the_renewal_untouched_is_a_usable_run() -> None:
    params = RenewalParams.parse({name: param.value for name, param in renewal_params().items()})
    assert params.wishes == Wishes(renew_before_days=7, overlap_hours=72, force=False)


def test_connections_that_are_set_are_what_the_forms_begin_with() -> None:
    settings = replace(Settings.from_environment({}), tableau_conn_ids=("east", "west"), snowflake_conn_ids=("etl",))
    assert rotation_params(settings)["tableau_conn_ids"].value == ["east", "west"]
    assert rotation_params(settings)["snowflake_conn_ids"].value == ["etl"]
    assert renewal_params(settings)["snowflake_conn_ids"].value == ["etl"]


def test_names_types_and_defaults_are_those_of_the_contract() -> None:
    assert {name: (param.schema["type"], param.value) for name, param in rotation_params().items()} == CONTRACT


def test_what_the_form_offers_is_what_a_run_reads() -> None:
    assert set(rotation_params()) == {field.name for field in fields(RotationParams)}


def test_the_form_untouched_is_a_usable_run() -> None:
    assert defaults() == DEFAULTS
    assert RotationParams.parse(defaults()).dry_run is False


@pytest.mark.parametrize("name", CONTRACT)
def test_each_explains_itself(name: str) -> None:
    schema = rotation_params()[name].schema
    assert all(schema.get(key) for key in ("title", "section", "description_md"))


def test_choices_are_offered_to_choose_from() -> None:
    params = rotation_params()
    kinds = ["datasource", "workbook", "flow", "virtual_connection"]
    assert params["content_types"].schema["examples"] == params["content_types"].schema["items"]["enum"] == kinds
    assert set(params["content_types"].schema["values_display"]) == set(kinds)
    assert set(params["canary_proof"].schema["enum"]) == set(params["proof"].schema["enum"]) == {"connects", "saved"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tableau_conn_ids", "tableau_default"),
        ("snowflake_conn_ids", [""]),
        ("content_types", ["dashboard"]),
        ("dry_run", "yes"),
        ("canary_proof", None),
        ("proof", "hope"),
        ("roll_back", "yes"),
        ("roll_back_run", ["manual__1"]),
        ("connections_per_task", 0),
        ("connections_per_task", "many"),
        ("max_requests_per_minute", 0),
        ("max_failures", 0.5),
    ],
)
def test_what_can_not_be_meant_is_refused_by_the_form(name: str, value: object) -> None:
    with pytest.raises(ParamValidationError):
        rotation_params()[name].resolve(value)


@pytest.mark.parametrize("conn_id", ["../../ledger/site", "..", ".", "a/b", "a\\b", ""])
@pytest.mark.parametrize("name", ["tableau_conn_ids", "snowflake_conn_ids"])
def test_the_id_of_an_airflow_connection_looks_like_no_path(name: str, conn_id: str) -> None:
    forms = [form for form in (rotation_params(), renewal_params()) if name in form]
    for form in forms:
        with pytest.raises(ParamValidationError):
            form[name].resolve([conn_id])
        assert form[name].resolve(["snowflake_pat", "a.b-c:d (e)"]) == ["snowflake_pat", "a.b-c:d (e)"]
