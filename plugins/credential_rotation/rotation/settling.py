"""Whether an update is still the latest change of its item: told by Tableau's own times, compared with each other.

The clock of a gateway in front of Tableau may be off, and so may this machine's. What is compared here is what Tableau
says of an item at one time with what it says at another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.content import Content

CHANGED_SINCE = (
    "its item was changed in Tableau since this run last embedded or saw the token (published again?), so it may hold "
    "another secret; run again"
)

# Tableau says times to the second, and may write them down a moment after it has answered.
_INACCURACY = 2.0


@dataclass(frozen=True)
class Written:
    """An item that was just written to.

    :param sent: when the latest request was sent, in seconds since 1970 by this machine's clock
    :param answered: when it was answered
    """

    content: Content
    sent: float
    answered: float


def changed_again(written: Sequence[Written], now: Mapping[str, str]) -> set[str]:
    """The items that were changed again since they were written to, by LUID.

    Tableau's clock is ahead of ours by the same amount for all items. An update that was sent at ``s`` and answered at
    ``a`` was saved in between: where nobody changed the item since, ``updatedAt - a`` is that amount at the most, and
    ``updatedAt - s`` at the least. So the smallest ``updatedAt - s`` of all items is a limit that no ``updatedAt - a``
    exceeds, but that of an item which was changed later.

    :param now: when each item was last changed, as Tableau says; an item whose time is what it was before the updates
        says nothing
    """
    times = {each.content.id: _seconds(now.get(each.content.id, "")) for each in written}
    moved = [each for each in written if now.get(each.content.id) != each.content.updated_at]
    shown = [(each, time) for each in moved if (time := times[each.content.id]) is not None]
    limit = min((time - each.sent for each, time in shown), default=0.0) + _INACCURACY
    return {each.content.id for each, time in shown if time - each.answered > limit}


def _seconds(text: str) -> float | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def expected_time(record: ConnectionRecord) -> str | None:
    """When the item of a connection was last changed, if nobody has changed it since its secret was known.

    :return: None where nothing is known of the connection, or where its update did not show in that time
    """
    if record.outcome is Outcome.UNCHANGED:
        return record.updated_at or None
    return (record.updated_in_tableau or None) if record.holds_what_was_embedded else None


def after_last_look(records: Iterable[ConnectionRecord], now: Mapping[str, str]) -> list[ConnectionRecord]:
    """The records, those failed whose item was changed since its secret was known.

    :param now: when each item was last changed, as Tableau says, by LUID; what is gone breaks no more
    """
    return [
        replace(record, outcome=Outcome.FAILED, reason=CHANGED_SINCE)
        if (expected := expected_time(record)) and now.get(record.content_id, expected) != expected
        else record
        for record in records
    ]
