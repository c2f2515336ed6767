"""Until when connections in Tableau work that may still hold a previous token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from credential_rotation.fleet.reading import count_holding
from credential_rotation.renewal.decision import LEAST_OVERLAP_HOURS, Wishes
from credential_rotation.renewal.report import deadline_in_words
from credential_rotation.renewals import Renewals


def deadlines_in_words(
    renewals: Renewals,
    conn_ids: Iterable[str],
    held: Mapping[str, tuple[int, int]],
    tableau_conn_ids: Sequence[str],
    now: datetime,
) -> list[str]:
    """A sentence for each credential whose previous token ends, and may still be embedded.

    :param held: for a credential that this run looked at, how many connections may hold it, and how many targets it saw
    :param tableau_conn_ids: the sites where a token must be before it is everywhere
    """
    found = []
    for conn_id in conn_ids:
        if (ends_at := _previous_ends_at(renewals, conn_id, tableau_conn_ids)) is None:
            continue
        may_hold, targets = (
            held.get(conn_id)
            or count_holding(renewals.reports, conn_id, renewals.renewal(conn_id).token)
            or (None, None)
        )
        if may_hold != 0:
            found.append(f"{conn_id}: {deadline_in_words(may_hold, targets, ends_at, now)}")
    return found


def time_to_answer(
    renewals: Renewals, conn_ids: Iterable[str], tableau_conn_ids: Sequence[str], longest: timedelta, now: datetime
) -> timedelta:
    """How long a person may take to approve.

    Not past the end of a token that Tableau may hold, less what the updates take. And not longer than a third of an
    overlap: a renewal may come while the run waits, and the rotation that it starts can't begin before this run ends.
    """
    waits = [longest]
    for conn_id in conn_ids:
        overlap = renewals.renewal(conn_id).overlap_hours
        waits.append(timedelta(hours=overlap or Wishes.overlap_hours) / 3)
        if (ends_at := _previous_ends_at(renewals, conn_id, tableau_conn_ids)) is not None and ends_at > now:
            waits.append(ends_at - now - timedelta(hours=LEAST_OVERLAP_HOURS))
    return max(min(waits), _SHORTEST)


# Less nobody could answer in, and Tableau would go dark for it.
_SHORTEST = timedelta(minutes=30)


def _previous_ends_at(renewals: Renewals, conn_id: str, tableau_conn_ids: Sequence[str]) -> datetime | None:
    """When the previous token of a credential ends; None where that is not known, or nothing holds it any more."""
    known = renewals.renewal(conn_id)
    if known.token is None or known.previous_ends_at is None:
        return None
    if renewals.arrival(conn_id).is_everywhere(known.token, tableau_conn_ids):
        return None
    return datetime.fromisoformat(known.previous_ends_at)
