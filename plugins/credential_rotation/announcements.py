"""Whether the rotation in Tableau is told of renewed tokens, and whether it has brought them there."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from credential_rotation.renewal.decision import LEAST_OVERLAP_HOURS, State
from credential_rotation.renewal.report import UserReport
from credential_rotation.renewal_context import RenewalTask
from credential_rotation.renewals import Renewal
from credential_rotation.token_stores.kept import StoreUnusable

log = logging.getLogger(__name__)

ROTATION = "rotate_snowflake_pat_in_tableau"


def is_to_be_told(task: RenewalTask, conn_id: str, now: datetime) -> bool:
    """Whether the rotation is to be told of a new token: it was not yet, or it has not brought it to Tableau."""
    try:
        current = task.current(conn_id)
    except StoreUnusable as problem:
        log.warning("'%s': %s", conn_id, problem)  # the report says so, too; the others are to be told all the same
        return False
    seen = task.user_report(conn_id)
    if seen is not None and seen.decision in _OF_NO_USE:
        return False
    known = task.renewals.renewal(conn_id)
    if current is None or known.waiting_since is None or task.has_arrived(conn_id, current):
        return False
    return known.announced != current or _is_overdue(known, now)


def what_is_late(task: RenewalTask, user: UserReport, told: bool, now: datetime) -> str | None:
    """What a person has to know of a new token that is not in Tableau.

    :param told: whether this run has told the rotation of it, which is noted here
    """
    conn_id = user.snowflake_conn_id
    try:
        current = task.current(conn_id)
    except StoreUnusable as problem:
        return str(problem)
    known = task.renewals.renewal(conn_id)
    if current is None or known.waiting_since is None or task.has_arrived(conn_id, current):
        return None
    if told:
        task.renewals.renewed(conn_id, replace(known, announced=current))
    elif known.announced != current:
        return f"The rotation was not told of the new token of '{conn_id}'; run again."
    if not _is_overdue(known, now):
        return None
    at = f", renewed at {known.renewed_at}," if known.renewed_at else ""
    again = " It is told once more." if told else ""
    return (
        f"The token of '{conn_id}'{at} is not everywhere in Tableau yet: no whole run of "
        f"{ROTATION} has been green since.{again} See whether that DAG is paused, or what it says."
    )


# Tableau would only get what Snowflake refuses.
_OF_NO_USE = (State.REFUSED, State.EXPIRED, State.DISABLED)


def _is_overdue(known: Renewal, now: datetime) -> bool:
    """Whether a rotation that was told of a token should have ended by now; renewed again meanwhile or not."""
    if known.waiting_since is None:
        return False
    return now - datetime.fromisoformat(known.waiting_since) > timedelta(hours=LEAST_OVERLAP_HOURS)
