"""What each task of ``renew_snowflake_pat`` does: take from Airflow, run the step, leave the result.

The steps themselves are in :mod:`credential_rotation.renewal` and know nothing of Airflow.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from credential_rotation import metrics
from credential_rotation.announcements import ROTATION, is_to_be_told, what_is_late
from credential_rotation.fingerprint import NoFingerprints
from credential_rotation.fleet_notes import leave_renewal
from credential_rotation.ledgers import Ledgers
from credential_rotation.messages import send_message
from credential_rotation.renewal.decision import Decision, State, Wishes
from credential_rotation.renewal.report import FAILED, NOTHING_TO_DO, PLANNED, RENEWED, RenewalReport, UserReport
from credential_rotation.renewal.step import Renewer, User
from credential_rotation.renewal.tokens import UnexpectedAnswer
from credential_rotation.renewal_context import RenewalTask
from credential_rotation.retry_policy import RunIsRed
from credential_rotation.rotation.credentials import UnusableCredential, account_of
from credential_rotation.rotation.snowflake_words import SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.run_folder import FilesNotShared
from credential_rotation.running_task import in_words
from credential_rotation.task_context import airflow_connection, connection_credential
from credential_rotation.token_stores.kept import StoreUnusable

log = logging.getLogger(__name__)


def check_params() -> None:
    """Refuse wrong input before anything is asked of Snowflake."""
    task = RenewalTask()
    with task.telling_problems():
        task.check_folder()
        for name in task.folder.names("work/users"):
            task.folder.remove(name)
        problems = [problem for conn_id in task.params.snowflake_conn_ids for problem in _problems_of(task, conn_id)]
        problems += _named_twice(task)
        if problems:
            raise UnusableParams(" ".join(dict.fromkeys(problems)))


def look() -> list[str]:
    """See how the token of each user stands; those to renew."""
    task = RenewalTask()
    params = task.params
    users_of: dict[str, list[User]] = {}
    with task.telling_problems():
        for user in map(task.user, params.snowflake_conn_ids):
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
    if task.renewals.renewal(conn_id).run_id == task.run_id:
        # An earlier try of this task has renewed it; what was forced then is not to be done again.
        wishes = replace(wishes, force=False)
    try:
        user = task.user(conn_id)
        with task.renewer(user.admin_conn_id) as (renewer, now):
            if task.params.remove_rotated and known.decision == State.NO_FREE_SLOT:
                _make_room(task, renewer, user)
            renewal = renewer.renew(user, wishes)
            before, current = task.renewals.renewal(conn_id), task.current(conn_id)
            # Or an earlier try has renewed it, and was killed before it could say so.
            if renewal.is_renewed or (current is not None and before.token != current):
                renewed_at = now.isoformat(timespec="seconds")
                latest = replace(before, renewed_at=renewed_at, run_id=task.run_id, token=current)
                task.renewals.renewed(conn_id, latest)
            found = _reported(task, user, renewer.look(user, replace(wishes, force=False)), now)
    except BaseException as problem:  # among them Airflow's time limit
        task.leave(replace(known, outcome=FAILED, reason=in_words(problem)[:1000]))
        raise
    if renewal.is_renewed:
        found = replace(found, outcome=RENEWED)
    elif renewal.decision.problem:
        found = replace(found, outcome=FAILED, reason=renewal.decision.problem)
    found = replace(found, decision=str(renewal.decision.state), note=renewal.decision.note)
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
        new = [conn_id for conn_id in task.params.snowflake_conn_ids if is_to_be_told(task, conn_id)]
    if not new:
        raise AirflowSkipException("There is no token that the rotation does not know of.")
    log.info("The rotation in Tableau of these follows: %s.", ", ".join(new))
    renewed = [user.token_in_force for user in task.users() if user.snowflake_conn_id in new]
    return {"snowflake_conn_ids": new, "renewed": renewed}


def report() -> dict[str, Any]:
    """Write the report, and make the run red when a person has to look at something."""
    task = RenewalTask()
    told = (task.instance.xcom_pull(task_ids="publish") or {}).get("snowflake_conn_ids", [])
    problems = task.problems()
    try:
        users = tuple(_settled(task, conn_id) for conn_id in task.params.snowflake_conn_ids)
        if not task.dry_run:
            problems += [said for user in users if (said := what_is_late(task, user, user.snowflake_conn_id in told))]
            problems += [said for user in users if (said := _why_always_due(task, user))]
    except (UnusableParams, NoFingerprints) as problem:
        problems, users = problems or [str(problem)], ()
    made = RenewalReport(task.run_id, task.dry_run, tuple(problems), users)
    path = task.folder.write("report.json", made.as_dict())
    brief = made.as_dict() | {"report": path}
    # Pushed here and not only returned, since a red run's summary matters most.
    get_current_context()["ti"].xcom_push("return_value", brief)
    log.info("Run %s: %s\n%s\nReport: %s", made.run_id, made.state, made.as_table(), path)
    leave_renewal(task, made)
    metrics.tell_renewal(made)
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
            for user in users:
                task.leave(_seen(task, user, _look(renewer, user, task.params.wishes), now))
    except (SnowflakeRefused, SnowflakeUnreachable, UnexpectedAnswer) as problem:
        if isinstance(problem, SnowflakeUnreachable) and not task.is_last_try:
            raise
        for user in users:
            task.leave(UserReport(user.conn_id, user.name, outcome=FAILED, reason=str(problem)))


def _look(renewer: Renewer, user: User, wishes: Wishes) -> Decision:
    """What is to be done; that one user can't be looked at is no reason to leave the others alone."""
    try:
        return renewer.look(user, wishes)
    except (SnowflakeRefused, UnexpectedAnswer, StoreUnusable) as problem:
        return Decision(State.MISSING, problem=str(problem))


def _seen(task: RenewalTask, user: User, decision: Decision, now: datetime) -> UserReport:
    found = _reported(task, user, decision, now)
    if decision.state is State.NO_FREE_SLOT and task.params.remove_rotated:
        return replace(found, outcome=PLANNED, note="rotated tokens are removed first, if nothing embeds them any more")
    if decision.problem:
        return replace(found, outcome=FAILED, reason=decision.problem)
    return replace(found, outcome=PLANNED) if decision.rotate else found


def _make_room(task: RenewalTask, renewer: Renewer, user: User) -> None:
    """Remove rotated tokens, where it is known that Tableau embeds the current one everywhere."""
    kept = task.store.read(user.conn_id)
    secret = kept.current.secret if kept is not None and kept.current.is_renewed else user.password
    current, arrival = task.fingerprints.of(secret), task.renewals.arrival(user.conn_id)
    ledgers = Ledgers(task.settings.reports, ROTATION)
    others = {token for ledger in ledgers.all() for token in ledger.tokens_of(user.login)} - {current}
    if arrival.is_everywhere(current, task.settings.tableau_conn_ids) and not others:
        renewer.remove_rotated(user)
    else:
        log.warning(
            "Rotated tokens of %s stay: it is not known that Tableau embeds the current one everywhere.", user.name
        )


def _problems_of(task: RenewalTask, conn_id: str) -> list[str]:
    try:
        user = task.user(conn_id)
        admin = airflow_connection(user.admin_conn_id)
        if admin is None:
            return [f"admin_conn_id: there is no Airflow connection '{user.admin_conn_id}'."]
        if not account_of(admin) & connection_credential(conn_id).addresses:
            problem = (
                f"'{conn_id}' is for another Snowflake account than '{user.admin_conn_id}'; name the administrator "
            )
            return [problem + "of its account as extra 'admin_conn_id' of that Airflow connection."]
    except UnusableCredential as problem:
        return [str(problem)]
    return []


def _named_twice(task: RenewalTask) -> list[str]:
    """Two that are one token would each take the other's rotation for a lost one, and rotate for ever."""
    found = []
    for conn_id in task.params.snowflake_conn_ids:
        try:
            found.append((task.user(conn_id), connection_credential(conn_id).addresses))
        except UnusableCredential:
            continue  # told already
    return [
        f"'{user.conn_id}' and '{other.conn_id}' are the same token of the Snowflake user {user.name}; leave one out, "
        "or say with extra 'token_name' which tokens they are."
        for number, (user, addresses) in enumerate(found)
        for other, others_addresses in found[:number]
        if user.is_same_token(other) and addresses & others_addresses
    ]


def _settled(task: RenewalTask, conn_id: str) -> UserReport:
    """How a user's token stands at the end; one whose task said nothing was killed."""
    values = task.folder.read(f"work/users/{conn_id}.json")
    if values is None:
        return UserReport(conn_id, "", outcome=FAILED, reason="it was not seen how its token stands")
    found = UserReport(**values)
    if found.is_due and not task.dry_run:
        return replace(found, outcome=FAILED, reason="its task ended without a word (killed?); run again")
    return found


def _why_always_due(task: RenewalTask, user: UserReport) -> str | None:
    if user.outcome != RENEWED or user.days_left is None or user.days_left > task.params.renew_before_days:
        return None
    return (
        f"The new token of '{user.snowflake_conn_id}' lives for {user.days_left:g} days, and is due already; make "
        "renew_before_days less than the life of a token, or the life longer."
    )


def _reported(task: RenewalTask, user: User, decision: Decision, now: datetime) -> UserReport:
    renewed_at = task.renewals.renewal(user.conn_id).renewed_at
    found = UserReport(user.conn_id, user.name, renewed_at=renewed_at, outcome=NOTHING_TO_DO)
    return found.with_token_of(decision, now, task.params.renew_before_days)


def _because(found: UserReport) -> str:
    said = found.reason or found.note
    return f" ({said})" if said else ""
