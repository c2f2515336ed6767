"""What ``validate_one`` and ``update_connections`` have in common: update the connections of one task."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from credential_rotation.failure_marks import FailureMarks
from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.journal import Journal
from credential_rotation.plan_files import check_plan, check_token
from credential_rotation.retry_policy import ConnectionsFailed, ConnectionsUnfinished
from credential_rotation.rotation.credentials import SnowflakeCredential, UnusableCredential
from credential_rotation.rotation.one_connection import Orders, left_alone, put_back
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.proof import Embedded, Prover
from credential_rotation.rotation.read_back import ReadBack
from credential_rotation.rotation.records import KILLED, ConnectionRecord
from credential_rotation.rotation.snowflake_words import SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.rotation.update_batch import BatchResult, update_batch
from credential_rotation.snowflake_check import SnowflakeCheck
from credential_rotation.tableau.errors import TableauError
from credential_rotation.tableau.tableau_data import TableauData
from credential_rotation.tableau.tableau_site import TableauSite
from credential_rotation.task_context import ThisTask

log = logging.getLogger(__name__)

# A task that comes back before the scheduler has noticed that it went is taken for one that was lost: seen with
# 5 seconds on a LocalExecutor. Airflow advises against short intervals with its own sensors, too.
_SHORTEST_ABSENCE = 30.0


def update_targets(
    task: ThisTask,
    plan_id: str,
    batch: str,
    targets: Sequence[ConnectionRecord],
    *,
    in_flight: int,
    marks: FailureMarks | None,
    budget: int | None = None,
) -> dict[str, Any]:
    """Update targets on one site, those that an earlier try has done excepted; how many came to which outcome.

    :param batch: names the targets among those of the plan
    :param marks: where failures are counted; None for a canary, whose failure stops its own credential only
    :param budget: how many failures are bearable
    :raises PlanReplaced: when its plan is not the run's any more, or was made for another site
    :raises ConnectionsFailed: when one failed for good
    :raises ConnectionsUnfinished: when another try may mend it
    :raises AirflowRescheduleException: when a proof is not there yet
    :raises AirflowSkipException: when nothing was attempted
    """
    # Where tasks of a run that has ended are cleared, and its report is not.
    task.ledgers.open(task.run_id)
    journal = Journal(task.folder, plan_id, batch, targets, marks, generation=task.generation)
    left = journal.left()
    if len(left) < len(targets):
        log.info("%d of %d were done by an earlier try.", len(targets) - len(left), len(targets))
    canary = marks is None
    credentials, unusable = _credentials_of(task, plan_id, left)
    for target in left:
        if reason := unusable.get(str(target.snowflake_conn_id)):
            journal.note(left_alone(target, reason))
    left = [_under_way(target) for target in left if str(target.snowflake_conn_id) in credentials]
    check = SnowflakeCheck()
    site = targets[0].tableau_conn_id
    with task.tableau(site, in_flight=in_flight, sharers=task.settings.parallel_tasks) as hook:
        check_plan(task.folder, plan_id, site, hook.settings.site_key)
        for secret in (secret for each in credentials.values() for secret in each.secrets):
            hook.keep_secret(secret)
        orders = _orders(task, hook, check, credentials, canary=canary)
        if canary and task.settings.snowflake_check:
            left = _checked_in_snowflake(task, check, journal, left, credentials, orders=orders)
        try:
            result = update_batch(
                TableauSite(hook),
                left,
                credentials,
                in_flight=in_flight,
                done=journal.note,
                hold=lambda target: marks.hold(budget, target.snowflake_conn_id) if marks else None,
                begin=journal.begin,
                orders=orders,
            )
        except TableauError as problem:
            if marks:
                marks.stop(task.name, str(problem))
            journal.finish()
            raise
        finally:
            journal.close()
    return _conclude(task, journal, result, " ".join(sorted(unusable.values())))


def _orders(
    task: ThisTask,
    hook: TableauHook,
    check: SnowflakeCheck,
    credentials: Mapping[str, SnowflakeCredential],
    *,
    canary: bool,
) -> Orders:
    """How the connections of a task are treated: as the params of the run say."""
    must_connect = (task.params.canary_proof if canary else task.params.proof) == "connects"
    prover = Prover(
        TableauData(hook),
        check.sign_in if task.settings.snowflake_check else None,
        time_limit=task.settings.proof_minutes * 60,
    )
    return Orders(
        prover=prover if must_connect else None,
        is_canary=canary,
        read_back=ReadBack(always=canary),
        is_last_try=task.is_last_try,
        done=Outcome.ROLLED_BACK if task.params.roll_back else Outcome.UPDATED,
        sign_in=check.sign_in if task.settings.snowflake_check else None,
        previous={each.conn_id: task.fingerprints.of(each.previous) for each in credentials.values() if each.previous},
    )


def _checked_in_snowflake(
    task: ThisTask,
    check: SnowflakeCheck,
    journal: Journal,
    targets: Sequence[ConnectionRecord],
    credentials: Mapping[str, SnowflakeCredential],
    *,
    orders: Orders,
) -> list[ConnectionRecord]:
    """See that what is about to be embedded can sign in to Snowflake; nothing is written yet.

    :return: the canaries to continue with. One that may hold a refused token, since an earlier try was killed, is to be
        put back.
    """
    continued = []
    for target in targets:
        if target.is_under_way or (target.touched and target.outcome is not None):
            continued.append(target)  # It is written already, and to be brought to its end.
            continue
        credential = credentials[str(target.snowflake_conn_id)]
        embedded = Embedded(credential.conn_id, target.new_username or credential.login, credential.token)
        try:
            check.sign_in(embedded)
        except (SnowflakeRefused, SnowflakeUnreachable) as problem:
            refused = isinstance(problem, SnowflakeRefused)
            reason = f"{'Snowflake refuses' if refused else 'Snowflake could not be asked about'} the token of "
            reason += f"'{credential.conn_id}', user {embedded.username}: {problem}"
            if target.touched and refused:
                stage = put_back(replace(target, reason=f"{KILLED}. {reason}"), credential, orders)
                journal.note(stage.record)
                if stage.record.undoing:
                    continued.append(stage.record)
            elif target.touched:
                continued.append(target)
            else:
                if not refused:
                    reason += " If Airflow is not to reach Snowflake, set CREDENTIAL_ROTATION_SNOWFLAKE_CHECK to off."
                reason += " Nothing was written to Tableau for it."
                retriable = not refused and not task.is_last_try
                journal.note(replace(target, outcome=Outcome.NOT_ATTEMPTED, reason=reason, retriable=retriable))
        else:
            continued.append(target)
    return continued


def _credentials_of(
    task: ThisTask, plan_id: str, targets: Sequence[ConnectionRecord]
) -> tuple[dict[str, SnowflakeCredential], dict[str, str]]:
    """The credentials of these targets; and of those that can't be used any more, why."""
    usable: dict[str, SnowflakeCredential] = {}
    unusable: dict[str, str] = {}
    for conn_id in {str(target.snowflake_conn_id) for target in targets}:
        try:
            found = task.credential(conn_id)
            check_token(task.folder, plan_id, found, task.fingerprints)
        except UnusableCredential as problem:
            unusable[conn_id] = str(problem)
        else:
            usable[conn_id] = found
    return usable, unusable


def _under_way(target: ConnectionRecord) -> ConnectionRecord:
    """A target that is gone on with: where its proof was given up since the token was changed, that is over."""
    return replace(target, outcome=None, reason=None) if target.proving else target


def _conclude(task: ThisTask, journal: Journal, result: BatchResult, unusable: str) -> dict[str, Any]:
    """The task's result; or the exception that makes it fail, try again, look again later, or be skipped.

    :param unusable: why credentials can't be used any more; what is under way with others is brought to its end first
    """
    records = journal.records()
    waiting = [record for record in records if record.outcome is None]
    bad = [record for record in records if record.outcome is not None and not record.is_well]
    for record in records:
        if record.outcome is not None:
            level = logging.INFO if record.is_well else logging.ERROR
            log.log(level, "%s: %s · %s%s", record.outcome, record.title, record.username, _because(record))
    unfinished = [record for record in bad if record.retriable]
    if unfinished and not task.is_last_try:
        raise ConnectionsUnfinished(_sentence(unfinished), result.retry_after)
    for record in unfinished:
        # There is no further try; while others are waited for, this one is not to be tried each time.
        journal.note(replace(record, retriable=False))
    if waiting:
        seconds = max(_SHORTEST_ABSENCE, result.proof_in or 0.0)
        first = f"{waiting[0].title} · {waiting[0].username}"
        log.info("Proofs not there yet: %d (first: %s). Looking again in %.0f s.", len(waiting), first, seconds)
        # Airflow's own way to wait without a worker slot; what is waited for stands in the journal.
        raise AirflowRescheduleException(  # type: ignore[no-untyped-call]
            datetime.now(UTC) + timedelta(seconds=seconds)
        )
    journal.finish()
    if unusable:
        raise ConnectionsFailed(unusable)
    if bad and all(record.outcome is Outcome.NOT_ATTEMPTED and not record.canary for record in records):
        raise AirflowSkipException(_sentence(bad))
    if bad:
        raise ConnectionsFailed(_sentence(bad))
    return {str(outcome): sum(r.outcome is outcome for r in records) for outcome in {r.outcome for r in records}}


def _because(record: ConnectionRecord) -> str:
    return f" ({record.reason})" if record.reason else ""


def _sentence(records: Sequence[ConnectionRecord]) -> str:
    first = records[0]
    more = f" (and {len(records) - 1} more)" if len(records) > 1 else ""
    return f"{first.title} · {first.username}: {first.reason}{more}"
