"""Extract refreshes and the jobs that they become."""

from __future__ import annotations

from sandbox.tableau import bodies, filters, jobs
from sandbox.tableau.answers import Answer, Element, listing
from sandbox.tableau.call import Call
from sandbox.tableau.clock import iso
from sandbox.tableau.errors import TableauError, bad_request, forbidden, not_found
from sandbox.tableau.jobs import Job
from sandbox.tableau.paging import page
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
    for job in state.jobs.values():
        if job.content is content:
            jobs.end_if_done(state, job, polls=job.polls)
            if job.completed_at is None:
                # text of TSC's asset datasource_refresh_duplicate.xml
                raise TableauError("409093", "Job for 'extract' is already queued. Not queuing a duplicate.")
    return Answer(202, [_job_element(state, jobs.queue(state, call.site, content))])


def list_jobs(call: Call) -> Answer:
    """The jobs of the site that match, for administrators alone; one that is shown has been looked at."""
    if not call.live.user.is_admin:
        raise forbidden()
    held = [job for job in call.state.jobs.values() if job.site is call.site]
    for job in held:
        jobs.start_if_due(call.state, job)
        jobs.end_if_done(call.state, job, polls=job.polls + 1)
    pagination, shown = page(filters.select(held, call.query, filters.JOB_FIELDS), call.query)
    for job in shown:
        jobs.count_look(job)
    return Answer(elements=[pagination, listing("backgroundJobs", [_background_job_element(job) for job in shown])])


def get_job(call: Call) -> Answer:
    """How far a job is; each look moves it on."""
    job = _job(call)
    jobs.look(call.state, job)
    return Answer(elements=[_job_element(call.state, job)])


def cancel_job(call: Call) -> Answer:
    """Cancel a job that has not ended."""
    job = _job(call)
    if job.completed_at is None:
        jobs.cancel(call.state, job)
    return Answer(200, body=b"")


def _job(call: Call) -> Job:
    luid = call.parameters["job_id"]
    job = call.state.jobs.get(luid)
    if job is None or job.site is not call.site:
        raise not_found("job", luid)
    return job


def _background_job_element(job: Job) -> Element:
    """A job as lists show it. `subtitle` is in the schema; what it says of a refresh is not known, so it is absent."""
    return Element(
        "backgroundJob",
        {
            "id": job.id,
            "status": job.status.value,
            "createdAt": iso(job.created_at),
            "startedAt": iso(job.started_at) if job.started_at else None,
            "endedAt": iso(job.completed_at) if job.completed_at else None,
            "priority": jobs.PRIORITY,
            "jobType": jobs.JOB_TYPE,
            "title": job.content.name,
        },
    )


def _job_element(state: TableauState, job: Job) -> Element:
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
            "progress": None if job.polls == 0 else job.progress,
            "createdAt": iso(job.created_at),
            "startedAt": iso(job.started_at) if job.started_at else None,
            "completedAt": iso(job.completed_at) if job.completed_at else None,
            "finishCode": state.unfinished_finish_code if job.finish_code is None else job.finish_code,
        },
        [Element("extractRefreshJob", children=details)],
    )
