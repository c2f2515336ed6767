"""What is known of a connection, on its way through files and XComs."""

from __future__ import annotations

import json

import pytest

from credential_rotation.rotation.outcomes import Outcome, Proof
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
    assert len(json.dumps(target(1).brief())) < 400


def test_two_connections_of_one_item_have_two_keys() -> None:
    assert target(1).key != target(1, connection_id="other").key
    assert target(1).key != target(1, tableau_conn_id="other").key


def test_the_content_of_a_record_is_what_an_update_needs() -> None:
    assert (FULL.content.type, FULL.content.id) == (ContentType.VIRTUAL_CONNECTION, "item-00001")
    assert (FULL.connection.id, FULL.connection.server_address) == ("connection-00001", FULL.server_address)
