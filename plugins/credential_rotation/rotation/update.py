"""Embeds a secret in one connection, sees that it is there, and says what came of it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.read_back import ReadBack, can_show, holds
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.content import Connection, Content
from credential_rotation.tableau.errors import (
    EmptyAnswer,
    NotAllowed,
    NotFound,
    NotSaved,
    RequestRefused,
    TableauTooOld,
    TableauUnwell,
    Throttled,
)

log = logging.getLogger(__name__)

NOT_READ_BACK = "Tableau accepted the update, but it could not be read back."


class Writable(Protocol):
    """What this step needs of a Tableau site."""

    def connections(self, content: Content) -> list[Connection]:
        """The connections of an item, as they are now."""

    def has(self, content: Content) -> bool:
        """Whether an item is there now."""

    def embed(self, content: Content, connection: Connection, username: str, password: str) -> Connection | None:
        """Embed a user and password in a connection; the connection as the answer shows it, if it does.

        :raises EmptyAnswer: when Tableau did not say that it saved anything
        """

    def updated_at(self, contents: Collection[Content]) -> dict[str, str]:
        """When each of these items was last changed, by LUID; items that are gone are left out."""


def embed_and_read_back(
    site: Writable, target: ConnectionRecord, username: str, secret: str, read_back: ReadBack
) -> ConnectionRecord:
    """Embed a user and secret in one connection, and read it back where that can show anything.

    :return: with ``saved_at``, and no outcome yet, when it is there; else with an outcome, ``retriable`` where a later
        try may mend it
    :raises Throttled: Tableau asks for a longer wait
    :raises TableauError: only where all connections are concerned: the sign-in is refused, say
    """
    tried = replace(
        target,
        attempts=target.attempts + 1,
        outcome=None,
        # What was proved of this very token stays proved: it is embedded again beside others of its item.
        proof=None if target.outcome or target.undoing else target.proof,
        reason=None,
        retriable=False,
        saved_at=None,
        item_updated_at=None,
    )
    accepted = False
    try:
        answer = _embed(site, target, username, secret)
        # Not when it was read back: an item that is published meanwhile must show as changed since.
        accepted, tried, saved_at = True, replace(tried, touched=True), datetime.now(UTC).isoformat()
        if read_back.is_needed(target, username, answer):
            _read_back(site, target, username)
            read_back.agreed(target)
    except Throttled as error:
        if not accepted:
            raise
        return replace(tried, outcome=Outcome.FAILED, reason=f"{NOT_READ_BACK} {error}", retriable=True)
    except NotFound:
        return of_missing(site, tried)
    except (NotAllowed, RequestRefused) as error:
        return replace(tried, outcome=Outcome.FAILED, reason=str(error))
    except TableauUnwell as error:
        # Without an answer, nobody knows whether it was done.
        return replace(tried, outcome=Outcome.FAILED, reason=str(error), retriable=True, touched=True)
    return replace(tried, saved_at=saved_at)


def _embed(site: Writable, target: ConnectionRecord, username: str, secret: str) -> Connection | None:
    try:
        return site.embed(target.content, target.connection, username, secret)
    except EmptyAnswer:
        # Where another user must show afterwards, reading back tells whether it was done. Where only the secret
        # changes, which Tableau never shows, nothing would tell: the update counts as not done.
        if not can_show(target, username):
            raise
        return None


def _read_back(site: Writable, target: ConnectionRecord, username: str) -> None:
    now = next((each for each in site.connections(target.content) if each.id == target.connection_id), None)
    if now is None:
        raise NotFound(f"{target.title}: the connection is not there any more")
    if holds(now, username):
        return
    if now.username.casefold() != username.casefold():
        shown = f"user {now.username}" if now.username else "no user"
        raise NotSaved(f"{target.title}: Tableau accepted the update, yet shows {shown} afterwards.")
    raise NotSaved(f"{target.title}: Tableau accepted the update, yet the password is not embedded afterwards.")


def _connections_or_none(site: Writable, content: Content) -> list[Connection] | None:
    """The connections of an item; None where the item itself is gone. A 404 may pass, so one says nothing.

    :raises NotFound: Tableau does not find the connections, and does not say that the item is gone
    """
    try:
        return site.connections(content)
    except NotFound:
        return site.connections(content) if site.has(content) else None


def of_missing(site: Writable, target: ConnectionRecord) -> ConnectionRecord:
    """A 404 means that the item is gone, or that it was published again and its connections have new LUIDs."""
    try:
        still_there = _connections_or_none(site, target.content)
        if still_there is None:
            return replace(target, outcome=Outcome.GONE, reason="deleted in the meantime", retriable=False)
    except NotFound as error:
        reason = f"Tableau does not find its connections, and does not say that the item is gone: {error}"
        return replace(target, outcome=Outcome.FAILED, reason=reason, retriable=True)
    except (NotAllowed, RequestRefused, TableauTooOld, TableauUnwell) as error:
        return replace(target, outcome=Outcome.FAILED, reason=str(error), retriable=isinstance(error, TableauUnwell))
    if any(each.id == target.connection_id for each in still_there):
        reason = "Tableau lists this connection but does not find it when it is to be updated"
        return replace(target, outcome=Outcome.FAILED, reason=reason, retriable=True)
    reason = "its connections were replaced meanwhile (published again?); the next run finds the new ones"
    # Whatever was written to the one before went with it.
    return replace(target, outcome=Outcome.FAILED, reason=reason, retriable=False, touched=False)
