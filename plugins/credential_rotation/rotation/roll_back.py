"""A roll-back: the previous secret goes back to where runs embedded the current one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SelectionError


def narrow_to_roll_back(
    records: Sequence[ConnectionRecord],
    updated: Mapping[str, ConnectionRecord],
    credentials: Mapping[str, SnowflakeCredential],
    run_ids: Sequence[str],
) -> list[ConnectionRecord]:
    """Leave of the targets those that these runs updated, each with the user that it had before that.

    :param updated: what they updated, by connection, as it was read then
    :param credentials: by the id of their Airflow connection, reversed: with the previous secret as the token
    :raises SelectionError: when there is no such run, or nothing is left of what it updated
    """
    if not run_ids:
        raise SelectionError("roll_back: no run is known to have updated anything that could be put back.")
    if not updated:
        raise SelectionError(f"roll_back: no run '{run_ids[0]}' is known to have updated anything.")
    if not any(record.is_target and record.key in updated for record in records):
        listed = ", ".join(f"'{run_id}'" for run_id in run_ids)
        raise SelectionError(f"roll_back: none of the connections that run {listed} updated is a target now.")
    return [_narrowed(record, updated, credentials) if record.is_target else record for record in records]


def _narrowed(
    record: ConnectionRecord,
    updated: Mapping[str, ConnectionRecord],
    credentials: Mapping[str, SnowflakeCredential],
) -> ConnectionRecord:
    before, credential = updated.get(record.key), credentials[str(record.snowflake_conn_id)]
    if before is not None and before.username.casefold() == credential.token_username.casefold():
        return replace(record, new_username=before.username)
    if before is not None:
        reason = (
            f"before that run it embedded the user {before.username}; the secret that the Airflow connection "
            f"'{credential.conn_id}' holds as 'previous_password' is of {credential.token_username}"
        )
        return replace(record, outcome=Outcome.FAILED, reason=reason)
    return replace(record, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=Exclusion.FILTERED_OUT)
