"""What is known of a connection, on its way through files and XComs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.proof import Proving
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.content import ContentType
from tests.builders import target

FULL = target(
    1,
    content_type=ContentType.VIRTUAL_CONNECTION,
    content_name='売上 & "<Überblick>" 🚀',
    outcome=Outcome.UPDATED,
    proof=Proof.SAVED,
    reason="because",
    attempts=3,
    canary=True,
    retriable=True,
    new_username="jane",
    authentication_type="username-password",
    embed_password=True,
    updated_at="2026-05-01T08:00:00Z",
    has_extracts=False,
    size=12,
    connected_workbooks=3,
    connections_in_item=2,
    held_current=True,
    held="a fingerprint",
    touched=True,
    saved_at="2026-05-02T08:00:00+00:00",
    item_updated_at="2026-05-02T08:00:00Z",
    proving=Proving(
        updated_at="2026-05-02T08:00:00Z",
        since=1777708800.25,
        ruled_out=(Proof.REFRESH_JOB, Proof.QUERY),
        job_id="job-1",
        is_our_job=True,
        unwell=1,
        not_before=1777708900.5,
    ),
    undoing="it did not connect",
    content_url="https://tableau.acme.example/#/site/acme/workbooks/1",
    seconds=1.5,
)


@pytest.mark.parametrize("record", [target(1), FULL, target(2, connection_id=None, snowflake_conn_id=None)])
def test_a_record_survives_json(record: ConnectionRecord) -> None:
    assert ConnectionRecord.from_dict(json.loads(json.dumps(record.as_dict()))) == record


@pytest.mark.parametrize("record", [target(1), FULL])
def test_a_target_survives_its_brief_form(record: ConnectionRecord) -> None:
    assert ConnectionRecord.from_dict(json.loads(json.dumps(record.brief()))) == record


def test_what_a_later_version_adds_is_ignored() -> None:
    assert ConnectionRecord.from_dict(FULL.as_dict() | {"colour": "red"}) == FULL


def test_the_brief_form_of_a_target_is_brief() -> None:
    # It goes through an XCom by the thousand.
    assert not set(target(1).brief()) & {"outcome", "proof", "reason", "attempts", "canary", "retriable"}
    assert not set(target(1).brief()) & {"touched", "saved_at", "proving", "undoing", "new_username", "held_current"}
    assert len(json.dumps(target(1).brief())) < 400


def test_every_field_of_the_full_record_is_filled() -> None:
    # Or else the way through JSON is not shown for it.
    assert [name for name, value in FULL.as_dict().items() if not value and value is not False] == ["server_port"]


@pytest.mark.parametrize("kept", [name for name in target(1).as_dict() if name not in target(1).brief()])
def test_what_an_earlier_version_did_not_know_has_its_default(kept: str) -> None:
    values = {name: value for name, value in FULL.as_dict().items() if name != kept}
    assert ConnectionRecord.from_dict(values) == replace(FULL, **{kept: getattr(target(1), kept)})


@pytest.mark.parametrize("outcome", [Outcome.UPDATED, Outcome.UNCHANGED, Outcome.PLANNED, Outcome.GONE])
def test_what_is_as_it_was_asked_for_is_well_whatever_is_said_of_it(outcome: Outcome) -> None:
    assert target(1, outcome=outcome).is_well
    assert target(1, outcome=outcome, reason="because").is_well


@pytest.mark.parametrize("outcome", [None, Outcome.FAILED, Outcome.NOT_ATTEMPTED, Outcome.EXCLUDED])
def test_what_is_not_as_it_was_asked_for_is_not_well(outcome: Outcome | None) -> None:
    assert not target(1, outcome=outcome).is_well


def test_a_roll_back_is_well_only_where_it_was_asked_for() -> None:
    assert target(1, outcome=Outcome.ROLLED_BACK).is_well
    assert not target(1, outcome=Outcome.ROLLED_BACK, reason="it did not connect").is_well


@pytest.mark.parametrize(
    ("outcome", "validated"),
    [
        (Outcome.UPDATED, True),
        (Outcome.UNCHANGED, True),
        (Outcome.ROLLED_BACK, True),
        (Outcome.GONE, False),
        (Outcome.PLANNED, False),
        (Outcome.FAILED, False),
        (Outcome.NOT_ATTEMPTED, False),
        (None, False),
    ],
)
def test_a_canary_validates_only_what_it_shows(outcome: Outcome | None, validated: bool) -> None:
    assert target(1, canary=True, outcome=outcome).is_validated is validated


def test_a_canary_that_was_put_back_validates_nothing() -> None:
    assert not target(1, canary=True, outcome=Outcome.ROLLED_BACK, reason="it did not connect").is_validated


def test_two_connections_of_one_item_have_two_keys() -> None:
    assert target(1).key != target(1, connection_id="other").key
    assert target(1).key != target(1, tableau_conn_id="other").key


def test_the_content_of_a_record_is_what_an_update_needs() -> None:
    assert (FULL.content.type, FULL.content.id) == (ContentType.VIRTUAL_CONNECTION, "item-00001")
    assert (FULL.content.has_extracts, FULL.content.connection_count) == (False, 2)
    assert (FULL.connection.id, FULL.connection.server_address) == ("connection-00001", FULL.server_address)


UNDER_WAY = Proving(updated_at="2026-05-02T08:00:00Z", since=0.0)


@pytest.mark.parametrize(
    ("fields", "under_way"),
    [
        ({}, False),
        ({"touched": True, "outcome": Outcome.FAILED, "retriable": True}, False),
        ({"proving": UNDER_WAY}, True),
        ({"undoing": "it did not connect"}, True),
        ({"undoing": "it did not connect", "proving": UNDER_WAY}, True),
    ],
)
def test_what_is_to_be_proved_or_put_back_is_under_way(fields: dict[str, Any], under_way: bool) -> None:
    assert target(1, **fields).is_under_way is under_way


@pytest.mark.parametrize(
    ("fields", "goes_on"),
    [
        ({}, True),
        ({"proving": UNDER_WAY}, True),
        ({"outcome": Outcome.FAILED, "retriable": True}, True),
        ({"outcome": Outcome.NOT_ATTEMPTED, "retriable": True}, True),
        ({"outcome": Outcome.FAILED, "undoing": "it did not connect"}, True),
        ({"outcome": Outcome.FAILED}, False),
        ({"outcome": Outcome.NOT_ATTEMPTED}, False),
        ({"outcome": Outcome.ROLLED_BACK, "reason": "it did not connect"}, False),
        ({"outcome": Outcome.UPDATED}, False),
        ({"outcome": Outcome.UPDATED, "retriable": True}, False),
        ({"outcome": Outcome.GONE}, False),
    ],
)
def test_a_further_try_takes_up_what_may_come_to_another_end(fields: dict[str, Any], goes_on: bool) -> None:
    assert target(1, **fields).can_go_on is goes_on


REFUSED = "Tableau answered 500: Programmatic access token is invalid."


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"outcome": Outcome.FAILED, "reason": REFUSED}, True),
        ({"outcome": Outcome.FAILED, "reason": REFUSED, "retriable": True}, False),
        ({"outcome": Outcome.FAILED, "reason": "Tableau answered 500."}, False),
        ({"outcome": Outcome.FAILED}, False),
        ({"outcome": Outcome.ROLLED_BACK, "reason": REFUSED}, False),
        ({"outcome": Outcome.UPDATED, "reason": REFUSED}, False),
        ({"undoing": REFUSED}, False),
    ],
)
def test_what_failed_for_good_since_snowflake_said_no_is_refused_by_it(fields: dict[str, Any], refused: bool) -> None:
    assert target(1, **fields).is_refused_by_snowflake is refused
