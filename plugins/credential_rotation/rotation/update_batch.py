"""Updates many connections, some at a time."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from credential_rotation.rotation.budget import Hold
from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.one_connection import Orders, Stage, failed_by, next_step, or_put_back
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.records import KILLED, ConnectionRecord
from credential_rotation.rotation.settling import Written, changed_again
from credential_rotation.rotation.update import Writable
from credential_rotation.tableau.errors import (
    NotAllowed,
    RequestRefused,
    TableauError,
    TableauTooOld,
    TableauUnwell,
    Throttled,
)

log = logging.getLogger(__name__)

# Where a 429 does not say how long, and the quick tries were in vain.
_WAIT_WHEN_UNTOLD = 60.0
HELD_UP = "its turn did not come: Tableau asked to slow down"
KEEPS_CHANGING = "its item was changed again right after each update (published again?): it may hold another secret"
_MOST_REWRITES = 2
# Failures of looking at items that do not concern what else a task does.
_NOT_ABOUT_ALL = (TableauUnwell, NotAllowed, RequestRefused, TableauTooOld)
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
        self._updates: dict[str, Written] = {}
        self._rewritten: Counter[str] = Counter()
        self.retry_after: float | None = None
        self.proof_in: float | None = None
        # What went wrong for all connections: each further try would be refused as well, and lock the account.
        self.fatal: TableauError | None = None

    def on_all(self, targets: Sequence[ConnectionRecord], in_flight: int) -> list[ConnectionRecord]:
        """Go round until each has its outcome, or those that have none will not have it soon."""
        patient_until = time.monotonic() + PATIENCE
        stages = {target.key: Stage(target, wait=0.0) for target in as_whole_items(targets)}
        left = list(stages.values())
        with ThreadPoolExecutor(max_workers=max(1, in_flight), thread_name_prefix="update") as pool:
            while left:
                try:
                    found = self._round(pool, left)
                except BaseException:
                    # Airflow's time limit, say: nothing new is to start.
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
                stages.update((stage.record.key, stage) for stage in found)
                waiting = [stage for stage in stages.values() if stage.wait is not None]
                self.proof_in = min((stage.wait or 0.0 for stage in waiting), default=None)
                if self.proof_in is None or self.fatal:
                    break
                if self.proof_in > 0.0:
                    if time.monotonic() + self.proof_in > patient_until:
                        break
                    time.sleep(self.proof_in)
                # Those whose time has not come are asked a little early, all in one go.
                left = [replace(stage, wait=0.0) for stage in waiting]
        return [stage.record for stage in stages.values()]

    def _round(self, pool: Executor, stages: Sequence[Stage]) -> list[Stage]:
        """Write what is to be written, see that it stays, and prove it; some items at a time."""
        if self._orders.prover is None:
            # One look is enough for all items.
            return self._proved(self._settled(self._each_item(pool, stages, self._written)))
        # A token that is refused at one item is not to be written to the others, so each is proved before the next.
        return self._each_item(pool, stages, lambda item: self._proved(self._settled(self._written(item))))

    def _each_item(
        self, pool: Executor, stages: Sequence[Stage], do: Callable[[Sequence[Stage]], list[Stage]]
    ) -> list[Stage]:
        futures = [pool.submit(do, item) for item in _by_item(stages)]
        return [stage for future in futures for stage in future.result()]

    def _written(self, stages: Sequence[Stage]) -> list[Stage]:
        """Steps until there are updates to be settled, with one connection after the other.

        What shows of an item may be shown by any of its connections: all are embedded before one is proved.
        """
        return [self._while(stage, lambda record: record.saved_at is None) for stage in stages]

    def _proved(self, stages: Sequence[Stage]) -> list[Stage]:
        """Steps until one has to wait, or the next is an update."""
        return [self._while(stage, lambda record: record.is_settled) for stage in stages]

    def _while(self, stage: Stage, here: Callable[[ConnectionRecord], bool]) -> Stage:
        while stage.wait == 0.0 and here(stage.record):
            stage = self._after_refresh(self._step(stage.record))
            # Until it is settled, it is one that was begun.
            if not stage.record.is_unsettled:
                self._done(stage.record)
        return stage

    def _after_refresh(self, stage: Stage) -> Stage:
        """Where a refresh of ours may have been the latest change of an item, its time tells nothing any more."""
        record = stage.record
        if record.outcome is None or record.proof is not Proof.REFRESH_JOB or not record.is_settled:
            return stage
        try:
            now = self._site.updated_at([record.content]).get(record.content_id)
        except TableauError:
            now = None
        return stage if now == record.item_updated_at else replace(stage, record=replace(record, item_updated_at=""))

    def _settled(self, stages: Sequence[Stage]) -> list[Stage]:
        """The same stages; connections that were just written to are settled, to be written again, or failed."""
        records = [stage.record for stage in stages if stage.record.is_unsettled]
        if not records:
            return list(stages)
        problem, now, again = self.fatal, dict[str, str](), set[str]()
        if problem is None:
            try:
                now = self._site.updated_at({record.content_id: record.content for record in records}.values())
                again = changed_again([self._updates[each.content_id] for each in records], now)
            except TableauError as error:
                problem = error
        found = [
            self._not_seen(each, problem)
            if problem
            else self._seen(each, now.get(each.content_id), changed=each.content_id in again)
            for each in records
        ]
        for stage in found:
            if not stage.record.is_settled:
                self._done(stage.record)
        settled = {stage.record.key: stage for stage in found}
        return [settled.get(stage.record.key, stage) for stage in stages]

    def _not_seen(self, record: ConnectionRecord, problem: TableauError) -> Stage:
        if isinstance(problem, Throttled):
            self._slow_down(problem)
        elif not isinstance(problem, _NOT_ABOUT_ALL):
            self.fatal = self.fatal or problem
        failed = failed_by(record, problem, retriable=self.fatal is None)
        return self._failed(replace(failed, attempts=record.attempts))

    def _seen(self, record: ConnectionRecord, updated_at: str | None, *, changed: bool) -> Stage:
        if updated_at is not None and not changed:
            return Stage(replace(record, item_updated_at=updated_at), wait=0.0)
        # Published again, or gone: the next update shows which.
        self._rewritten[record.key] += 1
        if self._rewritten[record.key] <= _MOST_REWRITES:
            log.info("%s was changed right after its update; it is updated again.", record.title)
            return Stage(record.to_be_written(), wait=0.0)
        return self._failed(replace(record, outcome=Outcome.FAILED, reason=KEEPS_CHANGING, retriable=True))

    def _failed(self, record: ConnectionRecord) -> Stage:
        if record.undoing:
            return Stage(record)
        return or_put_back(Stage(record), self._credentials[str(record.snowflake_conn_id)], self._orders)

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
        if not target.is_settled:
            self._begin(target)
        began, sent = time.monotonic(), time.time()
        stage = self._next_step(target)
        if stage.record.is_unsettled:
            self._updates[target.content_id] = Written(target.content, sent, _seconds(stage.record.saved_at))
        return replace(stage, record=_timed(stage.record, target, time.monotonic() - began))

    def _slow_down(self, error: Throttled) -> None:
        """No further update is begun: the other threads would only be refused as well."""
        self.retry_after = max(self.retry_after or 0.0, error.retry_after or _WAIT_WHEN_UNTOLD)

    def _next_step(self, target: ConnectionRecord) -> Stage:
        try:
            return next_step(self._site, target, self._credentials[str(target.snowflake_conn_id)], self._orders)
        except Throttled as error:
            self._slow_down(error)
            return Stage(failed_by(target, error, retriable=True))
        except TableauError as error:
            self.fatal = self.fatal or error
            return Stage(target if target.proving else failed_by(target, error, retriable=False))


def as_whole_items(targets: Sequence[ConnectionRecord]) -> list[ConnectionRecord]:
    """Targets as they are before their next step: what is settled is left as it is, unless it is beside an update.

    An update changes the time of the whole item, and would hide what happened to the others in it in the meantime.
    """
    ready = [each if each.outcome is None and each.is_settled else each.to_be_written() for each in targets]
    to_write = {each.content_id for each in ready if not each.is_settled}
    return [each.to_be_written() if each.content_id in to_write else each for each in ready]


def _by_item(stages: Sequence[Stage]) -> list[list[Stage]]:
    items: dict[str, list[Stage]] = {}
    for stage in stages:
        items.setdefault(stage.record.content_id, []).append(stage)
    return list(items.values())


def _seconds(saved_at: str | None) -> float:
    return datetime.fromisoformat(str(saved_at)).timestamp()


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
