"""A job's life: it waits, it runs with the secret of the moment it starts, it ends; and lists show it."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.tableau import Content, Job, JobOutcome, JobStatus, Site, TableauCode, TableauState, snowflake_connection
from tests.sandbox.bare_client import BareClient, error_code


@pytest.fixture
def extract(site: Site) -> Content:
    return site.add_datasource("Extract", connections=[snowflake_connection()], type="hyper", has_extracts=True)


def _embed(client: BareClient, content: Content, secret: str) -> None:
    attributes = f'userName="ETL_USER" password="{secret}" embedPassword="true"'
    response = client.put(f"datasources/{content.id}/connections/{content.connections[0].id}", attributes)
    assert response.ok, response.text


def _look(client: BareClient, job: Job) -> dict[str, Any]:
    shown: dict[str, Any] = client.get_json(f"jobs/{job.id}")["job"]
    return shown


def _listed(client: BareClient, **query: str | int) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = client.get_json("jobs", **query)["backgroundJobs"].get("backgroundJob", [])
    return shown


def test_a_job_waits_until_it_is_due_then_runs_then_ends(
    client: BareClient, extract: Content, state: TableauState
) -> None:
    state.job_queue_seconds = 60
    client.post(f"datasources/{extract.id}/refresh")
    (job,) = state.jobs.values()
    for _ in range(3):
        assert "startedAt" not in _look(client, job)
        assert _listed(client)[0]["status"] == "Pending"
    state.clock.advance(seconds=60)
    state.job_seconds = 600
    running = _look(client, job)
    assert running["startedAt"] > running["createdAt"]
    assert (running["progress"], "completedAt" in running) == (0, False)
    assert _listed(client)[0] | {"startedAt": "", "createdAt": ""} == {
        "id": job.id,
        "status": "InProgress",
        "createdAt": "",
        "startedAt": "",
        "priority": 50,
        "jobType": "refresh_extracts",
        "title": "Extract",
    }
    state.clock.advance(seconds=600)
    assert _look(client, job)["finishCode"] == 0
    assert (_listed(client)[0]["status"], "endedAt" in _listed(client)[0]) == ("Success", True)


def test_the_secret_that_counts_is_the_one_of_when_it_starts(
    client: BareClient, extract: Content, state: TableauState
) -> None:
    state.accounts.accounts["acme-prod"].user("etl_user").secrets = {"new-secret"}
    running = state.queue_job(extract, started=True)
    waiting = state.queue_job(extract, queue_seconds=60)
    _embed(client, extract, "new-secret")
    assert [_look(client, running).get("finishCode") for _ in range(2)] == [None, 1]
    assert "access token is invalid" in running.notes
    state.clock.advance(seconds=60)
    assert [_look(client, waiting).get("finishCode") for _ in range(2)] == [None, 0]


def test_a_secret_that_changes_while_a_job_runs_changes_nothing_for_it(
    client: BareClient, extract: Content, state: TableauState
) -> None:
    client.post(f"datasources/{extract.id}/refresh")
    (job,) = state.jobs.values()
    assert "startedAt" in _look(client, job)
    _embed(client, extract, "nonsense")
    assert _look(client, job)["finishCode"] == 0


def test_a_job_that_was_told_to_hang_ends_with_the_secret_of_its_start(
    client: BareClient, extract: Content, state: TableauState
) -> None:
    extract.connections[0].password = "wrong"
    extract.job_outcome = JobOutcome.NEVER_ENDS
    job = state.queue_job(extract, started=True)
    for _ in range(3):
        assert "completedAt" not in _look(client, job)
    _embed(client, extract, "new-secret")
    extract.job_outcome = None
    assert _look(client, job)["finishCode"] == 1


def test_the_first_list_finds_a_job_under_way_as_the_first_look_does(
    client: BareClient, extract: Content, state: TableauState
) -> None:
    client.post(f"datasources/{extract.id}/refresh")
    assert [_listed(client)[0]["status"] for _ in range(2)] == ["InProgress", "Success"]


def test_looks_at_a_waiting_job_do_not_end_it_sooner(client: BareClient, extract: Content, state: TableauState) -> None:
    job = state.queue_job(extract, queue_seconds=60)
    for _ in range(3):
        assert (_look(client, job).get("startedAt"), _listed(client)[0]["status"]) == (None, "Pending")
    state.clock.advance(seconds=60)
    assert [_listed(client)[0]["status"] for _ in range(2)] == ["InProgress", "Success"]


def test_a_list_that_does_not_show_a_job_has_not_looked_at_it(
    client: BareClient, extract: Content, state: TableauState
) -> None:
    job = state.queue_job(extract, started=True)
    for _ in range(3):
        assert _listed(client, filter="jobType:eq:refresh_extracts,status:eq:Pending") == []
    assert [each["id"] for each in _listed(client, filter="status:eq:InProgress")] == [job.id]


def test_lists_are_paged_sorted_and_those_of_one_site(client: BareClient, site: Site, state: TableauState) -> None:
    other = state.add_site("other").add_workbook("Elsewhere", has_extracts=True)
    foreign = state.queue_job(other)
    names = [f"Extract {number}" for number in range(5)]
    for name in names:
        state.queue_job(site.add_workbook(name, has_extracts=True))
    answer = client.get_json("jobs", pageSize=2, pageNumber=2, sort="title:desc")
    assert answer["pagination"] == {"pageNumber": "2", "pageSize": "2", "totalAvailable": "5"}
    assert [each["title"] for each in answer["backgroundJobs"]["backgroundJob"]] == names[2:0:-1]
    assert error_code(client.get("jobs", pageNumber=9)) == "400006"
    assert error_code(client.get(f"jobs/{foreign.id}")) == "404016"


@pytest.mark.parametrize(
    "expression",
    ["status:in:[Pending,InProgress]", "title:in:[a,b]", "endedAt:gt:2026-01-01T00:00:00Z", "id:eq:x", "args:has:x"],
)
def test_a_filter_of_jobs_outside_the_allow_list_is_400(client: BareClient, expression: str) -> None:
    assert error_code(client.get("jobs", filter=expression)) == "400000"


def test_jobs_are_listed_for_administrators_alone(client: BareClient, site: Site, state: TableauState) -> None:
    state.add_sign_in(site, "Ann", "pw")
    client.sign_in({"name": "Ann", "password": "pw"})
    assert client.get("jobs").status_code == 403


def test_jobs_are_listed_since_3_1(client: BareClient) -> None:
    client.version = "3.0"
    assert error_code(client.get("jobs")) == "404003"


def test_a_waiting_job_can_be_cancelled_and_never_asks_the_database(
    client: BareClient, extract: Content, site: Site, state: TableauState
) -> None:
    job = state.queue_job(extract, queue_seconds=60)
    assert client.send("PUT", f"sites/{site.id}/jobs/{job.id}").status_code == 200
    state.clock.advance(seconds=60)
    shown = _look(client, job)
    assert (shown["finishCode"], "startedAt" in shown) == (2, False)
    assert (job.status, job.failure) == (JobStatus.CANCELLED, None)
    assert client.post(f"datasources/{extract.id}/refresh").status_code == 202


def test_a_queued_job_refuses_a_refresh_until_it_has_ended(
    client: BareClient, extract: Content, state: TableauState
) -> None:
    state.job_polls, state.job_seconds = 0, 60
    job = state.queue_job(extract, started=True)
    assert error_code(client.post(f"datasources/{extract.id}/refresh")) == "409093"
    state.clock.advance(seconds=60)  # and nobody has looked
    assert client.post(f"datasources/{extract.id}/refresh").status_code == 202
    assert job.status is JobStatus.SUCCESS


def test_content_without_an_extract_has_no_jobs(site: Site, state: TableauState) -> None:
    with pytest.raises(ValueError, match="no extract to refresh"):
        state.queue_job(site.add_datasource("Live"))


def test_faults_and_counts_know_the_list(client: BareClient, extract: Content, state: TableauState) -> None:
    client.server.faults.script("list_jobs", TableauCode("403004", "no"))
    assert [client.get("jobs").status_code for _ in range(2)] == [403, 200]
    assert client.server.requests.count("list_jobs") == 2
