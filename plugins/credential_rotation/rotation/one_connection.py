"""What is done with one connection, step by step: embed, prove, and for a canary that fails, put back.

The state between two steps is in the record itself, so that any later try goes on where the last one was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.proof import Embedded, NotProved, Prover, Waiting
from credential_rotation.rotation.read_back import ReadBack
from credential_rotation.rotation.records import KILLED, ConnectionRecord
from credential_rotation.rotation.snowflake_words import SnowflakeRefused, SnowflakeUnreachable, refusal_in
from credential_rotation.rotation.update import Writable, embed_and_read_back, of_missing
from credential_rotation.tableau.errors import NotFound, TableauError, Throttled

log = logging.getLogger(__name__)

NOTHING_SHOWS = (
    "nothing can show whether it connects: Tableau offers no way for this type of content, and Airflow is not to sign "
    "in to Snowflake. Set CREDENTIAL_ROTATION_SNOWFLAKE_CHECK to on, or run with canary_proof: saved"
)
DID_NOT_CONNECT = "NOW HOLDS A TOKEN THAT DID NOT CONNECT"
MAY_HOLD = "MAY NOW HOLD A TOKEN THAT WAS NOT SEEN TO CONNECT"
_PERHAPS_SAVED = "It is not known whether the update was saved."


@dataclass(frozen=True)
class Orders:
    """How a connection is to be treated.

    :param prover: shows that updates connect; None where it is enough that they are saved
    :param is_canary: whether it is put back when it fails, and must show what it was asked to show
    :param is_last_try: whether Airflow will not try again by itself
    :param done: the outcome of what went well
    :param read_back: which updates are read back
    :param previous: the fingerprints of previous secrets, by the Airflow connection of their credential
    :param sign_in: signs in to Snowflake, to see whether the previous secret is worth putting back; None: not tried
    """

    prover: Prover | None = None
    is_canary: bool = False
    is_last_try: bool = False
    done: Outcome = Outcome.UPDATED
    sign_in: Callable[[Embedded], None] | None = None
    read_back: ReadBack = field(default_factory=ReadBack)
    previous: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """How far a connection is. ``wait`` are the seconds until the next step, when there is one."""

    record: ConnectionRecord
    wait: float | None = None


def next_step(site: Writable, target: ConnectionRecord, credential: SnowflakeCredential, orders: Orders) -> Stage:
    """Take the next step with a connection.

    After an update, that is for the caller: to see that nobody has changed its item again (:mod:`.settling`).

    :raises Throttled: Tableau asks for a longer wait
    :raises TableauError: only where all connections are concerned: the sign-in is refused, say
    """
    if target.undoing:
        return _undo(site, target, credential, orders)
    return or_put_back(_update(site, target, credential, orders), credential, orders)


def or_put_back(stage: Stage, credential: SnowflakeCredential, orders: Orders) -> Stage:
    """The same stage, unless it is that of a canary that failed for good: what it embedded before is put back then."""
    record = stage.record
    final = record.outcome is Outcome.FAILED and (not record.retriable or orders.is_last_try)
    if not (orders.is_canary and final and record.touched):
        return stage
    if record.saved_at is None:
        record = replace(record, reason=f"{_PERHAPS_SAVED} {record.reason}")
    log.error("%s did not pass: %s", record.title, record.reason)
    return put_back(record, credential, orders)


def put_back(record: ConnectionRecord, credential: SnowflakeCredential, orders: Orders) -> Stage:
    """Begin to put back what a canary embedded before, where that is possible.

    In a step of its own, so that it is known what is under way before it is.

    :param record: with the reason why it did not pass
    """
    if why_not := _why_not_put_back(record, credential, orders):
        reason = f"{_shouted(record)} {why_not}"
        return Stage(replace(record, outcome=Outcome.FAILED, reason=reason, retriable=False))
    undoing = replace(record.to_be_written(), outcome=None, reason=None, undoing=record.reason)
    return Stage(undoing, wait=0.0)


def failed_by(target: ConnectionRecord, error: TableauError, *, retriable: bool) -> ConnectionRecord:
    """A connection whose step failed by something that concerns all connections, or that the caller has to wait for."""
    reason = str(error)
    if target.undoing:
        reason = f"{_shouted(target)} The secret before it could not be put back yet: {reason}"
    failed = replace(target, outcome=Outcome.FAILED, reason=reason, retriable=retriable, attempts=target.attempts + 1)
    # It may have been the reading back that failed; what is asked to slow down is not done.
    return replace(failed, touched=target.touched or not isinstance(error, Throttled))


def left_alone(target: ConnectionRecord, reason: str) -> ConnectionRecord:
    """A connection with which nothing can be done any more, since its credential can't be used."""
    if target.is_under_way:
        reason = (
            f"{why_unfinished(target)}. {reason}" if target.proving and not target.undoing else _stuck(target, reason)
        )
        return replace(target, outcome=Outcome.FAILED, reason=reason, retriable=False)
    if target.touched:
        said = f"{target.reason or KILLED} {reason}"
        return replace(target, outcome=Outcome.FAILED, reason=said, retriable=False)
    return replace(target, outcome=Outcome.NOT_ATTEMPTED, reason=reason, retriable=False)


def _stuck(target: ConnectionRecord, reason: str) -> str:
    return f"{_shouted(target)} The secret before it could not be put back: {reason}"


def why_unfinished(target: ConnectionRecord) -> str:
    """What to say of a connection without an outcome, when nothing goes on with it any more."""
    if target.undoing:
        return f"{_shouted(target)} The run ended before it was seen that the secret before it is back; run again."
    return "its update is saved, but the run ended before it was shown that it connects; run again"


def _update(site: Writable, target: ConnectionRecord, credential: SnowflakeCredential, orders: Orders) -> Stage:
    username = target.new_username or credential.login
    if not target.is_settled:
        if orders.is_canary and orders.prover and not orders.prover.is_able(target.content):
            return Stage(replace(target, outcome=Outcome.NOT_ATTEMPTED, reason=NOTHING_SHOWS))
        target = embed_and_read_back(site, target, username, credential.token, orders.read_back)
        return Stage(target, wait=0.0 if target.outcome is None else None)
    if orders.prover is None:
        return Stage(replace(target, outcome=_done(target, orders), proof=target.proof or Proof.SAVED, proving=None))
    if target.proving is None:
        return Stage(replace(target, proving=orders.prover.begin(target.updated_in_tableau)), wait=0.0)
    try:
        step = orders.prover.step(
            target.content, Embedded(credential.conn_id, username, credential.token), target.proving
        )
    except NotFound:
        return Stage(replace(of_missing(site, target), proving=None))
    if isinstance(step, Waiting):
        return Stage(replace(target, proving=step.proving), wait=step.seconds)
    target = replace(target, proving=None, proof=step.proof)
    if isinstance(step, NotProved):
        if step.proof is Proof.NONE and not (orders.is_canary and target.touched):
            log.warning("%s · %s: %s", target.title, target.username, step.reason)
            return Stage(replace(target, outcome=_done(target, orders)))
        return Stage(replace(target, outcome=Outcome.FAILED, reason=_with_hint(step.reason, orders)))
    return Stage(replace(target, outcome=_done(target, orders)))


def _done(target: ConnectionRecord, orders: Orders) -> Outcome:
    # What held the token before the run and was only proved was not written.
    return orders.done if target.touched else Outcome.UNCHANGED


def _undo(site: Writable, target: ConnectionRecord, credential: SnowflakeCredential, orders: Orders) -> Stage:
    """Embed again what was embedded before, and see that it connects."""
    if credential.previous is None:  # taken out of the Airflow connection meanwhile
        reason = f"{_shouted(target)} {_not_known(credential)}"
        return Stage(replace(target, outcome=Outcome.FAILED, reason=reason, undoing=None))
    if not target.is_settled:
        written = embed_and_read_back(site, target, target.username, credential.previous, orders.read_back)
        if written.outcome is Outcome.GONE:
            return Stage(_gone(written))
        if written.outcome is not None and not written.touched:
            # Published again: what held the token is not there any more.
            return Stage(replace(written, reason=f"{target.undoing} Then {written.reason}", undoing=None))
        if written.outcome is not None:
            final = not written.retriable or orders.is_last_try
            reason = f"{_shouted(target)} The secret before it could not be put back: {written.reason}"
            undoing = None if final else target.undoing
            return Stage(replace(written, reason=reason, undoing=undoing, retriable=not final))
        return Stage(written, wait=0.0)
    if orders.prover is None:
        return Stage(_put_back(target, orders, Proof.SAVED, ""))
    if target.proving is None:
        return Stage(replace(target, proving=orders.prover.begin(target.updated_in_tableau)), wait=0.0)
    embedded = Embedded(credential.conn_id, target.username, credential.previous)
    try:
        step = orders.prover.step(target.content, embedded, target.proving)
    except NotFound:
        missing = of_missing(site, target)
        if missing.outcome is Outcome.GONE:
            return Stage(_gone(missing))
        return Stage(_put_back(target, orders, Proof.NONE, ""))
    if isinstance(step, Waiting):
        return Stage(replace(target, proving=step.proving), wait=step.seconds)
    if not isinstance(step, NotProved):
        return Stage(_put_back(target, orders, step.proof, " and connects"))
    if step.proof is Proof.NONE:
        return Stage(_put_back(target, orders, step.proof, ""))
    reason = f"{target.undoing} THE SECRET BEFORE IT WAS PUT BACK, BUT DOES NOT CONNECT EITHER: {step.reason}"
    return Stage(replace(target, outcome=Outcome.FAILED, reason=reason, proof=step.proof, proving=None, undoing=None))


def _put_back(target: ConnectionRecord, orders: Orders, proof: Proof, more: str) -> ConnectionRecord:
    # In a run that is a roll-back itself, what went well is called rolled back; this did not.
    outcome = Outcome.ROLLED_BACK if orders.done is not Outcome.ROLLED_BACK else Outcome.FAILED
    reason = f"{target.undoing} The secret before it was put back{more}."
    return replace(target, outcome=outcome, proof=proof, reason=reason, proving=None, undoing=None)


def _gone(target: ConnectionRecord) -> ConnectionRecord:
    """It is not to count as gone, for then another would take its place and get the same token."""
    reason = f"{target.undoing} It was deleted meanwhile."
    return replace(target, outcome=Outcome.FAILED, reason=reason, retriable=False, proving=None, undoing=None)


def _why_not_put_back(record: ConnectionRecord, credential: SnowflakeCredential, orders: Orders) -> str | None:
    if record.held_current:
        return "It is known to have held this token before the run, so nothing was put back."
    if credential.previous is None:
        return _not_known(credential)
    if record.held not in (None, orders.previous.get(credential.conn_id)):
        return (
            "Nothing was put back: it is known to have held another secret than the previous one that the Airflow "
            f"connection '{credential.conn_id}' knows."
        )
    if not credential.knows_secret_of(record.username):
        return (
            f"The secret before it could not be put back: it was that of {record.username}, and the one that the "
            f"Airflow connection '{credential.conn_id}' holds is of {credential.previous_username}."
        )
    if orders.sign_in is None:
        return None
    try:
        orders.sign_in(Embedded(credential.conn_id, record.username, credential.previous))
    except SnowflakeRefused as refused:
        return f"The secret before it was not put back, since it is no better: {refused}"
    except SnowflakeUnreachable as error:
        log.info("It could not be checked whether the previous secret works: %s", error)
    return None


def _not_known(credential: SnowflakeCredential) -> str:
    return (
        "It could not be put back, since the secret before it is not known; the Airflow connection "
        f"'{credential.conn_id}' may hold that as extra 'previous_password'."
    )


def _shouted(target: ConnectionRecord) -> str:
    why = target.undoing or target.reason or ""
    may = why.startswith((_PERHAPS_SAVED, KILLED))
    return f"{target.title.upper()} {MAY_HOLD if may else DID_NOT_CONNECT}: {why}"


def _with_hint(reason: str, orders: Orders) -> str:
    if not orders.is_canary or refusal_in(reason):
        return reason
    return f"{reason} (If that has another cause than the token, choose another connection with validate_on.)"
