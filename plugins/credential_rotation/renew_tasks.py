"""What each task of ``renew_snowflake_pat`` does: take from Airflow, run the step, leave the result.

The steps themselves are in :mod:`credential_rotation.renewal` and know nothing of Airflow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from credential_rotation.fingerprint import NoFingerprints
from credential_rotation.hooks.snowflake import sign_in_with_password
from credential_rotation.hooks.snowflake_admin import signed_in_as_admin
from credential_rotation.ledgers import Ledgers
from credential_rotation.messages import send_message
from credential_rotation.renewal.decision import Decision, State, Wishes
from credential_rotation.renewal.params import RenewalParams
from credential_rotation.renewal.report import FAILED, NOTHING_TO_DO, PLANNED, RENEWED, RenewalReport, UserReport
from credential_rotation.renewal.step import Renewer, User
from credential_rotation.renewal.tokens import UnexpectedAnswer
from credential_rotation.retry_policy import RunIsRed
from credential_rotation.rotation.credentials import RenewalWords, UnusableCredential, account_of, renewal_words
from credential_rotation.rotation.snowflake_words import SnowflakeRefused
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.run_folder import Folder
from credential_rotation.running_task import RunningTask, in_words
from credential_rotation.task_context import airflow_connection, connection_credential
from credential_rotation.token_stores.kept import StoreUnusable

log = logging.getLogger(__name__)

_ROTATION = "rotate_snowflake_pat_in_tableau"


class RenewalTask(RunningTask):
    """A task of the renewal."""

    @cached_property
    def params(self) -> RenewalParams:
        """What the run was asked for.

        :raises UnusableParams: when that can't be done
        """
        return RenewalParams.parse(self._params, self._dag_run.conf)

    @property
    def renewals(self) -> Folder:
        """What is known of the renewals of each credential, without its secrets."""
        return Folder(f"{self.settings.reports}/renewals")

    def user(self, conn_id: str) -> User:
        """A Snowflake user, as its Airflow connection has it."""
        found = connection_credential(conn_id)
        conn = airflow_connection(conn_id)
        words = renewal_words(conn) if conn else RenewalWords(None, None)
        admin = words.admin_conn_id or self.params.admin_conn_id
        return User(conn_id, found.login, found.token, words.token_name, admin)

    @contextmanager
    def renewer(self, admin_conn_id: str) -> Iterator[tuple[Renewer, datetime]]:
        """Renews tokens in a session of an administrator; and what time it is for Snowflake."""
        with signed_in_as_admin(admin_conn_id) as admin:
            now = admin.now()
            yield Renewer(admin, self.store, _sign_in, now), now

    def leave(self, user: UserReport) -> None:
        """Leave what is known of a user's token for the tasks that follow, and for the report."""
        self.folder.write(f"work/users/{user.snowflake_conn_id}.json", user.as_dict())

    def users(self) -> list[UserReport]:
        """What was left of the users, in the order of the params."""
        left = [self.folder.read(f"work/users/{conn_id}.json") for conn_id in self.params.snowflake_conn_ids]
        return [UserReport(**values) for values in left if values]


def check_params() -> None:
    """Refuse wrong input before anything is asked of Snowflake."""
    task = RenewalTask()
    with task.telling_problems():
        task.check_folder()
        for name in task.folder.names("work/users"):
            task.folder.remove(name)
        problems = [problem for conn_id in task.params.snowflake_conn_ids for problem in _problems_of(task, conn_id)]
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
    known = next(found for found in task.users() if found.snowflake_conn_id == conn_id)
    try:
        user = task.user(conn_id)
        with task.renewer(user.admin_conn_id) as (renewer, now):
            if task.params.remove_rotated and known.decision == State.NO_FREE_SLOT:
                _make_room(task, renewer, user)
            renewal = renewer.renew(user, task.params.wishes)
            afterwards = renewer.look(user, replace(task.params.wishes, force=False))
            found = _reported(task, user, afterwards, now)
    except BaseException as problem:  # among them Airflow's time limit
        task.leave(replace(known, outcome=FAILED, reason=in_words(problem)[:1000]))
        raise
    if renewal.is_renewed:
        renewed_at = now.isoformat(timespec="seconds")
        task.renewals.write(f"{conn_id}.json", {"renewed_at": renewed_at, "announced": None})
        found = replace(found, outcome=RENEWED, renewed_at=renewed_at)
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
        new = _not_announced(task)
    if not new:
        raise AirflowSkipException("No token was renewed.")
    log.info("Renewed: %s. The rotation of these in Tableau follows.", ", ".join(new))
    return {"snowflake_conn_ids": new}


def report() -> dict[str, Any]:
    """Write the report, and make the run red when a person has to look at something."""
    task = RenewalTask()
    published = task.instance.xcom_pull(task_ids="publish") or {}
    for conn_id in published.get("snowflake_conn_ids", []):
        known = task.renewals.read(f"{conn_id}.json") or {}
        task.renewals.write(f"{conn_id}.json", known | {"announced": _current(task, conn_id)})
    problems = task.problems()
    try:
        users = tuple(_settled(task, conn_id) for conn_id in task.params.snowflake_conn_ids)
        if not task.dry_run and (untold := _not_announced(task)):
            problems.append(f"The rotation was not told of the renewed tokens of {', '.join(untold)}; run again.")
    except (UnusableParams, StoreUnusable, NoFingerprints) as problem:
        problems, users = problems or [str(problem)], ()
    made = RenewalReport(task.run_id, task.dry_run, tuple(problems), users)
    path = task.folder.write("report.json", made.as_dict())
    brief = made.as_dict() | {"report": path}
    # Pushed here and not only returned, since a red run's summary matters most.
    get_current_context()["ti"].xcom_push("return_value", brief)
    log.info("Run %s: %s\n%s\nReport: %s", made.run_id, made.state, made.as_table(), path)
    send_message(task.settings.notifier, get_current_context(), state=made.state, verdict=made.verdict(), report=path)
    if made.state != "success":
        raise RunIsRed(f"{made.verdict()} Report: {path}")
    return brief


def _look_at(task: RenewalTask, admin_conn_id: str, users: Sequence[User]) -> None:
    """See how tokens of one account stand; that this can't be seen is no reason to leave those of others alone."""
    try:
        with task.renewer(admin_conn_id) as (renewer, now):
            for user in users:
                task.leave(_seen(task, user, _look(renewer, user, task.params.wishes), now))
    except (SnowflakeRefused, UnexpectedAnswer) as problem:
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
    current = kept.current.secret if kept is not None and kept.current.is_renewed else user.password
    ledgers = Ledgers(task.settings.reports, _ROTATION)
    embedded = {token for ledger in ledgers.all() for token in ledger.tokens_of(user.name)}
    if embedded == {task.fingerprints.of(current)}:
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


def _settled(task: RenewalTask, conn_id: str) -> UserReport:
    """How a user's token stands at the end; one whose task said nothing was killed."""
    values = task.folder.read(f"work/users/{conn_id}.json")
    if values is None:
        return UserReport(conn_id, "", outcome=FAILED, reason="it was not seen how its token stands")
    found = UserReport(**values)
    if found.is_due and not task.dry_run:
        return replace(found, outcome=FAILED, reason="its task ended without a word (killed?); run again")
    return found


def _not_announced(task: RenewalTask) -> list[str]:
    """The credentials whose current token the rotation was not told of."""
    conn_ids = task.params.snowflake_conn_ids
    return [conn_id for conn_id in conn_ids if _current(task, conn_id) != _announced(task, conn_id)]


def _sign_in(user: User, secret: str) -> None:
    conn = airflow_connection(user.conn_id)
    if conn is None:
        raise UnusableCredential(f"There is no Airflow connection '{user.conn_id}' any more.")
    sign_in_with_password(conn, user.name, secret)


def _reported(task: RenewalTask, user: User, decision: Decision, now: datetime) -> UserReport:
    known = task.renewals.read(f"{user.conn_id}.json") or {}
    found = UserReport(user.conn_id, user.name, renewed_at=known.get("renewed_at"), outcome=NOTHING_TO_DO)
    return found.with_token_of(decision, now, task.params.renew_before_days)


def _current(task: RenewalTask, conn_id: str) -> str | None:
    """The fingerprint of a renewed token; None where the Airflow connection's own counts."""
    kept = task.store.read(conn_id)
    return task.fingerprints.of(kept.current.secret) if kept is not None and kept.current.is_renewed else None


def _announced(task: RenewalTask, conn_id: str) -> str | None:
    announced = (task.renewals.read(f"{conn_id}.json") or {}).get("announced")
    return str(announced) if announced else None


def _because(found: UserReport) -> str:
    said = found.reason or found.note
    return f" ({said})" if said else ""
