"""Which connection is changed first: one per credential, the same one each time."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SelectionError
from credential_rotation.tableau.content import ContentType

log = logging.getLogger(__name__)

# Reading an update back shows most for these: virtual connections don't say whether a password is embedded.
_PREFERRED = (ContentType.DATASOURCE, ContentType.WORKBOOK, ContentType.FLOW, ContentType.VIRTUAL_CONNECTION)

_CANDIDATES = 3


def choose_canaries(targets: Sequence[ConnectionRecord], validate_on: str | None) -> dict[str, list[ConnectionRecord]]:
    """For each credential that has targets, the one to validate on, and who takes its place if it is deleted meanwhile.

    :param validate_on: LUID of a content item or connection that is to be it; for credentials without a target there,
        one is chosen as usual
    :raises SelectionError: when no target has that LUID
    """
    by_credential: dict[str, list[ConnectionRecord]] = {}
    for target in targets:
        by_credential.setdefault(str(target.snowflake_conn_id), []).append(target)
    if validate_on and not any(_is_at(target, validate_on) for target in targets):
        raise SelectionError(
            f"validate_on: {validate_on} is the LUID of no target. A dry run lists the targets; filters and ids narrow "
            "them."
        )
    chosen: dict[str, list[ConnectionRecord]] = {}
    taken: set[str] = set()
    for conn_id, candidates in sorted(by_credential.items()):
        in_order = sorted(candidates, key=lambda target: _order(target, validate_on, taken))
        chosen[conn_id] = in_order[:_CANDIDATES]
        first = in_order[0]
        taken.add(first.content_id)
        why = "as validate_on asks" if validate_on and _is_at(first, validate_on) else f"of {len(candidates)} targets"
        log.info("'%s' is validated on the %s %s (%s).", conn_id, first.content_type.words, first.title, why)
    return chosen


def _is_at(target: ConnectionRecord, luid: str) -> bool:
    return luid.casefold() in (target.content_id.casefold(), (target.connection_id or "").casefold())


def _order(
    target: ConnectionRecord, validate_on: str | None, taken: Collection[str]
) -> tuple[bool, bool, int, str, str]:
    asked_for = bool(validate_on) and _is_at(target, str(validate_on))
    # Two canaries on one item would be written to at the same time (server-client-python #1305).
    shared = target.content_id in taken
    preferred = _PREFERRED.index(target.content_type)
    return not asked_for, shared, preferred, target.content_id, target.connection_id or ""
