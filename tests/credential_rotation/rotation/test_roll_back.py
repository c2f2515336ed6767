"""Which connections a roll-back is about, and the user that each had."""

from __future__ import annotations

import pytest

from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.roll_back import narrow_to_roll_back
from credential_rotation.rotation.selection import SelectionError
from tests.builders import target, targets

RUN = "manual__1"


def updated(*records: ConnectionRecord) -> dict[str, ConnectionRecord]:
    return {record.key: record for record in records}


def test_what_the_run_updated_is_left_with_the_user_that_it_had_before() -> None:
    before = updated(target(1, username="jane", outcome=Outcome.UPDATED), target(2, outcome=Outcome.UPDATED))
    first, second, third = narrow_to_roll_back(targets(3), before, RUN)
    assert (first.outcome, first.new_username, first.is_target) == (None, "jane", True)
    assert (second.outcome, second.new_username, second.is_target) == (None, "ETL_USER", True)
    assert (third.outcome, third.reason) == (Outcome.EXCLUDED, Exclusion.FILTERED_OUT)
    assert not third.is_target


def test_what_is_known_of_it_now_is_what_counts_but_for_the_user() -> None:
    [now] = narrow_to_roll_back(
        [target(1, updated_at="today", username="NEW_USER")],
        updated(target(1, updated_at="then", username="jane", attempts=3, outcome=Outcome.UPDATED)),
        RUN,
    )
    assert (now.updated_at, now.username, now.new_username, now.attempts) == ("today", "NEW_USER", "jane", 0)


def test_what_is_no_target_stays_as_it_is() -> None:
    excluded = target(5, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=Exclusion.OAUTH)
    assert narrow_to_roll_back([excluded, target(1)], updated(target(1), excluded), RUN)[0] == excluded


def test_what_was_deleted_since_is_no_error_while_something_is_left() -> None:
    [left] = narrow_to_roll_back(targets(1), updated(*targets(3)), RUN)
    assert left.key == target(1).key


def test_without_a_run_there_is_nothing_to_roll_back() -> None:
    with pytest.raises(SelectionError, match="roll_back: no run is known to have updated anything"):
        narrow_to_roll_back(targets(3), {}, None)


def test_a_run_that_is_not_known_or_updated_nothing_is_an_error() -> None:
    with pytest.raises(SelectionError, match="roll_back: no run 'manual__1' is known to have updated anything"):
        narrow_to_roll_back(targets(3), {}, RUN)


def test_a_run_of_whose_connections_none_is_a_target_now_is_an_error() -> None:
    with pytest.raises(SelectionError, match="none of the connections that run 'manual__1' updated is a target now"):
        narrow_to_roll_back(targets(3), updated(target(9)), RUN)
    no_target = target(1, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=Exclusion.OTHER_USER)
    with pytest.raises(SelectionError, match="is a target now"):
        narrow_to_roll_back([no_target], updated(target(1)), RUN)
