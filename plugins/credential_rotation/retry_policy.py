"""Which failures of a task are worth another try, and when."""

from __future__ import annotations

import random
from datetime import timedelta

from airflow.sdk import Context, RetryDecision, RetryPolicy

from credential_rotation.hooks.snowflake import SnowflakeDriverMissing
from credential_rotation.plan_files import PlanReplaced
from credential_rotation.renewal.refusals import LOCKED_SECONDS
from credential_rotation.renewal.step import RenewalFailed
from credential_rotation.renewal.tokens import UnexpectedAnswer
from credential_rotation.rotation.credentials import UnusableCredential
from credential_rotation.rotation.selection import SelectionError
from credential_rotation.rotation.snowflake_words import Refusal, SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.site_files import OutdatedInventory
from credential_rotation.tableau.errors import SessionEnded, TableauError, TableauUnwell, Throttled

_FIRST_DELAY = 15.0
_LONGEST_DELAY = 300.0
# Tableau Cloud pauses a user who is over the hourly limit until the next hour.
_LONGEST_WAIT = 3600.0


class ConnectionsFailed(Exception):
    """Connections of this task failed for good; the text names them."""


class RunIsRed(Exception):
    """Not every target was updated; the text says what is wrong."""


class ConnectionsUnfinished(Exception):
    """Some connections of this task failed in a way that another try may mend.

    :param retry_after: seconds that Tableau asked to wait
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


_PERMANENT = (
    ConnectionsFailed,
    RunIsRed,
    SnowflakeDriverMissing,
    SnowflakeRefused,
    UnusableParams,
    UnusableCredential,
    OutdatedInventory,
    PlanReplaced,
    SelectionError,
    # What is to be tried again here is tried by the next run: each try is a sign-in or a token of fifteen.
    RenewalFailed,
    UnexpectedAnswer,
)


def _until_unlocked(exception: BaseException) -> float | None:
    """Seconds until a user that Snowflake has locked is let in again; None where that is not the matter."""
    if isinstance(exception, RenewalFailed):
        return exception.retry_after
    is_locked = isinstance(exception, SnowflakeRefused) and exception.refusal is Refusal.LOCKED
    return LOCKED_SECONDS if is_locked else None


class RotationRetryPolicy(RetryPolicy):
    """Fails at once what no later try can mend; tries the rest again, each mapped task at an instant of its own.

    Airflow's own back-off gives every mapped task of a run the same instant, at which they would meet at Tableau again.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002 (the parent's signature)
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Decide by the type of the exception; see :mod:`credential_rotation.tableau.errors`."""
        reason = str(exception)[:400]
        if (seconds := _until_unlocked(exception)) is not None:
            return RetryDecision.retry(timedelta(seconds=seconds), reason)
        if isinstance(exception, _PERMANENT):
            return RetryDecision.fail(reason)
        if isinstance(exception, TableauError) and not isinstance(exception, TableauUnwell | SessionEnded):
            return RetryDecision.fail(reason)
        if isinstance(exception, Throttled | ConnectionsUnfinished) and exception.retry_after is not None:
            told = min(exception.retry_after, _LONGEST_WAIT)
            return RetryDecision.retry(timedelta(seconds=told + random.uniform(0, 10)), reason)
        if isinstance(exception, TableauUnwell | SessionEnded | ConnectionsUnfinished | SnowflakeUnreachable):
            longest = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** (try_number - 1))
            return RetryDecision.retry(timedelta(seconds=random.uniform(longest / 2, longest)), reason)
        return RetryDecision.default()
