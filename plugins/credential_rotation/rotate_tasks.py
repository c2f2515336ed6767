"""What each task of ``rotate_snowflake_pat_in_tableau`` does: take from Airflow, run the step, leave the result.

The steps themselves are in :mod:`credential_rotation.rotation` and know nothing of Airflow.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import get_current_context

from credential_rotation import metrics
from credential_rotation.asset_events import emit_rotated
from credential_rotation.deadlines import deadlines_in_words, time_to_answer
from credential_rotation.failure_marks import FailureMarks
from credential_rotation.fleet_notes import leave_rotation
from credential_rotation.journal import read_journal, read_journals
from credential_rotation.known_content import SiteMemory
from credential_rotation.last_look import last_look
from credential_rotation.messages import send_message
from credential_rotation.pages.report_page import write_report_page
from credential_rotation.plan_files import (
    Plan,
    drop_plan,
    find_plan,
    plans_of,
    read_batch,
    read_plan,
    read_secrets,
    write_batch,
    write_plan,
)
from credential_rotation.planning import make_plan
from credential_rotation.renewals import Arrival
from credential_rotation.retry_policy import ConnectionsFailed, RunIsRed
from credential_rotation.rotation.approval_question import question
from credential_rotation.rotation.batches import label_of, split
from credential_rotation.rotation.canary import in_turns, next_canaries
from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.inventory import take_inventory
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.proof import Embedded
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.report import HALF_CLEARED, Report, settle
from credential_rotation.rotation.selection import SiteInventory
from credential_rotation.rotation.snowflake_words import SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.rotation.timings import timings
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.run_folder import FilesNotShared
from credential_rotation.site_files import write_inventory
from credential_rotation.snowflake_check import SnowflakeCheck
from credential_rotation.tableau.errors import UnusableSetting
from credential_rotation.tableau.tableau_site import TableauSite
from credential_rotation.task_context import ThisTask, check_connections
from credential_rotation.unfinished_reading import UnfinishedReading
from credential_rotation.updating import update_targets

log = logging.getLogger(__name__)

ANSWER = "work/answer.json"


def check_params() -> list[str]:
    """Refuse wrong input before anything is asked of Tableau; the Tableau connections to discover."""
    task = ThisTask()
    drop_plan(task.folder)
    with task.telling_problems():
        task.check_folder()
        check_connections(task.params, task.store)
    return task.params.tableau_conn_ids


def discover(tableau_conn_id: str) -> dict[str, Any]:
    """Read every connection of a site, and leave the inventory in a file."""
    task = ThisTask()
    drop_plan(task.folder)
    sites = len(task.params.tableau_conn_ids)
    in_flight = max(1, task.settings.requests_in_flight // sites)
    with (
        task.telling_problems(),
        task.tableau(tableau_conn_id, in_flight=in_flight, sharers=sites) as hook,
        UnfinishedReading(
            task.folder, tableau_conn_id, site_key=hook.settings.site_key, generation=task.generation
        ) as reading,
    ):
        memory = SiteMemory(
            task.settings.reports,
            hook.settings.site_key,
            every=task.settings.full_sweep_every,
            tokens=lambda: [task.fingerprints.of(task.credential(c).token) for c in task.params.snowflake_conn_ids],
            is_sweep=task.params.force or task.params.roll_back,
        )
        inventory = take_inventory(
            TableauSite(hook),
            [each for each in task.params.content_types if each not in hook.settings.without],
            in_flight,
            owners_must_have_names=bool(task.params.owners),
            tolerate_broken_items=task.is_last_try,
            known=lambda listed: memory.connections(listed) | reading.connections(listed),
            keep=reading.keep,
            took=hook.traffic.was_read,
        )
        memory.keep(inventory.items)
        site = SiteInventory(tableau_conn_id, hook.settings.site, inventory, hook.settings.site_key)
        return write_inventory(task.folder, site, generation=task.generation)


def filter_connections() -> list[dict[str, Any]]:
    """Decide on every connection, and leave the plan in a file; the canaries of credentials with targets, by item."""
    task = ThisTask()
    drop_plan(task.folder)
    # What a person said of an earlier plan, before somebody cleared it, is not said of this one.
    task.folder.remove(ANSWER)
    with task.telling_problems():
        task.ledgers.learn_from_open_runs()
        credentials = [task.credential(conn_id) for conn_id in task.params.snowflake_conn_ids]
        plan, canaries = make_plan(task, credentials)
        refused = _refused_by_snowflake(task, plan, [each for each in credentials if each.conn_id not in canaries])
        plan = replace(plan, problems=(*plan.problems, *refused))
        write_plan(task.folder, plan, credentials, task.fingerprints)
    if not task.params.dry_run:
        task.ledgers.open(task.run_id)
    for note in plan.notes:
        log.warning("%s", note)
    return [
        {
            "label": label_of(next_canaries(candidates)),
            "plan_id": plan.plan_id,
            "candidates": [candidate.brief() for candidate in candidates],
        }
        for candidates in in_turns(canaries)
    ]


def _refused_by_snowflake(task: ThisTask, plan: Plan, credentials: Sequence[SnowflakeCredential]) -> list[str]:
    """Which tokens Snowflake refuses though connections embed them: where nothing is written, nothing else would show.

    :param credentials: those that no canary will try
    """
    if task.params.dry_run or not task.settings.snowflake_check:
        return []
    check, found = SnowflakeCheck(), []
    embedding = Counter(str(target.snowflake_conn_id) for target in plan.targets)
    for credential in credentials:
        if not (number := embedding[credential.conn_id]):
            continue
        try:
            check.sign_in(Embedded(credential.conn_id, credential.login, credential.token))
        except SnowflakeRefused as refused:
            found.append(f"{number} connections embed the token of '{credential.conn_id}', and {refused}")
        except SnowflakeUnreachable as unreachable:
            log.warning(
                "It could not be checked whether the token of '%s' still works: %s", credential.conn_id, unreachable
            )
    return found


def validate_one(canary: dict[str, Any]) -> dict[str, Any]:
    """Update one connection of a credential, and prove it, before any other is touched.

    Of several credentials, where these connections are in one item.
    """
    task = ThisTask()
    plan_id = canary["plan_id"]
    candidates = [replace(ConnectionRecord.from_dict(values), canary=True) for values in canary["candidates"]]
    batch = f"canary-{write_batch(task.folder, plan_id, candidates)}"
    result: dict[str, Any] = {}
    failed: ConnectionsFailed | None = None
    gone, left = _gone(task, plan_id, batch), candidates
    while targets := next_canaries(left, gone):
        try:
            # A failed canary stops its own credential; it is not to count against the others' max_failures.
            result = update_targets(task, plan_id, batch, targets, in_flight=1, marks=None)
        except ConnectionsFailed as problem:
            failed = problem
        gone = _gone(task, plan_id, batch)
        replaced = {target.snowflake_conn_id for target in targets if target.key in gone}
        left = [each for each in left if each.snowflake_conn_id in replaced]
    if failed:
        raise failed
    if len(next_canaries(candidates, gone)) < len(next_canaries(candidates)):
        raise ConnectionsFailed("Whatever could be validated on was deleted meanwhile. Run again.")
    return result


def _gone(task: ThisTask, plan_id: str, batch: str) -> set[str]:
    return {each.key for each in read_journal(task.folder, plan_id, batch) if each.outcome is Outcome.GONE}


def question_for_approval() -> str | None:
    """What a person is asked before the rest is updated; None when the run asks nobody, or nothing is left."""
    task = ThisTask()
    if not task.params.require_approval:
        return None
    plan = read_plan(task.folder)
    _, records = read_journals(task.folder, plan.plan_id)
    left = plan.left(records)
    if not left:
        return None
    asked = question(plan.records, [record for record in records if record.canary], left)
    return "\n\n".join([asked, *(f"**{said}**" for said in _deadlines(task, None))])


def time_to_approve(longest: timedelta) -> timedelta:
    """How long a person may take for an answer; none in time counts as a rejection."""
    task = ThisTask()
    conn_ids, sites = task.snowflake_conn_ids, task.settings.tableau_conn_ids
    return time_to_answer(task.renewals, conn_ids, sites, longest, datetime.now(UTC))


def leave_answer(event: Mapping[str, Any]) -> None:
    """Keep what a person answered, for the report."""
    person = event["responded_by_user"]
    answer = {"chosen": event["chosen_options"], "by": person["name"] if person else None}
    ThisTask().folder.write(ANSWER, answer | {"at": event["responded_at"].isoformat(timespec="seconds")})


def plan_updates() -> list[dict[str, Any]]:
    """The rest of each credential that passed, dealt out to mapped tasks."""
    task = ThisTask()
    plan = read_plan(task.folder)
    _, records = read_journals(task.folder, plan.plan_id)
    left = plan.left(records)
    batches = split(left, task.params.connections_per_task, parallel=task.settings.parallel_tasks)
    log.info("%d targets in %d tasks.", len(left), len(batches))
    return [
        {
            "label": batch.label,
            "plan_id": plan.plan_id,
            "budget": task.params.budget.of(len(plan.to_update)),
            "batch": write_batch(task.folder, plan.plan_id, batch.targets),
        }
        for batch in batches
    ]


def update_connections(batch: dict[str, Any]) -> dict[str, Any]:
    """Update the connections of one batch, those that an earlier try has done excepted."""
    task = ThisTask()
    targets = read_batch(task.folder, batch["plan_id"], batch["batch"])
    marks = FailureMarks(task.folder, batch["plan_id"], task.generation)
    in_flight = task.settings.in_flight_per_task
    return update_targets(
        task, batch["plan_id"], batch["batch"], targets, in_flight=in_flight, marks=marks, budget=batch["budget"]
    )


def report() -> dict[str, Any]:
    """Write the report, and make the run red unless every target is as it should be."""
    task = ThisTask()
    brief, verdict = _write_report(task)
    state, path = brief["state"], brief["report"]
    # Pushed here and not only returned, since a red run's summary matters most.
    get_current_context()["ti"].xcom_push("return_value", brief)
    task.ledgers.learn_from(task.run_id)
    leave_rotation(task, brief, verdict)
    context = get_current_context()
    if state == "success":
        emit_rotated(context, task, brief)
    send_message(task.settings.notifier, context, brief=brief, summary=brief["summary"], verdict=verdict)
    if state != "success":
        raise RunIsRed(f"{verdict} Report: {path}")
    return brief


def sign_out() -> None:
    """End the sessions that this run signed in to."""
    task = ThisTask()
    for conn_id in task.tableau_conn_ids:
        try:
            with task.tableau(conn_id, in_flight=1, sharers=1) as hook:
                ended = hook.sign_out()
        except (UnusableParams, UnusableSetting) as refused:
            log.info("%s: nobody signed in with it (%s)", conn_id, refused)
        else:
            log.info("%s: %s", conn_id, "signed out." if ended else "no session of this run to end.")


def _write_report(task: ThisTask) -> tuple[dict[str, Any], str]:
    """Write the report, and leave word of what arrived; what fits into an XCom of it, and the verdict in a sentence.

    The report itself is let go of here: of a large site it takes as much room as the ledger needs to learn from it.
    """
    made = _report(task)
    path = task.folder.write("report.json", {**made.head(), "connections": made.rows()})
    task.folder.write_text("report.csv", made.as_csv())
    log.info("Run %s: %s\n%s\nReport: %s", made.run_id, made.state, made.as_table(), path)
    metrics.tell_rotation(made)
    _note_arrivals(task, made)
    brief = made.brief() | {"report": path}
    if note := write_report_page(task.folder, {**made.head(), "connections": made.rows()}):
        brief["notes"].append(note)
    return brief, made.verdict()


def _note_arrivals(task: ThisTask, made: Report) -> None:
    """Let ``renew_snowflake_pat`` know which tokens are everywhere now, or not any more."""
    plan = find_plan(task.folder)
    if plan is None or made.dry_run:
        return
    # An item that could not be read may hold anybody's connection: then nothing has arrived for sure.
    lagging = {record.snowflake_conn_id for record in made.not_green} | ({None} if made.problems else set())
    # That nothing was found to embed a token does not show that it is everywhere: the account may be mistyped.
    holding = {record.snowflake_conn_id for record in made.records if _holds_the_token(record)}
    for conn_id, planned in read_secrets(task.folder, plan.plan_id).items():
        if task.params.roll_back:
            task.renewals.departed(conn_id)
        elif task.params.is_whole and not made.not_looked_at and not lagging & {conn_id, None} and conn_id in holding:
            task.renewals.arrived(conn_id, Arrival(planned.secrets.token, task.params.tableau_conn_ids))


def _report(task: ThisTask) -> Report:
    plan = find_plan(task.folder)
    problems = task.problems()
    records: list[ConnectionRecord] = []
    if plan is None:
        problems.insert(0, _why_there_is_no_plan(task, problems))
    else:
        started, done = read_journals(task.folder, plan.plan_id)
        stopped = FailureMarks(task.folder, plan.plan_id, task.generation).stopped_because()
        is_planned_again = len(plans_of(task.folder)) > 1
        not_reached = _rejection(task) or "; ".join(stopped)
        if is_planned_again and not started:
            not_reached = not_reached or HALF_CLEARED
        # What an earlier plan of this run wrote to is not simply "not attempted".
        before = task.ledgers.updated_by(task.run_id) if is_planned_again else {}
        records = settle(plan.records, done, attempted=[*started, *before], not_reached=not_reached)
        problems += [*plan.problems, *stopped]
        if not task.dry_run and not problems:
            records, problems = last_look(task, plan, records)
    traffic = task.traffic()
    return Report(
        run_id=task.run_id,
        dry_run=task.dry_run,
        problems=tuple(problems),
        notes=plan.notes if plan else (),
        not_looked_at=plan.not_looked_at if plan else (),
        deadlines=tuple(_deadlines(task, records if plan else None)),
        content=plan.content if plan else 0,
        records=tuple(records),
        traffic=traffic.counts(),
        seconds=task.seconds,
        started_at=task.started_at,
        ended_at=datetime.now(UTC),
        params=task.changed_params,
        timings=timings(traffic, records, task.started_at),
    )


def _deadlines(task: ThisTask, records: Sequence[ConnectionRecord] | None) -> list[str]:
    """Until when connections work that may hold a previous token.

    :param records: what became of each connection; None where that is not known
    """
    targets = Counter(str(r.snowflake_conn_id) for r in records or () if r.is_target and r.outcome is not Outcome.GONE)
    holding = targets - Counter(str(r.snowflake_conn_id) for r in records or () if _holds_the_token(r))
    conn_ids, sites = task.snowflake_conn_ids, task.settings.tableau_conn_ids
    # A run that was narrowed has not seen the others.
    is_whole = records is not None and task.params.is_whole and set(sites) <= set(task.params.tableau_conn_ids)
    held = {conn_id: (holding[conn_id], targets[conn_id]) for conn_id in targets if is_whole}
    return deadlines_in_words(task.renewals, conn_ids, held, sites, datetime.now(UTC))


def _holds_the_token(record: ConnectionRecord) -> bool:
    return record.outcome in (Outcome.UPDATED, Outcome.UNCHANGED)


def _why_there_is_no_plan(task: ThisTask, problems: Sequence[str]) -> str:
    if task.instance.xcom_pull(task_ids="filter_connections", map_indexes=-1) is not None:
        return f"{FilesNotShared('The plan of the run')} It is not known here what was written to Tableau."
    if before := len(task.ledgers.updated_by(task.run_id)):
        return (
            f"This run wrote to {before} connections before its tasks were cleared, and has no plan now. Clear "
            "discover and everything downstream, or start a new run."
        )
    return "Nothing was written to Tableau." + ("" if problems else " See the log of the first task that failed.")


def _rejection(task: ThisTask) -> str | None:
    answer = task.folder.read(ANSWER)
    if not answer or ApprovalOperator.APPROVE in answer["chosen"]:
        return None
    who = f"by {answer['by']}" if answer["by"] else "since nobody answered in time"
    return f"not approved ({who}, {answer['at']})"
