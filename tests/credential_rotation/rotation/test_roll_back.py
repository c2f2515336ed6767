"""Which connections a roll-back is about, and the user that each had."""

from __future__ import annotations

import pytest

from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.roll_back import narrow_to_roll_back
from credential_rotation.rotation.selection import SelectionError
from tests.builders import snowflake_credential, target, targets

RUN = "manual__1"
BACK = {"snowflake_pat": snowflake_credential(previous_password="old").reversed()}
BACK_TO_JANE = {"snowflake_pat": snowflake_credential(previous_password="old", previous_username="jane").reversed()}


def updated(*records: ConnectionRecord) -> dict[str, ConnectionRecord]:
    return {record.key: record for record in records}


def test_what_the_run_updated_is_left_with_the_user_that_it_had_before() -> None:
    before = updated(target(1, username="Etl_User", outcome=Outcome.UPDATED), target(2, outcome=Outcome.UPDATED))
    first, second, third = narrow_to_roll_back(targets(3), before, BACK, [RUN])
    assert (first.outcome, first.new_username, first.is_target) == (None, "Etl_User", True)
    assert (second.outcome, second.new_username, second.is_target) == (None, "ETL_USER", True)
    assert (third.outcome, third.reason) == (Outcome.EXCLUDED, Exclusion.FILTERED_OUT)
    assert not third.is_target


def test_what_another_user_signed_in_to_before_is_not_put_back_with_a_secret_that_is_not_theirs() -> None:
    before = updated(target(1, username="jane", outcome=Outcome.UPDATED), target(2, outcome=Outcome.UPDATED))
    first, second = narrow_to_roll_back(targets(2), before, BACK, [RUN])
    assert (first.outcome, first.is_target, first.is_well, first.retriable) == (Outcome.FAILED, True, False, False)
    assert "before that run it embedded the user jane" in str(first.reason)
    assert "'snowflake_pat' holds as 'previous_password' is of ETL_USER" in str(first.reason)
    assert second.outcome is None


def test_where_the_secret_before_is_said_to_be_of_the_user_before_it_is_put_back_with_them() -> None:
    before = updated(target(1, username="Jane", outcome=Outcome.UPDATED), target(2, outcome=Outcome.UPDATED))
    first, second = narrow_to_roll_back(targets(2), before, BACK_TO_JANE, [RUN])
    assert (first.outcome, first.new_username) == (None, "Jane")
    assert second.outcome is Outcome.FAILED
    assert "it embedded the user ETL_USER" in str(second.reason)
    assert "is of jane" in str(second.reason)


def test_each_credential_is_looked_at_by_itself() -> None:
    etl, bi = target(1, username="jane"), target(2, username="jane", snowflake_conn_id="snowflake_bi")
    credentials = BACK_TO_JANE | {
        "snowflake_bi": snowflake_credential("snowflake_bi", previous_password="o").reversed()
    }
    outcomes = [each.outcome for each in narrow_to_roll_back([etl, bi], updated(etl, bi), credentials, [RUN])]
    assert outcomes == [None, Outcome.FAILED]


def test_what_is_known_of_it_now_is_what_counts_but_for_the_user() -> None:
    [now] = narrow_to_roll_back(
        [target(1, updated_at="today", username="NEW_USER")],
        updated(target(1, updated_at="then", username="jane", attempts=3, outcome=Outcome.UPDATED)),
        BACK_TO_JANE,
        [RUN],
    )
    assert (now.updated_at, now.username, now.new_username, now.attempts) == ("today", "NEW_USER", "jane", 0)


def test_what_is_no_target_stays_as_it_is() -> None:
    excluded = target(5, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=Exclusion.OAUTH)
    assert narrow_to_roll_back([excluded, target(1)], updated(target(1), excluded), BACK, [RUN])[0] == excluded


def test_what_was_deleted_since_is_no_error_while_something_is_left() -> None:
    [left] = narrow_to_roll_back(targets(1), updated(*targets(3)), BACK, [RUN])
    assert left.key == target(1).key


def test_without_a_run_there_is_nothing_to_roll_back() -> None:
    with pytest.raises(SelectionError, match="roll_back: no run is known to have updated anything"):
        narrow_to_roll_back(targets(3), {}, BACK, [])


def test_a_run_that_is_not_known_or_updated_nothing_is_an_error() -> None:
    with pytest.raises(SelectionError, match="roll_back: no run 'manual__1' is known to have updated anything"):
        narrow_to_roll_back(targets(3), {}, BACK, [RUN])


def test_a_run_of_whose_connections_none_is_a_target_now_is_an_error() -> None:
    with pytest.raises(SelectionError, match="none of the connections that run 'manual__1' updated is a target now"):
        narrow_to_roll_back(targets(3), updated(target(9)), BACK, [RUN])
    no_target = target(1, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=Exclusion.OTHER_USER)
    with pytest.raises(SelectionError, match="is a target now"):
        narrow_to_roll_back([no_target], updated(target(1)), BACK, [RUN])
