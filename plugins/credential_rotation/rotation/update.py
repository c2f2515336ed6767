"""The steps that write: embed the token in one connection, and in a batch of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from credential_rotation.rotation.budget import Hold
from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.content import Connection, Content
from credential_rotation.tableau.errors import (
    NotAllowed,
    NotFound,
    NotSaved,
    RequestRefused,
    TableauError,
    TableauUnwell,
    Throttled,
)

log = logging.getLogger(__name__)

# Where a 429 does not say how long, and the quick tries were in vain.
_WAIT_WHEN_UNTOLD = 60.0
HELD_UP = "its turn did not come: Tableau asked to slow down"


class Writable(Protocol):
    """What these steps need of a Tableau site."""

    def connections(self, content: Content) -> list[Connection]:
        """The connections of an item, as they are now."""

    def embed(self, content: Content, connection: Connection, username: str, password: str) -> None:
        """Embed a user and password in a connection."""


def update_one(site: Writable, target: ConnectionRecord, credential: SnowflakeCredential) -> ConnectionRecord:
    """Embed the credential in one connection, and read it back: the outcome, good or bad.

    A failure that a later try may mend has ``retriable`` set.

    :raises Throttled: Tableau asks for a longer wait
    :raises TableauError: only where all connections are concerned: the sign-in is refused, say
    """
    tried = replace(target, attempts=target.attempts + 1)
    try:
        site.embed(target.content, target.connection, credential.login, credential.token)
        _read_back(site, target, credential)
    except Throttled:
        raise
    except NotFound:
        return _of_missing(site, tried)
    except (NotAllowed, RequestRefused) as error:
        return replace(tried, outcome=Outcome.FAILED, reason=str(error), retriable=False)
    except TableauUnwell as error:
        return replace(tried, outcome=Outcome.FAILED, reason=str(error), retriable=True)
    return replace(tried, outcome=Outcome.UPDATED, proof=Proof.SAVED, reason=None, retriable=False)


def _read_back(site: Writable, target: ConnectionRecord, credential: SnowflakeCredential) -> None:
    """Tableau's answer to an update may show anything or nothing; what a new request reads is what is there."""
    now = next((each for each in site.connections(target.content) if each.id == target.connection_id), None)
    if now is None:
        raise NotFound(f"{target.title}: the connection is not there any more")
    if now.username.casefold() != credential.login.casefold():
        shown = f"user {now.username}" if now.username else "no user"
        raise NotSaved(f"{target.title}: Tableau accepted the update, yet shows {shown} afterwards.")
    if now.embed_password is False:
        raise NotSaved(f"{target.title}: Tableau accepted the update, yet the password is not embedded afterwards.")


def _of_missing(site: Writable, target: ConnectionRecord) -> ConnectionRecord:
    """A 404 means that the item is gone, or that it was published again and its connections have new LUIDs."""
    try:
        still_there = site.connections(target.content)
    except NotFound:
        return replace(target, outcome=Outcome.GONE, reason="deleted meanwhile", retriable=False)
    except (NotAllowed, RequestRefused, TableauUnwell) as error:
        return replace(target, outcome=Outcome.FAILED, reason=str(error), retriable=isinstance(error, TableauUnwell))
    if any(each.id == target.connection_id for each in still_there):
        reason = "Tableau lists this connection but does not find it when it is to be updated"
        return replace(target, outcome=Outcome.FAILED, reason=reason, retriable=True)
    reason = "its connections were replaced meanwhile (published again?); the next run finds the new ones"
    return replace(target, outcome=Outcome.FAILED, reason=reason, retriable=False)


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch. ``retry_after`` are the seconds that Tableau asked to wait, when it held the batch up."""

    records: tuple[ConnectionRecord, ...]
    retry_after: float | None = None


def update_batch(
    site: Writable,
    targets: Sequence[ConnectionRecord],
    credentials: Mapping[str, SnowflakeCredential],
    *,
    in_flight: int,
    done: Callable[[ConnectionRecord], None],
    hold: Callable[[], Hold | None],
) -> BatchResult:
    """Update all targets, some at a time, those of one item one after the other; one outcome for each.

    :param credentials: by the id of their Airflow connection
    :param in_flight: items that are worked on at once
    :param done: is told each outcome at once, from any thread
    :param hold: asked before each update that was not tried before, why it must not start
    :raises TableauError: what concerns all connections, a refused sign-in say; the targets whose turn did not come are
        told as not attempted first
    """
    work = _BatchWork(site, credentials, done, hold)
    items: dict[str, list[ConnectionRecord]] = {}
    for target in targets:
        items.setdefault(target.content_id, []).append(target)
    with ThreadPoolExecutor(max_workers=max(1, in_flight), thread_name_prefix="update") as pool:
        futures = [pool.submit(work.on_item, item) for item in items.values()]
        try:
            records = tuple(record for future in futures for record in future.result())
        except BaseException:
            # Airflow's time limit, say: nothing new is to start.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if work.fatal:
        raise work.fatal
    return BatchResult(records, work.retry_after)


class _BatchWork:
    """What the threads of one batch share."""

    def __init__(
        self,
        site: Writable,
        credentials: Mapping[str, SnowflakeCredential],
        done: Callable[[ConnectionRecord], None],
        hold: Callable[[], Hold | None],
    ) -> None:
        self._site = site
        self._credentials = credentials
        self._done = done
        self._hold = hold
        self.retry_after: float | None = None
        # What went wrong for all connections: each further try would be refused as well, and lock the account.
        self.fatal: TableauError | None = None

    def on_item(self, targets: Sequence[ConnectionRecord]) -> list[ConnectionRecord]:
        results: list[ConnectionRecord] = []
        for target in targets:
            results.append(self._attempt(target))
            self._done(results[-1])
        return results

    def _attempt(self, target: ConnectionRecord) -> ConnectionRecord:
        if self.fatal:
            return _held_back(target, str(self.fatal), retriable=False)
        if self.retry_after is not None:
            return _held_back(target, HELD_UP, retriable=True)
        # What failed before may be tried again: only new updates are held back.
        hold = self._hold() if not target.attempts else None
        if hold:
            return _held_back(target, hold.reason, retriable=hold.retriable)
        attempts = target.attempts + 1
        try:
            return update_one(self._site, target, self._credentials[str(target.snowflake_conn_id)])
        except Throttled as error:
            # The other threads would only be told the same.
            self.retry_after = max(self.retry_after or 0.0, error.retry_after or _WAIT_WHEN_UNTOLD)
            return replace(target, outcome=Outcome.FAILED, reason=str(error), retriable=True, attempts=attempts)
        except TableauError as error:
            self.fatal = self.fatal or error
            return replace(target, outcome=Outcome.FAILED, reason=str(error), retriable=False, attempts=attempts)


def _held_back(target: ConnectionRecord, reason: str, *, retriable: bool) -> ConnectionRecord:
    if target.attempts:
        # It failed in an earlier try of the task; that is what the report must say.
        return replace(target, retriable=retriable)
    return replace(target, outcome=Outcome.NOT_ATTEMPTED, reason=reason, retriable=retriable)
