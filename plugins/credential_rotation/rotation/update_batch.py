"""Updates many connections, some at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from credential_rotation.rotation.budget import Hold
from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.one_connection import Orders, Stage, failed_by, next_step
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import KILLED, ConnectionRecord
from credential_rotation.rotation.update import Writable
from credential_rotation.tableau.errors import TableauError, Throttled

# Where a 429 does not say how long, and the quick tries were in vain.
_WAIT_WHEN_UNTOLD = 60.0
HELD_UP = "its turn did not come: Tableau asked to slow down"
# Proofs that are there within this time are waited for here; for others the task makes way.
PATIENCE = 15.0


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch.

    :param retry_after: seconds that Tableau asked to wait, when it held the batch up
    :param proof_in: seconds after which to look again for proofs that are not there yet
    """

    records: tuple[ConnectionRecord, ...]
    retry_after: float | None = None
    proof_in: float | None = None


def update_batch(
    site: Writable,
    targets: Sequence[ConnectionRecord],
    credentials: Mapping[str, SnowflakeCredential],
    *,
    in_flight: int,
    done: Callable[[ConnectionRecord], None],
    hold: Callable[[ConnectionRecord], Hold | None],
    begin: Callable[[ConnectionRecord], None] = lambda _: None,
    orders: Orders | None = None,
) -> BatchResult:
    """Update all targets, some at a time, those of one item one after the other; one outcome for each.

    :param credentials: by the id of their Airflow connection
    :param in_flight: items that are worked on at once
    :param done: is told at once how far each connection is, from any thread
    :param hold: asked before each update that was not tried before, why it must not start
    :param begin: is told before a connection may be written to, from any thread
    :raises TableauError: what concerns all connections, a refused sign-in say; the targets whose turn did not come are
        told as not attempted first
    """
    work = _BatchWork(site, credentials, orders or Orders(), done=done, hold=hold, begin=begin)
    records = work.on_all(targets, in_flight)
    if work.fatal:
        raise work.fatal
    return BatchResult(tuple(records), work.retry_after, work.proof_in)


class _BatchWork:
    """What the threads of one batch share."""

    def __init__(
        self,
        site: Writable,
        credentials: Mapping[str, SnowflakeCredential],
        orders: Orders,
        *,
        done: Callable[[ConnectionRecord], None],
        hold: Callable[[ConnectionRecord], Hold | None],
        begin: Callable[[ConnectionRecord], None],
    ) -> None:
        self._site = site
        self._credentials = credentials
        self._done = done
        self._hold = hold
        self._begin = begin
        self._orders = orders
        self.retry_after: float | None = None
        self.proof_in: float | None = None
        # What went wrong for all connections: each further try would be refused as well, and lock the account.
        self.fatal: TableauError | None = None

    def on_all(self, targets: Sequence[ConnectionRecord], in_flight: int) -> list[ConnectionRecord]:
        """Go round until each has its outcome, or those that have none will not have it soon."""
        patient_until = time.monotonic() + PATIENCE
        stages: dict[str, Stage] = {target.key: Stage(target) for target in targets}
        left = list(targets)
        with ThreadPoolExecutor(max_workers=max(1, in_flight), thread_name_prefix="update") as pool:
            while left:
                futures = [pool.submit(self._on_item, item) for item in _by_item(left)]
                try:
                    found = [stage for future in futures for stage in future.result()]
                except BaseException:
                    # Airflow's time limit, say: nothing new is to start.
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
                stages.update((stage.record.key, stage) for stage in found)
                waiting = [stage for stage in stages.values() if stage.wait is not None]
                self.proof_in = min((stage.wait or 0.0 for stage in waiting), default=None)
                if self.proof_in is None or self.fatal or time.monotonic() + self.proof_in > patient_until:
                    break
                time.sleep(self.proof_in)
                # Those whose time has not come are asked a little early, all in one go.
                left = [stage.record for stage in waiting]
        return [stage.record for stage in stages.values()]

    def _on_item(self, targets: Sequence[ConnectionRecord]) -> list[Stage]:
        # What shows of an item may be shown by any of its connections: all are embedded before one is proved.
        saved = [self._on_connection(Stage(target, wait=0.0), prove=False) for target in targets]
        return [self._on_connection(stage, prove=True) for stage in saved]

    def _on_connection(self, stage: Stage, *, prove: bool) -> Stage:
        """Take steps until one has to wait; or, if it is not to be proved yet, until there is something to prove."""
        while stage.wait == 0.0 and (prove or not stage.record.proving):
            stage = self._step(stage.record)
            self._done(stage.record)
        return stage

    def _step(self, target: ConnectionRecord) -> Stage:
        under_way = target.is_under_way
        if self.fatal:
            return Stage(target if under_way else _held_back(target, str(self.fatal), retriable=False))
        if self.retry_after is not None and not under_way:
            return Stage(_held_back(target, HELD_UP, retriable=True))
        # What failed before may be tried again: only new updates are held back.
        hold = None if target.attempts or target.touched else self._hold(target)
        if hold:
            return Stage(_held_back(target, hold.reason, retriable=hold.retriable))
        if target.proving is None:
            self._begin(target)
        began = time.monotonic()
        stage = self._next_step(target)
        return replace(stage, record=_timed(stage.record, target, time.monotonic() - began))

    def _next_step(self, target: ConnectionRecord) -> Stage:
        try:
            return next_step(self._site, target, self._credentials[str(target.snowflake_conn_id)], self._orders)
        except Throttled as error:
            # The other threads would only be told the same.
            self.retry_after = max(self.retry_after or 0.0, error.retry_after or _WAIT_WHEN_UNTOLD)
            return Stage(failed_by(target, error, retriable=True))
        except TableauError as error:
            self.fatal = self.fatal or error
            return Stage(target if target.proving else failed_by(target, error, retriable=False))


def _by_item(targets: Sequence[ConnectionRecord]) -> list[list[ConnectionRecord]]:
    items: dict[str, list[ConnectionRecord]] = {}
    for target in targets:
        items.setdefault(target.content_id, []).append(target)
    return list(items.values())


def _timed(record: ConnectionRecord, before: ConnectionRecord, step: float) -> ConnectionRecord:
    """A connection with the time of a step added to what it took so far; of a proof it is the whole wait that counts.

    :param before: the connection as it was before the step
    :param step: seconds that the step took
    """
    if before.proving is not None:
        step = 0.0 if record.proving is not None else max(step, time.time() - before.proving.since)
    return replace(record, seconds=(before.seconds or 0.0) + step)


def _held_back(target: ConnectionRecord, reason: str, *, retriable: bool) -> ConnectionRecord:
    if target.outcome is not None:
        # It failed in an earlier try of the task; that is what the report must say.
        return replace(target, retriable=retriable)
    if target.touched:
        return replace(
            target, outcome=Outcome.FAILED, reason=f"{target.reason or KILLED}; {reason}", retriable=retriable
        )
    return replace(target, outcome=Outcome.NOT_ATTEMPTED, reason=reason, retriable=retriable)
