"""Background jobs: what a refresh becomes, from the queue to its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sandbox.tableau.content import JobOutcome
from sandbox.tableau.data_access import failure_of

if TYPE_CHECKING:
    from sandbox.tableau.content import Content
    from sandbox.tableau.site import Site
    from sandbox.tableau.state import TableauState

SUCCESS, FAILED, CANCELLED = 0, 1, 2
JOB_TYPE = "refresh_extracts"
PRIORITY = 50  # TSC's asset job_get.xml


class JobStatus(StrEnum):
    """Where a job is, in the words of Query Jobs (TSC's BackgroundJobItem, and Tableau's XSD)."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    SUCCESS = "Success"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


_ENDED = {SUCCESS: JobStatus.SUCCESS, FAILED: JobStatus.FAILED, CANCELLED: JobStatus.CANCELLED}


@dataclass(eq=False)
class Job:
    """One extract refresh."""

    id: str
    site: Site
    content: Content
    created_at: datetime
    queue_seconds: float | None = None  # how long it is pending; None: as the state says
    polls: int = 0  # looks at it since it started
    started_at: datetime | None = None
    failure: str | None = None  # what the database said to the secrets of when it started
    completed_at: datetime | None = None
    finish_code: int | None = None
    notes: str = ""

    @property
    def status(self) -> JobStatus:
        """Pending, in progress, or how it ended."""
        if self.finish_code is not None:
            return _ENDED[self.finish_code]
        return JobStatus.PENDING if self.started_at is None else JobStatus.IN_PROGRESS

    @property
    def progress(self) -> int:
        """Nothing, or all of it."""
        return 0 if self.completed_at is None else 100


def queue(state: TableauState, site: Site, content: Content, *, queue_seconds: float | None = None) -> Job:
    """Put a refresh into the queue."""
    job = Job(site.luid(), site, content, state.clock.now(), queue_seconds)
    state.jobs[job.id] = job
    return job


def start(state: TableauState, job: Job) -> None:
    """Let a job run: the secrets that count are those embedded now."""
    job.started_at = state.clock.now()
    if job.content.job_outcome in {None, JobOutcome.NEVER_ENDS}:
        job.failure = failure_of(state, job.content)


def look(state: TableauState, job: Job) -> None:
    """Look at a job: start it if it is due, count the look if it runs, end it if it is done."""
    start_if_due(state, job)
    count_look(job)
    end_if_done(state, job, polls=job.polls)


def count_look(job: Job) -> None:
    """Note that a running job has been seen."""
    if job.status is JobStatus.IN_PROGRESS:
        job.polls += 1


def start_if_due(state: TableauState, job: Job) -> None:
    """Let a job run that has been in the queue for as long as it must."""
    if job.started_at is None and job.completed_at is None:
        wait = state.job_queue_seconds if job.queue_seconds is None else job.queue_seconds
        if state.clock.now() >= job.created_at + timedelta(seconds=wait):
            start(state, job)


def end_if_done(state: TableauState, job: Job, *, polls: int) -> None:
    """End a job that runs, if it has been looked at often enough and has taken its time."""
    outcome = job.content.job_outcome
    if (
        job.started_at is None
        or job.completed_at is not None
        or outcome is JobOutcome.NEVER_ENDS
        or polls < state.job_polls
        or state.clock.now() < job.started_at + timedelta(seconds=state.job_seconds)
    ):
        return
    if outcome is JobOutcome.CANCELLED:
        cancel(state, job)
        return
    failure = job.failure if outcome is None else None
    if outcome is JobOutcome.FAILS:
        failure = "java.lang.RuntimeException: the refresh failed."
    if state.refresh_moves_updated_at:
        job.content.updated_at = state.clock.now()
    _complete(state, job, SUCCESS if failure is None else FAILED, failure or "Finished refresh of extracts.")


def cancel(state: TableauState, job: Job) -> None:
    """End a job before its time."""
    _complete(state, job, CANCELLED, "The job was cancelled.")


def _complete(state: TableauState, job: Job, finish_code: int, notes: str) -> None:
    job.completed_at, job.finish_code, job.notes = state.clock.now(), finish_code, notes
