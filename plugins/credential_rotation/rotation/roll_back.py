"""A roll-back: the secret before the current one goes back to where a run updated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SelectionError


def narrow_to_roll_back(
    records: Sequence[ConnectionRecord], updated: Mapping[str, ConnectionRecord], run_id: str | None
) -> list[ConnectionRecord]:
    """Leave of the targets those that a run updated, each with the user that it had before that.

    :param updated: what that run updated, by connection, as it was read then
    :raises SelectionError: when there is no such run, or nothing is left of what it updated
    """
    if run_id is None:
        raise SelectionError("roll_back: no run is known to have updated anything that could be put back.")
    if not updated:
        raise SelectionError(f"roll_back: no run '{run_id}' is known to have updated anything.")
    if not any(record.is_target and record.key in updated for record in records):
        raise SelectionError(f"roll_back: none of the connections that run '{run_id}' updated is a target now.")
    return [_narrowed(record, updated) if record.is_target else record for record in records]


def _narrowed(record: ConnectionRecord, updated: Mapping[str, ConnectionRecord]) -> ConnectionRecord:
    before = updated.get(record.key)
    if before is not None:
        return replace(record, new_username=before.username)
    return replace(record, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=Exclusion.FILTERED_OUT)
