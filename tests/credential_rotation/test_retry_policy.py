"""Which failures are worth another try, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction

from credential_rotation.hooks.snowflake import SnowflakeDriverMissing
from credential_rotation.renewal.step import RenewalFailed
from credential_rotation.renewal.tokens import SecretLost, UnexpectedAnswer
from credential_rotation.retry_policy import ConnectionsFailed, ConnectionsUnfinished, RotationRetryPolicy, RunIsRed
from credential_rotation.rotation.credentials import UnusableCredential
from credential_rotation.rotation.selection import SelectionError
from credential_rotation.rotation.snowflake_words import Refusal, SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.tableau import errors
from credential_rotation.tableau.errors import TableauError, TableauUnwell, Throttled

POLICY = RotationRetryPolicy()


def every(kind: type[TableauError]) -> list[type[TableauError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in every(child))]


PASSING = [*every(TableauUnwell), errors.SessionEnded]
FOR_GOOD = [kind for kind in every(TableauError) if kind not in PASSING]


def delays(error: Exception, try_number: int = 1, times: int = 40) -> list[float]:
    decisions = [POLICY.evaluate(error, try_number, 4) for _ in range(times)]
    assert {decision.action for decision in decisions} == {RetryAction.RETRY}
    return [decision.retry_delay.total_seconds() for decision in decisions if decision.retry_delay is not None]


def throttled(seconds: float | None) -> Throttled:
    error = Throttled("Tableau asks to slow down (429).")
    error.retry_after = seconds
    return error


def test_every_error_is_either_passing_or_for_good() -> None:
    assert {kind.__name__ for kind in FOR_GOOD} == {
        "TableauError", "SessionKeepsEnding", "SignInRefused", "NotAllowed", "NotFound", "RequestRefused",
        "AlreadyQueued", "EditRefused", "RedirectRefused", "TableauTooOld", "NotTrusted", "UnusableSetting",
    }  # fmt: skip


@pytest.mark.parametrize("kind", FOR_GOOD)
def test_what_no_later_try_can_mend_fails_at_once(kind: type[TableauError]) -> None:
    assert POLICY.evaluate(kind("why"), 1, 4).action is RetryAction.FAIL


@pytest.mark.parametrize(
    "error",
    [
        ConnectionsFailed("why"),
        RunIsRed("why"),
        UnusableParams("why"),
        UnusableCredential("why"),
        SelectionError("why"),
        SnowflakeDriverMissing("why"),
    ],
)
def test_wrong_input_and_a_red_run_fail_at_once_with_the_reason(error: Exception) -> None:
    decision = POLICY.evaluate(error, 1, 4)
    assert (decision.action, decision.reason) == (RetryAction.FAIL, "why")


@pytest.mark.parametrize("kind", PASSING)
def test_what_may_pass_is_tried_again_after_a_while(kind: type[TableauError]) -> None:
    assert all(5 <= delay <= 20 for delay in delays(kind("why")))


def test_connections_that_are_unfinished_are_tried_again() -> None:
    assert all(5 <= delay <= 20 for delay in delays(ConnectionsUnfinished("why")))


def test_a_snowflake_that_could_not_be_asked_is_asked_again() -> None:
    assert all(5 <= delay <= 20 for delay in delays(SnowflakeUnreachable("why")))


@pytest.mark.parametrize("kind", [RenewalFailed, UnexpectedAnswer, SecretLost])
def test_a_renewal_that_went_wrong_is_for_the_next_run(kind: type[Exception]) -> None:
    assert POLICY.evaluate(kind("no secret"), 1, 4).action is RetryAction.FAIL


@pytest.mark.parametrize("refusal", [None, *(each for each in Refusal if each is not Refusal.LOCKED)])
def test_a_snowflake_that_said_no_is_not_asked_again(refusal: Refusal | None) -> None:
    """Five refused sign-ins lock a user."""
    decision = POLICY.evaluate(SnowflakeRefused("why", refusal), 1, 4)
    assert (decision.action, decision.reason) == (RetryAction.FAIL, "why")


@pytest.mark.parametrize("error", [SnowflakeRefused("why", Refusal.LOCKED), RenewalFailed("why", retry_after=960)])
def test_a_user_that_is_locked_is_asked_again_after_the_lock(error: Exception) -> None:
    """Snowflake locks for 15 minutes."""
    assert set(delays(error)) == {960}


def test_each_mapped_task_gets_an_instant_of_its_own() -> None:
    assert len({round(delay, 3) for delay in delays(errors.ServerFault("why"))}) > 30
    assert len({round(delay, 3) for delay in delays(throttled(60))}) > 30


def test_each_try_waits_longer_up_to_minutes() -> None:
    longest = [max(delays(errors.ServerFault("why"), try_number)) for try_number in (1, 2, 3, 4, 20)]
    assert longest[:4] == sorted(longest[:4])
    assert longest[3] > 4 * longest[0]
    assert longest[4] <= 300


@pytest.mark.parametrize("try_number", [1, 3])
@pytest.mark.parametrize("error", [throttled(90), ConnectionsUnfinished("why", retry_after=90)])
def test_what_tableau_asked_for_is_waited_and_a_little_more(error: Exception, try_number: int) -> None:
    assert all(90 <= delay <= 105 for delay in delays(error, try_number))


def test_nobody_waits_longer_than_an_hour_or_so() -> None:
    assert max(delays(throttled(10**9))) <= 3700


def test_a_429_without_a_time_is_tried_again_like_the_others() -> None:
    assert all(5 <= delay <= 20 for delay in delays(throttled(None)))


@pytest.mark.parametrize("error", [ValueError("why"), KeyError("why"), OSError("why"), MemoryError()])
def test_anything_else_is_left_to_airflow(error: Exception) -> None:
    assert POLICY.evaluate(error, 1, 4).action is RetryAction.DEFAULT


def test_a_reason_fits_into_airflow_s_column() -> None:
    for error in (ConnectionsFailed("x" * 10_000), errors.ServerFault("x" * 10_000), throttled(5)):
        assert len(POLICY.evaluate(error, 1, 4).reason or "") <= 500


def test_a_decision_can_be_made_in_any_try() -> None:
    assert POLICY.evaluate(errors.ServerFault("why"), 500, 4).retry_delay is not None
    assert POLICY.evaluate(errors.ServerFault("why"), 500, 4).retry_delay <= timedelta(seconds=300)
