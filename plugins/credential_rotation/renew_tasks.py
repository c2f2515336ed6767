"""What each task of ``renew_snowflake_pat`` does: take from Airflow, run the step, leave the result.

The steps themselves are in :mod:`credential_rotation.renewal` and know nothing of Airflow.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from credential_rotation import metrics
from credential_rotation.announcements import ROTATION, is_to_be_told, what_is_late
from credential_rotation.fingerprint import NoFingerprints
from credential_rotation.fleet.reading import count_holding
from credential_rotation.fleet_notes import leave_renewal
from credential_rotation.ledgers import Ledgers
from credential_rotation.messages import send_message
from credential_rotation.renewal.decision import Decision, State
from credential_rotation.renewal.report import FAILED, NOTHING_TO_DO, PLANNED, RENEWED, RenewalReport, UserReport
from credential_rotation.renewal.schedule import schedule_note
from credential_rotation.renewal.step import Renewer
from credential_rotation.renewal.tokens import UnexpectedAnswer, shown
from credential_rotation.renewal.user import User
from credential_rotation.renewal_context import RenewalTask
from credential_rotation.retry_policy import RunIsRed
from credential_rotation.rotation.credentials import UnusableCredential, account_of
from credential_rotation.rotation.snowflake_words import SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.run_folder import FilesNotShared
from credential_rotation.running_task import in_words
from credential_rotation.task_context import airflow_connection, existing_connection
from credential_rotation.token_stores.kept import StoreUnusable

log = logging.getLogger(__name__)


def check_params() -> None:
    """Refuse wrong params, and leave word of each Airflow connection that can't be used: the others are renewed."""
    task = RenewalTask()
    with task.telling_problems():
        task.check_folder()
        for name in (*task.folder.names("work/users"), *task.folder.names("work/begun")):
            task.folder.remove(name)
        if note := schedule_note(task.settings.renew_schedule, task.params.overlap_hours):
            log.warning("%s", note)
        for conn_id, problem in _unusable(task).items():
            log.error("%s", problem)
            task.leave(UserReport(conn_id, "", outcome=FAILED, reason=problem))


def look() -> list[str]:
    """See how the token of each user stands, and sign in with what Tableau is to embed; those to renew."""
    task = RenewalTask()
    params = task.params
    users_of: dict[str, list[User]] = {}
    with task.telling_problems():
        unusable = {found.snowflake_conn_id for found in task.users() if not found.user}
        for conn_id in params.snowflake_conn_ids:
            if conn_id in unusable:
                continue
            try:
                user = task.user(conn_id)
            except (UnusableCredential, StoreUnusable) as problem:
                task.leave(UserReport(conn_id, "", outcome=FAILED, reason=str(problem)))
            else:
                users_of.setdefault(user.admin_conn_id, []).append(user)
        for admin_conn_id, theirs in users_of.items():
            _look_at(task, admin_conn_id, theirs)
    users = task.users()
    for found in users:
        log.info("%s · %s: %s%s", found.snowflake_conn_id, found.user, found.decision, _because(found))
    return [] if params.dry_run else [found.snowflake_conn_id for found in users if found.is_due]


def renew(conn_id: str) -> dict[str, Any]:
    """Renew the token of one user."""
    task = RenewalTask()
    known = next((found for found in task.users() if found.snowflake_conn_id == conn_id), None)
    if known is None:
        raise FilesNotShared(f"What was seen of '{conn_id}'")
    wishes = task.params.wishes
    try:
        user = task.user(conn_id)
        with task.renewer(user.admin_conn_id) as (renewer, now):
            task.begin(conn_id, now)
            if task.params.remove_rotated and known.decision == State.NO_FREE_SLOT:
                _make_room(task, renewer, user)
            renewal = renewer.renew(user, wishes)
            seen = renewer.see(user, replace(wishes, force=False))
            _remember(task, user, seen, now, is_renewed=renewal.is_renewed)
            found = _reported(task, user, seen, now)
    except BaseException as problem:  # among them Airflow's time limit
        task.leave(replace(known, outcome=FAILED, reason=in_words(problem)[:1000]))
        raise
    decision, renewed = renewal.decision, task.renewed(conn_id)
    if why := decision.problem or seen.problem:
        found = replace(found, outcome=FAILED, reason=why + _since(task, user, decision))
    # Or an earlier try has renewed it, and was killed before it could say so.
    elif renewal.is_renewed or (renewed is not None and renewed.run_id == task.run_id):
        found = replace(found, outcome=RENEWED)
    # After a renewal that an earlier try has ended, what there is to say stands in what that one saw.
    alarm = decision.alarm or (known.alarm if found.outcome == RENEWED else None)
    found = replace(found, decision=str(decision.state), note=decision.note, alarm=alarm)
    task.leave(found)
    if found.outcome == FAILED:
        raise RunIsRed(f"{conn_id}: {found.reason}")
    return {"outcome": found.outcome, "token": found.token_name, "expires_at": found.expires_at}


def publish() -> dict[str, Any]:
    """Say which users have a token that the rotation does not know of yet; skipped when there is none."""
    task = RenewalTask()
    if task.params.dry_run:
        raise AirflowSkipException("A dry run renews nothing.")
    with task.telling_problems():
        now = task.now()
        new = [conn_id for conn_id in task.params.snowflake_conn_ids if is_to_be_told(task, conn_id, now)]
    if not new:
        raise AirflowSkipException("There is no token that the rotation does not know of.")
    log.info("The rotation in Tableau of these follows: %s.", ", ".join(new))
    renewed = [user.token_in_force for user in task.users() if user.snowflake_conn_id in new]
    return {"snowflake_conn_ids": new, "renewed": renewed}


def report() -> dict[str, Any]:
    """Write the report, and make the run red when a person has to look at something."""
    task = RenewalTask()
    told = (task.instance.xcom_pull(task_ids="publish") or {}).get("snowflake_conn_ids", [])
    problems, deadlines, notes, now = task.problems(), [], [], task.now()
    try:
        users = tuple(_settled(task, conn_id, now) for conn_id in task.params.snowflake_conn_ids)
        if not task.dry_run:
            problems += [
                said for user in users if (said := what_is_late(task, user, user.snowflake_conn_id in told, now))
            ]
            problems += [said for user in users if (said := _why_always_due(task, user, now))]
        notes = [note for note in [schedule_note(task.settings.renew_schedule, task.params.overlap_hours)] if note]
        deadlines = [f"{user.snowflake_conn_id}: {said}" for user in users if (said := user.deadline(now))]
    except (UnusableParams, NoFingerprints) as problem:
        problems, users = problems or [str(problem)], ()
    made = RenewalReport(task.run_id, task.dry_run, tuple(problems), users, tuple(deadlines), tuple(notes))
    path = task.folder.write("report.json", made.as_dict())
    brief = made.as_dict() | {"report": path}
    # Pushed here and not only returned, since a red run's summary matters most.
    get_current_context()["ti"].xcom_push("return_value", brief)
    log.info("Run %s: %s\n%s\nReport: %s", made.run_id, made.state, made.as_table(), path)
    for said in (*made.deadlines, *made.notes):
        log.warning("%s", said)
    leave_renewal(task, made)
    metrics.tell_renewal(made, now)
    send_message(
        task.settings.notifier, get_current_context(), brief=brief, summary=made.summary, verdict=made.verdict()
    )
    if made.state != "success":
        raise RunIsRed(f"{made.verdict()} Report: {path}")
    return brief


def _look_at(task: RenewalTask, admin_conn_id: str, users: Sequence[User]) -> None:
    """See how tokens of one account stand; that this can't be seen is no reason to leave those of others alone."""
    try:
        with task.renewer(admin_conn_id) as (renewer, now):
            task.keep_time(now)
            for user in users:
                decision = _look(task, renewer, user)
                if not task.dry_run:
                    _remember(task, user, decision, now)
                task.leave(_seen(task, user, decision, now))
    except (SnowflakeRefused, SnowflakeUnreachable, UnexpectedAnswer) as problem:
        if isinstance(problem, SnowflakeUnreachable) and not task.is_last_try:
            raise
        for user in users:
            task.leave(UserReport(user.conn_id, user.name, outcome=FAILED, reason=str(problem)))


def _look(task: RenewalTask, renewer: Renewer, user: User) -> Decision:
    """What is to be done; that one user can't be looked at is no reason to leave the others alone."""
    try:
        return renewer.look(user, task.params.wishes)
    except (SnowflakeRefused, SnowflakeUnreachable, UnexpectedAnswer, StoreUnusable) as problem:
        if isinstance(problem, SnowflakeUnreachable) and not task.is_last_try:
            raise
        return Decision(State.MISSING, problem=str(problem))


def _seen(task: RenewalTask, user: User, decision: Decision, now: datetime) -> UserReport:
    found = _reported(task, user, decision, now)
    if decision.state is State.NO_FREE_SLOT and task.params.remove_rotated:
        return replace(found, outcome=PLANNED, note="rotated tokens are removed first, if nothing embeds them any more")
    if decision.problem:
        return replace(found, outcome=FAILED, reason=decision.problem + _since(task, user, decision))
    return replace(found, outcome=PLANNED) if decision.rotate else found


def _remember(task: RenewalTask, user: User, decision: Decision, now: datetime, *, is_renewed: bool = False) -> None:
    """Keep what is known of a renewal beside its secret, for the rotation and the page: they can't read the secret."""
    known = task.renewals.renewal(user.conn_id)
    renewed, token = task.renewed(user.conn_id), task.current(user.conn_id)
    has_arrived, at = task.has_arrived(user.conn_id, token), now.isoformat(timespec="seconds")
    # Until it has arrived, Tableau may hold each secret that ended since: the first end counts.
    ends = [decision.previous_ends_at.isoformat(timespec="seconds") if decision.previous_ends_at else None]
    ends += [] if has_arrived else [known.previous_ends_at]
    latest = replace(
        known,
        overlap_hours=task.params.overlap_hours if is_renewed else known.overlap_hours,
        token=token,
        waiting_since=None if has_arrived else known.waiting_since,
        previous_ends_at=min(filter(None, ends), default=None),
        renewed_at=renewed.renewed_at or known.renewed_at if renewed else None,
        run_id=renewed.run_id or known.run_id if renewed else None,
        worked_at=at if decision.works else known.worked_at,
    )
    if not has_arrived and latest.waiting_since is None:
        was_rewritten = token is not None and known.token not in (None, token)
        since = renewed.renewed_at or at if renewed else at if was_rewritten else None
        latest = replace(latest, waiting_since=since)
    if latest != known:
        task.renewals.renewed(user.conn_id, latest)


def _since(task: RenewalTask, user: User, decision: Decision) -> str:
    """Since when what Tableau is to embed does not sign in, where it does not."""
    if decision.works is not False:
        return ""
    worked_at = task.renewals.renewal(user.conn_id).worked_at
    return f" It last signed in at {worked_at}." if worked_at else " It was never seen to sign in."


def _make_room(task: RenewalTask, renewer: Renewer, user: User) -> None:
    """Remove rotated tokens, where it is known that Tableau embeds the current one everywhere."""
    current = task.current(user.conn_id)
    ledgers = Ledgers(task.settings.reports, ROTATION)
    others = {token for ledger in ledgers.all() for token in ledger.tokens_of(user.login)} - {current}
    if task.has_arrived(user.conn_id, current) and not others:
        renewer.remove_rotated(user)
    else:
        log.warning(
            "Rotated tokens of %s stay: it is not known that Tableau embeds the current one everywhere.", user.name
        )


def _unusable(task: RenewalTask) -> dict[str, str]:
    """Which Airflow connections can't be used, each with why."""
    found: dict[str, str] = {}
    users: list[tuple[User, frozenset[str]]] = []
    for conn_id in task.params.snowflake_conn_ids:
        try:
            user = task.user(conn_id)
            addresses = account_of(existing_connection(conn_id))
            admin = airflow_connection(user.admin_conn_id)
            if admin is None:
                found[conn_id] = f"admin_conn_id: there is no Airflow connection '{user.admin_conn_id}'."
            elif not account_of(admin) & addresses:
                found[conn_id] = (
                    f"'{conn_id}' is for another Snowflake account than '{user.admin_conn_id}'; name the administrator "
                    "of its account as extra 'admin_conn_id' of that Airflow connection."
                )
        except (UnusableCredential, StoreUnusable) as problem:
            found[conn_id] = str(problem)
        else:
            users.append((user, addresses))
    return found | _named_twice(users)


def _named_twice(users: Sequence[tuple[User, frozenset[str]]]) -> dict[str, str]:
    """Two that are one token would each take the other's rotation for a lost one, and rotate for ever."""
    return {
        each.conn_id: f"'{user.conn_id}' and '{other.conn_id}' are the same token of the Snowflake user {user.name}; "
        "leave one out, or say with extra 'token_name' which tokens they are."
        for number, (user, addresses) in enumerate(users)
        for other, others_addresses in users[:number]
        if user.is_same_token(other) and addresses & others_addresses
        for each in (user, other)
    }


def _settled(task: RenewalTask, conn_id: str, now: datetime) -> UserReport:
    """How a user's token stands at the end, and what Tableau may hold of it."""
    found = task.user_report(conn_id)
    if found is None:
        return UserReport(conn_id, "", outcome=FAILED, reason="it was not seen how its token stands")
    if found.is_due and not task.dry_run:
        reason = "its task ended without reporting a result (killed?); run again."
        found = replace(found, outcome=FAILED, reason=reason)
    begun = task.begun_at(conn_id)
    if found.outcome == FAILED and begun is not None:
        found = _looked_at_again(task, found, begun)
    return _with_arrival(task, found, now) if found.user else found


def _looked_at_again(task: RenewalTask, found: UserReport, begun: datetime) -> UserReport:
    """How a token stands whose renewal came to no end: what was seen before it may not be true any more."""
    try:
        user = task.user(found.snowflake_conn_id)
        with task.renewer(user.admin_conn_id) as (renewer, now):
            decision = renewer.see(user, replace(task.params.wishes, force=False))
            _remember(task, user, decision, now)
    except Exception as problem:  # noqa: BLE001 - whatever stands in the way; the report has to be written
        worst = begun + timedelta(hours=task.params.overlap_hours)
        ends = [worst.isoformat(timespec="seconds"), found.previous_ends_at, found.expires_at]
        return replace(
            found,
            previous_ends_at=min(filter(None, ends)),
            reason=f"{found.reason} Whether its token was rotated is not known ({in_words(problem)[:300]}). If it was, "
            f"what Tableau embeds ends at {shown(worst)} at the worst.",
        )
    seen, stands = _reported(task, user, decision, now), decision.problem or decision.note or ""
    stands = "" if stands in str(found.reason) else f" Now: {stands.rstrip('.')}."
    return replace(seen, outcome=FAILED, reason=f"{found.reason}{stands}", alarm=seen.alarm or found.alarm)


def _with_arrival(task: RenewalTask, found: UserReport, now: datetime) -> UserReport:
    try:
        current = task.current(found.snowflake_conn_id)
    except StoreUnusable:
        return found
    conn_id, known = found.snowflake_conn_id, task.renewals.renewal(found.snowflake_conn_id)
    # Where it is not the token in force, all that holds it holds something that ends.
    has_arrived = task.has_arrived(conn_id, current) and found.is_current is not False
    if not has_arrived:
        ends = filter(None, [found.previous_ends_at, known.previous_ends_at])  # of which the first may be over
        found = replace(found, previous_ends_at=min(ends, default=None))
    return found.with_arrival(
        has_arrived=has_arrived, holding=count_holding(task.settings.reports, conn_id, current), now=now
    )


def _why_always_due(task: RenewalTask, user: UserReport, now: datetime) -> str | None:
    if user.expires_at is None or (user.outcome != RENEWED and user.decision != State.OVERLAP_RUNNING):
        return None
    days = (datetime.fromisoformat(user.expires_at) - now) / timedelta(days=1)
    if days > task.params.renew_before_days:
        return None
    return (
        f"The new token of '{user.snowflake_conn_id}' lives for {days:.2f} days only, and is due already; make "
        "renew_before_days less than the life of a token, or the life longer."
    )


def _reported(task: RenewalTask, user: User, decision: Decision, now: datetime) -> UserReport:
    renewed_at = task.renewals.renewal(user.conn_id).renewed_at
    found = UserReport(user.conn_id, user.name, renewed_at=renewed_at, outcome=NOTHING_TO_DO)
    return found.with_token_of(decision, now, task.params.renew_before_days)


def _because(found: UserReport) -> str:
    said = found.reason or found.alarm or found.note
    return f" ({said})" if said else ""
