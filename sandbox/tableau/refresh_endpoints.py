"""Extract refreshes and the jobs that they become."""

from __future__ import annotations

from datetime import timedelta

from sandbox.tableau import bodies
from sandbox.tableau.answers import Answer, Element
from sandbox.tableau.call import Call
from sandbox.tableau.clock import iso
from sandbox.tableau.content import JobOutcome
from sandbox.tableau.data_access import failure_of
from sandbox.tableau.errors import TableauError, bad_request, not_found
from sandbox.tableau.jobs import CANCELLED, FAILED, SUCCESS, Job
from sandbox.tableau.state import TableauState


def refresh(call: Call) -> Answer:
    """Queue an extract refresh: 202 and a job."""
    if call.body.strip():
        call.read_body(bodies.REFRESH_BODY)
    content = call.content()
    state = call.state
    if not content.has_extracts:
        # that it refuses is known (TSC #1279), with which code is not
        raise bad_request(f"The {content.content_type.value} '{content.name}' has no extract to refresh.")
    if any(job.content is content and job.completed_at is None for job in state.jobs.values()):
        # text of TSC's asset datasource_refresh_duplicate.xml
        raise TableauError("409093", "Job for 'extract' is already queued. Not queuing a duplicate.")
    job = Job(call.site.luid(), content, state.clock.now())
    state.jobs[job.id] = job
    return Answer(202, [_job_element(call.state, job)])


def get_job(call: Call) -> Answer:
    """How far a job is; each look moves it on."""
    job = _job(call)
    job.polls += 1
    _progress(call.state, job)
    return Answer(elements=[_job_element(call.state, job)])


def cancel_job(call: Call) -> Answer:
    """Cancel a job that has not ended."""
    job = _job(call)
    if job.completed_at is None:
        _complete(call.state, job, CANCELLED, "The job was cancelled.")
    return Answer(200, body=b"")


def _job(call: Call) -> Job:
    luid = call.parameters["job_id"]
    try:
        return call.state.jobs[luid]
    except KeyError as error:
        raise not_found("job", luid) from error


def _progress(state: TableauState, job: Job) -> None:
    outcome = job.content.job_outcome
    due = job.created_at + timedelta(seconds=state.job_seconds)
    if (
        job.completed_at is not None
        or outcome is JobOutcome.NEVER_ENDS
        or job.polls < state.job_polls
        or state.clock.now() < due
    ):
        return
    if outcome is JobOutcome.CANCELLED:
        _complete(state, job, CANCELLED, "The job was cancelled.")
        return
    # the secret counts as it is when the job runs
    failure = failure_of(state, job.content) if outcome is None else None
    if outcome is JobOutcome.FAILS:
        failure = "java.lang.RuntimeException: the refresh failed."
    _complete(state, job, SUCCESS if failure is None else FAILED, failure or "Finished refresh of extracts.")


def _complete(state: TableauState, job: Job, finish_code: int, notes: str) -> None:
    job.completed_at, job.finish_code, job.notes = state.clock.now(), finish_code, notes


def _job_element(state: TableauState, job: Job) -> Element:
    done = job.completed_at is not None
    content = job.content
    details = [Element(content.content_type.element, {"id": content.id, "name": content.name})]
    if job.notes:
        details.append(Element("notes", text=job.notes))
    return Element(
        "job",
        {
            "id": job.id,
            "mode": "Asynchronous",
            "type": "RefreshExtract",
            "progress": None if job.polls == 0 else 100 if done else 0,
            "createdAt": iso(job.created_at),
            "startedAt": iso(job.created_at) if job.polls else None,
            "completedAt": iso(job.completed_at) if job.completed_at else None,
            "finishCode": job.finish_code if done else state.unfinished_finish_code,
        },
        [Element("extractRefreshJob", children=details)],
    )
