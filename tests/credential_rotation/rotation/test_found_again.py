"""What earlier runs updated and this one does not find as targets: when that is noted, and when it is alarming."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from credential_rotation.rotation.found_again import NOT_LISTED, NotFoundAgain, not_found_again
from credential_rotation.rotation.ledger import Ledger, Secrets
from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.content import ContentType
from tests.builders import target, targets

ALL = list(ContentType)


def ledger_of(*records: ConnectionRecord) -> Ledger:
    ledger = Ledger()
    for record in records:
        done = replace(record, outcome=Outcome.UPDATED, touched=True, saved_at="2026-11-24T04:00:00+00:00")
        ledger.learn(done, Secrets("a token"), "ETL_USER", "a run")
    return Ledger.from_dict(ledger.as_dict())


def held(ledger: Ledger, records: list[ConnectionRecord], looked_at: list[ContentType] = ALL) -> NotFoundAgain:
    return not_found_again(ledger, records, ["snowflake_pat"], looked_at)


def excluded(record: ConnectionRecord, reason: Exclusion) -> ConnectionRecord:
    return replace(record, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=reason)


def test_what_is_found_again_is_not_told() -> None:
    found = held(ledger_of(*targets(5)), targets(5))
    assert (found.why, found.known, found.is_alarming) == ({}, 5, False)


@pytest.mark.parametrize(
    ("known", "vanished", "alarming"),
    [(5, 1, False), (5, 3, False), (5, 4, True), (100, 10, False), (100, 11, True), (3, 3, True), (1, 1, True)],
)
def test_a_few_are_no_alarm_unless_nothing_is_left(known: int, vanished: int, alarming: bool) -> None:
    found = held(ledger_of(*targets(known)), targets(known)[vanished:])
    assert list(found.why.values()) == [NOT_LISTED] * vanished
    assert found.is_alarming == alarming
    assert f"{vanished} of the {known} connections" in str(found)


@pytest.mark.parametrize("reason", [each for each in Exclusion if each is not Exclusion.FILTERED_OUT])
def test_one_that_is_no_target_any_more_is_told_with_the_reason(reason: Exclusion) -> None:
    first, *rest = targets(50)
    found = held(ledger_of(first, *rest), [excluded(first, reason), *rest])
    assert list(found.why.values()) == [reason]
    lost = (Exclusion.NO_USERNAME, Exclusion.NO_SERVER_ADDRESS, Exclusion.NOT_SNOWFLAKE)
    assert found.is_alarming == (reason in lost)


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": Outcome.EXCLUDED, "reason": Exclusion.FILTERED_OUT, "snowflake_conn_id": None},
        # Published again, or deleted while the site was read; or it can't be read, which is a failure anyway.
        {"connection_id": "another"},
        {"connection_id": None, "outcome": Outcome.GONE, "snowflake_conn_id": None},
        {"connection_id": None, "outcome": Outcome.FAILED, "snowflake_conn_id": None},
    ],
)
def test_what_has_another_explanation_is_not_told(fields: dict[str, Any]) -> None:
    first, *rest = targets(3)
    assert held(ledger_of(first, *rest), [replace(first, **fields), *rest]).why == {}


def test_only_what_the_run_is_about_is_expected() -> None:
    workbook = target(1, content_type=ContentType.WORKBOOK)
    assert held(ledger_of(workbook), [], [ContentType.DATASOURCE]).known == 0
    # Of the same user in another account, say.
    assert held(ledger_of(replace(workbook, snowflake_conn_id="snowflake_other")), []).known == 0
    assert held(ledger_of(workbook), []).known == 1


def test_where_a_run_is_narrowed_to_nothing_one_that_was_deleted_is_no_alarm() -> None:
    first, *rest = targets(5)
    found = held(ledger_of(first, *rest), [excluded(each, Exclusion.FILTERED_OUT) for each in rest])
    assert (len(found.why), found.is_alarming) == (1, False)


def test_an_entry_of_an_earlier_version_says_no_content_type_and_is_not_expected() -> None:
    entries = {key: {**entry, "content_type": None} for key, entry in ledger_of(target(1)).as_dict().items()}
    assert held(Ledger.from_dict(entries), []).known == 0
