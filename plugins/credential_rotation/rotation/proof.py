"""Proof that an update took effect: the database is asked with what is embedded now, in the way that suits the content.

Nothing here waits: a refresh takes minutes or hours, and no worker is to sit through it. Each call takes one step, and
says how long to wait for the next.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from credential_rotation.rotation.outcomes import Proof
from credential_rotation.rotation.snowflake_words import (
    SnowflakeRefused,
    SnowflakeUnreachable,
    advice,
    refusal_in,
)
from credential_rotation.tableau.content import Content, ContentType
from credential_rotation.tableau.errors import (
    AlreadyQueued,
    NotFound,
    NotTrusted,
    RequestRefused,
    SessionEnded,
    SessionKeepsEnding,
    SignInRefused,
    TableauError,
    TableauUnwell,
    Throttled,
    UnusableSetting,
)
from credential_rotation.tableau.tableau_data import YOUNGEST_CACHE_SECONDS, Job, NoDataHere

log = logging.getLogger(__name__)

_FIRST_LOOK = 1.0
_LONGEST_LOOK = 60.0
_QUEUED_LOOK = 15.0
_UNWELL_LOOK = 20.0
# How often it is asked again. Each may be a sign-in that Snowflake refuses, and five of those in a row lock a user.
_MOST_UNWELL = 1


# What each further request would meet as well. Other failures are the proof's own.
_CONCERNS_ALL = (SignInRefused, SessionEnded, SessionKeepsEnding, NotTrusted, UnusableSetting)


class HasData(Protocol):
    """What a proof needs of a Tableau site: :class:`credential_rotation.tableau.tableau_data.TableauData`."""

    def refresh(self, content: Content) -> str:
        """Start an extract refresh; its job."""

    def job(self, job_id: str) -> Job:
        """How far a refresh is."""

    def unfinished_refreshes(self, content: Content) -> list[Job]:
        """The refreshes of an item that wait or run."""

    def cancel(self, job_id: str) -> None:
        """Cancel a refresh."""

    def query_one_row(self, content: Content) -> None:
        """Ask a published data source for one row."""

    def view_data(self, content: Content) -> None:
        """Ask for the data of a view of a workbook."""


@dataclass(frozen=True)
class Proving:
    """How far the proof of one update is; kept, so that a later try goes on from here.

    :param updated_at: when the update was saved, as Tableau says; empty where that is not known
    :param since: when the proof was begun, in seconds since 1970 here
    :param ruled_out: ways to prove it that turned out not to be there
    :param job_id: the refresh that is waited for
    :param is_our_job: whether it was started for this proof
    :param unwell: how often Tableau or Snowflake was unwell when asked for data
    :param not_before: when it may be asked again, in seconds since 1970 here; who looks earlier asks nothing
    """

    updated_at: str
    since: float
    ruled_out: tuple[Proof, ...] = ()
    job_id: str | None = None
    is_our_job: bool = False
    unwell: int = 0
    not_before: float = 0.0


@dataclass(frozen=True)
class Embedded:
    """What is embedded, and for which Airflow connection that is."""

    conn_id: str
    username: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Proved:
    """What was embedded connects."""

    proof: Proof


@dataclass(frozen=True)
class NotProved:
    """It does not connect, or nothing could show it (``proof`` is then NONE)."""

    reason: str
    proof: Proof


@dataclass(frozen=True)
class Waiting:
    """It is not known yet: go on from ``proving`` in so many seconds."""

    proving: Proving
    seconds: float


Step = Proved | NotProved | Waiting


def ways_to_prove(content: Content) -> tuple[Proof, ...]:
    """How it can be seen that content connects, the surest first.

    Running a flow would write what it makes, and nothing queries a virtual connection: for these only Snowflake can
    say whether the token is good. So it is for an item with several connections: Tableau shows whether the item gets at
    its data, not by which of them; and what fails may be another one.
    """
    live = {ContentType.DATASOURCE: Proof.QUERY, ContentType.WORKBOOK: Proof.VIEW_DATA}.get(content.type)
    if live is None or (content.connection_count or 1) > 1:
        return (Proof.SNOWFLAKE_LOGIN,)
    # Queries and views of an extract are answered by the extract. Where it is not known whether there is one, a refresh
    # that is refused does not tell, either.
    first = live if content.has_extracts is False else Proof.REFRESH_JOB
    return (first, Proof.SNOWFLAKE_LOGIN)


class Prover:
    """Proves updates on one Tableau site.

    :param sign_in: signs in to Snowflake with what is embedded, as a password; None where Airflow is not to
    :param time_limit: seconds after which a proof that is still not there has failed
    """

    def __init__(
        self,
        data: HasData,
        sign_in: Callable[[Embedded], None] | None,
        *,
        time_limit: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._data = data
        self._sign_in = sign_in
        self._time_limit = time_limit
        self._clock = clock

    def is_able(self, content: Content) -> bool:
        """Whether there is any way to prove an update of this content, as far as that is known before."""
        return self._sign_in is not None or ways_to_prove(content) != (Proof.SNOWFLAKE_LOGIN,)

    def begin(self, updated_at: str) -> Proving:
        """The state of a proof that is about to begin.

        :param updated_at: when the update was saved, as Tableau says; empty where that is not known
        """
        return Proving(updated_at, since=self._clock())

    def step(self, content: Content, embedded: Embedded, proving: Proving) -> Step:
        """Take the next step of a proof.

        :raises NotFound: when the content is gone
        :raises TableauError: only where all connections are concerned: the sign-in is refused, say
        """
        now = self._clock()
        left = proving.since + self._time_limit - now
        if left <= 0 and proving.job_id is None:
            return self._too_late(proving)
        pause = proving.not_before - now
        step = self._next(content, embedded, proving) if pause <= 0 else Waiting(proving, pause)
        if not isinstance(step, Waiting):
            return step
        return self._too_late(step.proving) if left <= 0 else replace(step, seconds=min(step.seconds, left))

    def _next(self, content: Content, embedded: Embedded, proving: Proving) -> Step:
        reason = ""
        for way in ways_to_prove(content):
            if way in proving.ruled_out:
                continue
            try:
                return self._by(way, content, embedded, proving)
            except Throttled as error:
                return self._later(proving, error.retry_after or _UNWELL_LOOK)
            except (NotFound, TableauUnwell, *_CONCERNS_ALL):
                raise
            except (NoDataHere, TableauError) as why_not:
                # Whatever this content or this Tableau does not have, or does not let us do.
                reason = str(why_not)
                log.info("'%s' can't be proved by %s: %s", content.name, way, reason)
                proving = replace(proving, ruled_out=(*proving.ruled_out, way), job_id=None, is_our_job=False)
        return NotProved(f"nothing can show that it connects: {reason}", Proof.NONE)

    def _by(self, way: Proof, content: Content, embedded: Embedded, proving: Proving) -> Step:
        if way is Proof.REFRESH_JOB:
            return self._by_refresh(content, proving)
        if way is Proof.VIEW_DATA and (left := proving.since + YOUNGEST_CACHE_SECONDS + 1 - self._clock()) > 0:
            # Until then, Tableau may answer with what it fetched before the update.
            return Waiting(proving, left)
        try:
            if way is Proof.QUERY:
                self._data.query_one_row(content)
            elif way is Proof.VIEW_DATA:
                self._data.view_data(content)
            else:
                self._sign_in_to_snowflake(embedded)
        except (NotFound, Throttled):
            raise
        except (RequestRefused, SnowflakeRefused) as error:
            if _lacks_scope(error):
                raise NoDataHere(str(error)) from None
            return NotProved(_with_advice(str(error)), way)
        except (TableauUnwell, SnowflakeUnreachable) as error:
            if refusal_in(str(error)) or proving.unwell >= _MOST_UNWELL:
                return NotProved(_with_advice(str(error)), way)
            return self._later(replace(proving, unwell=proving.unwell + 1), _UNWELL_LOOK)
        return Proved(way)

    def _later(self, proving: Proving, seconds: float) -> Waiting:
        """Several proofs are looked at together, when the first may be there: this one is not to be asked for then."""
        return Waiting(replace(proving, not_before=self._clock() + seconds), seconds)

    def _sign_in_to_snowflake(self, embedded: Embedded) -> None:
        if self._sign_in is None:
            raise NoDataHere(
                "Tableau offers no way to see it, and Airflow is not to sign in to Snowflake "
                "(CREDENTIAL_ROTATION_SNOWFLAKE_CHECK is off)"
            )
        self._sign_in(embedded)

    def _by_refresh(self, content: Content, proving: Proving) -> Step:
        if proving.job_id is None:
            return self._start_refresh(content, proving)
        try:
            job = self._data.job(proving.job_id)
        except Throttled:
            raise
        except TableauUnwell as error:
            log.info(
                "Refresh job %s of '%s': %s It goes on, and so does the wait.", proving.job_id, content.name, error
            )
            return Waiting(proving, self._until_next_look(proving))
        except RequestRefused as error:
            raise NoDataHere(str(error)) from None
        except NotFound:
            return NotProved(f"its refresh job {proving.job_id} is not there any more", Proof.REFRESH_JOB)
        if not job.ended:
            return Waiting(proving, self._until_next_look(proving))
        log.info("Refresh job %s of '%s' ended: %s", job.id, content.name, job.notes or "no notes")
        if job.succeeded:
            return Proved(Proof.REFRESH_JOB)
        how = "was cancelled" if job.cancelled else "failed"
        return NotProved(
            _with_advice(f"its refresh {how} (job {job.id}): {job.notes or 'no reason given'}"), Proof.REFRESH_JOB
        )

    def _start_refresh(self, content: Content, proving: Proving) -> Step:
        try:
            job_id = self._data.refresh(content)
        except AlreadyQueued:
            return self._wait_for_queued(content, proving)
        except Throttled:
            raise
        except TableauUnwell as error:
            # Whether it was started is seen next time: then there is one already.
            log.info("'%s' could not be refreshed yet: %s", content.name, error)
            return Waiting(proving, _UNWELL_LOOK)
        log.info("'%s' is refreshed, to see that it connects (job %s).", content.name, job_id)
        return Waiting(replace(proving, job_id=job_id, is_our_job=True), _FIRST_LOOK)

    def _wait_for_queued(self, content: Content, proving: Proving) -> Step:
        try:
            jobs = self._data.unfinished_refreshes(content)
        except Throttled:
            raise
        except _CONCERNS_ALL:
            raise
        except TableauError as error:
            log.info("The refreshes of '%s' can't be listed: %s", content.name, error)
            jobs = []
        for job in jobs:
            if not job.started or (proving.updated_at and job.created_at > proving.updated_at):
                log.info("A refresh of '%s' is queued already (job %s): it is waited for.", content.name, job.id)
                return Waiting(replace(proving, job_id=job.id, is_our_job=False), _FIRST_LOOK)
        log.info("A refresh of '%s' began before the update; when it has ended, another will show.", content.name)
        return Waiting(proving, _QUEUED_LOOK)

    def _until_next_look(self, proving: Proving) -> float:
        """Often at first, then less and less; half of the wait so far at most is wasted."""
        return min(_LONGEST_LOOK, max(_FIRST_LOOK, (self._clock() - proving.since) / 2))

    def _too_late(self, proving: Proving) -> NotProved:
        waited = f"within {self._time_limit / 60:g} minutes (CREDENTIAL_ROTATION_PROOF_MINUTES)"
        if proving.job_id is None:
            return NotProved(f"it could not be shown {waited} that it connects", Proof.NONE)
        if proving.is_our_job:
            try:
                self._data.cancel(proving.job_id)
            except TableauError as error:
                log.warning("Refresh job %s could not be cancelled: %s", proving.job_id, error)
        return NotProved(f"its refresh (job {proving.job_id}) did not end {waited}", Proof.REFRESH_JOB)


def _lacks_scope(error: RequestRefused | SnowflakeRefused) -> bool:
    """Whether nobody asked the database, since a Connected App's token lacks the scope; its session is good.

    https://help.tableau.com/current/server/en-us/connected_apps_scopes.htm
    """
    return isinstance(error, RequestRefused) and error.code == "401002" and refusal_in(str(error)) is None


def _with_advice(words: str) -> str:
    refusal = refusal_in(words)
    said = advice(refusal) if refusal else ""
    return f"{words} {said}" if said and said not in words else words
