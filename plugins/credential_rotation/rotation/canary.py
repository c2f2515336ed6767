"""Which connection is changed first: one per credential, the same one each time."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from credential_rotation.rotation.outcomes import Proof
from credential_rotation.rotation.proof import ways_to_prove
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SelectionError
from credential_rotation.tableau.content import ContentType

log = logging.getLogger(__name__)

# The surest proof first. A refresh that may not be possible comes after one that is.
_PROOFS = (Proof.REFRESH_JOB, Proof.QUERY, Proof.VIEW_DATA, Proof.SNOWFLAKE_LOGIN)
# Reading an update back shows most for these: virtual connections don't say whether a password is embedded.
_TYPES = (ContentType.DATASOURCE, ContentType.WORKBOOK, ContentType.FLOW, ContentType.VIRTUAL_CONNECTION)
_UNKNOWN = 1 << 30

_CANDIDATES = 3
_SHOWN_BY = {
    Proof.REFRESH_JOB: "a refresh of its extract can show that Tableau connects",
    Proof.QUERY: "a query can show that Tableau connects",
    Proof.VIEW_DATA: "the data of a view can show that Tableau connects",
    Proof.SNOWFLAKE_LOGIN: "nothing that Tableau offers can show that it connects, here or at any other target",
}


def choose_canaries(targets: Sequence[ConnectionRecord], validate_on: str | None) -> dict[str, list[ConnectionRecord]]:
    """For each credential that has targets, the one to validate on, and who takes its place if it is deleted meanwhile.

    It is the one that can be proved best, and would hurt least if it failed: few workbooks depend on it, it is small.
    No two credentials have candidates in one item, those excepted whose canaries both lie there: see :func:`in_turns`.

    :param targets: what is to be updated
    :param validate_on: LUID of a content item or connection that is to be it; for credentials without a target there,
        one is chosen as usual
    :raises SelectionError: when no target has that LUID
    """
    by_credential: dict[str, list[ConnectionRecord]] = {}
    for target in targets:
        by_credential.setdefault(str(target.snowflake_conn_id), []).append(target)
    if validate_on and not any(is_at(target, validate_on) for target in targets):
        raise SelectionError(
            f"validate_on: {validate_on} is the LUID of no target. A dry run lists the targets; filters and ids narrow "
            "them."
        )
    in_order: dict[str, list[ConnectionRecord]] = {}
    # By item, the item whose canaries it is for.
    taken: dict[str, str] = {}
    for conn_id, candidates in sorted(by_credential.items()):
        in_order[conn_id] = sorted(candidates, key=lambda target: _order(target, validate_on, taken))
        first = in_order[conn_id][0]
        taken[first.content_id] = first.content_id
        asked_for = validate_on and is_at(first, validate_on)
        why = "validate_on asks for it" if asked_for else f"chosen of {len(candidates)} targets: {_why(first)}"
        log.info("'%s' is validated on the %s %s; %s.", conn_id, first.content_type.words, first.title, why)
    return {conn_id: _candidates(candidates, taken) for conn_id, candidates in in_order.items()}


def _candidates(in_order: Sequence[ConnectionRecord], taken: dict[str, str]) -> list[ConnectionRecord]:
    """The first, and who takes its place: on the same site, and in items that are for no other canaries."""
    first = in_order[0]
    near = (each for each in in_order if each.tableau_conn_id == first.tableau_conn_id)
    free = (each for each in near if taken.setdefault(each.content_id, first.content_id) == first.content_id)
    return list(islice(free, _CANDIDATES))


def in_turns(canaries: Mapping[str, Sequence[ConnectionRecord]]) -> list[list[ConnectionRecord]]:
    """The candidates for each task: of one credential, or of several whose canaries lie in one item.

    Connections of one item must be changed one after the other (server-client-python #1305).

    :param canaries: as :func:`choose_canaries` returns them
    """
    items: dict[tuple[str, str], list[ConnectionRecord]] = {}
    for candidates in canaries.values():
        first = candidates[0]
        items.setdefault((first.tableau_conn_id, first.content_id), []).extend(candidates)
    return list(items.values())


def next_canaries(candidates: Iterable[ConnectionRecord], gone: Collection[str] = ()) -> list[ConnectionRecord]:
    """Of each credential the first candidate that was not deleted meanwhile.

    :param gone: the keys of those that were
    """
    found: dict[str | None, ConnectionRecord] = {}
    for candidate in candidates:
        if candidate.key not in gone:
            found.setdefault(candidate.snowflake_conn_id, candidate)
    return list(found.values())


def is_at(target: ConnectionRecord, luid: str) -> bool:
    """Whether a LUID is that of a connection or its item."""
    return luid.casefold() in (target.content_id.casefold(), (target.connection_id or "").casefold())


def _order(
    target: ConnectionRecord, validate_on: str | None, taken: Collection[str]
) -> tuple[bool, bool, bool, int, bool, int, int, int, int, str, str]:
    asked_for = bool(validate_on) and is_at(target, str(validate_on))
    # Two canaries in one item have to wait for each other.
    shared = target.content_id in taken
    workbooks = target.connected_workbooks if target.content_type is ContentType.DATASOURCE else 1
    return (
        not asked_for,
        shared,
        # What is only to be proved is not to show that an update works.
        target.is_settled,
        _PROOFS.index(ways_to_prove(target.content)[0]),
        target.has_extracts is None,
        target.connections_in_item or 1,
        _TYPES.index(target.content_type),
        _UNKNOWN if workbooks is None else workbooks,
        _UNKNOWN if target.size is None else target.size,
        target.content_id,
        target.connection_id or "",
    )


def _why(target: ConnectionRecord) -> str:
    said = [_SHOWN_BY[ways_to_prove(target.content)[0]]]
    if target.connected_workbooks is not None:
        said.append(f"{target.connected_workbooks} workbooks depend on it")
    if (target.connections_in_item or 1) > 1:
        said.append(f"it has {target.connections_in_item} connections")
    return ", ".join(said)
