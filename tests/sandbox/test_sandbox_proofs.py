"""When the embedded secret is really used: refreshes, views, queries."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from sandbox.snowflake_accounts import SnowflakeUser
from sandbox.tableau import (
    Content,
    Fault,
    JobOutcome,
    ServerError,
    Site,
    TableauCode,
    TableauState,
    Throttle,
    oauth_connection,
    postgres_connection,
    published_link,
    snowflake_connection,
)
from tests.sandbox.bare_client import JSON, BareClient, error_code

EMBED = 'userName="ETL_USER" password="new-secret" embedPassword="true"'


@pytest.fixture
def user(state: TableauState) -> SnowflakeUser:
    return state.accounts.accounts["acme-prod"].user("etl_user")


@pytest.fixture
def extract(site: Site) -> Content:
    return site.add_datasource("Extract", connections=[snowflake_connection()], type="hyper", has_extracts=True)


@pytest.fixture
def live(site: Site) -> Content:
    return site.add_datasource("Live", connections=[snowflake_connection()])


def _refresh(client: BareClient, content: Content) -> dict[str, Any]:
    """Refresh, and look until the job is done."""
    response = client.post(f"{content.content_type}s/{content.id}/refresh")
    assert response.status_code == 202, response.text
    job_id = list(client.server.state.jobs)[-1]
    for _ in range(5):
        job: dict[str, Any] = client.get_json(f"jobs/{job_id}")["job"]
        if "completedAt" in job:
            break
    return job


def _query(client: BareClient, content: Content, **more: Any) -> requests.Response:
    body = {"datasource": {"datasourceLuid": content.id}, "query": {"fields": [{"fieldCaption": "Region"}]}}
    body["datasource"] |= more
    return client.send("POST", "/api/v1/vizql-data-service/query-datasource", json=body, headers=JSON)


def test_a_refresh_is_well_when_the_secret_is(client: BareClient, extract: Content) -> None:
    job = _refresh(client, extract)
    assert (job["finishCode"], job["extractRefreshJob"]["datasource"]["id"]) == (0, extract.id)


def test_a_refresh_says_in_snowflakes_words_what_is_wrong(
    client: BareClient, extract: Content, user: SnowflakeUser
) -> None:
    user.secrets, user.expired = {"new-secret"}, {"old-secret"}
    job = _refresh(client, extract)
    assert job["finishCode"] == 1
    assert "Programmatic access token is expired. (code 394401)" in job["extractRefreshJob"]["notes"]
    client.put(f"datasources/{extract.id}/connections/{extract.connections[0].id}", EMBED)
    assert _refresh(client, extract)["finishCode"] == 0
    user.network_blocked_for.add("tableau")
    assert "not allowed to access Snowflake" in _refresh(client, extract)["extractRefreshJob"]["notes"]


def test_a_refresh_needs_an_embedded_secret_and_a_known_account(client: BareClient, extract: Content) -> None:
    extract.connections[0].password = None
    assert "no embedded credentials" in _refresh(client, extract)["extractRefreshJob"]["notes"]
    extract.connections[0].password = "old-secret"
    extract.connections[0].server_address = "nowhere.snowflakecomputing.com"
    assert "Verify the account name" in _refresh(client, extract)["extractRefreshJob"]["notes"]


def test_an_update_breaks_oauth_and_only_a_refresh_shows_it(client: BareClient, site: Site) -> None:
    content = site.add_datasource(connections=[oauth_connection()], has_extracts=True)
    assert _refresh(client, content)["finishCode"] == 0
    client.put(f"datasources/{content.id}/connections/{content.connections[0].id}", EMBED)
    assert _refresh(client, content)["finishCode"] == 1


def test_other_databases_are_always_well(client: BareClient, site: Site) -> None:
    content = site.add_workbook(connections=[postgres_connection()], has_extracts=True)
    assert _refresh(client, content)["finishCode"] == 0


def test_an_extract_whose_connection_says_hyper_signs_in_to_snowflake_still(client: BareClient, site: Site) -> None:
    content = site.add_datasource(connections=[snowflake_connection(password="x", type="hyper")], has_extracts=True)
    assert _refresh(client, content)["finishCode"] == 1


def test_the_first_look_at_a_job_finds_it_under_way(client: BareClient, extract: Content) -> None:
    client.post(f"datasources/{extract.id}/refresh")
    path = f"jobs/{next(iter(client.server.state.jobs))}"
    job = client.get_json(path)["job"]
    assert "completedAt" not in job
    assert "finishCode" not in job
    assert "completedAt" in client.get_json(path)["job"]


@pytest.mark.parametrize("code", [0, -1])
def test_a_job_may_have_a_finish_code_before_its_end(client: BareClient, extract: Content, code: int) -> None:
    client.server.state.unfinished_finish_code = code
    extract.job_outcome = JobOutcome.FAILS
    client.post(f"datasources/{extract.id}/refresh")
    path = f"jobs/{next(iter(client.server.state.jobs))}"
    assert [client.get_json(path)["job"]["finishCode"] for _ in range(2)] == [code, 1]


def test_a_job_can_take_its_time_on_the_clock(client: BareClient, extract: Content, state: TableauState) -> None:
    state.job_seconds = 600
    assert "completedAt" not in _refresh(client, extract)
    state.clock.advance(minutes=10)
    path = f"jobs/{next(iter(state.jobs))}"
    assert client.get_json(path)["job"]["finishCode"] == 0


@pytest.mark.parametrize(
    ("outcome", "finish_code"),
    [(JobOutcome.FAILS, 1), (JobOutcome.CANCELLED, 2), (JobOutcome.SUCCEEDS, 0), (JobOutcome.NEVER_ENDS, None)],
)
def test_a_job_can_be_told_how_to_end(
    client: BareClient, extract: Content, outcome: JobOutcome, finish_code: int | None
) -> None:
    extract.job_outcome = outcome
    assert _refresh(client, extract).get("finishCode") == finish_code


def test_a_job_can_be_cancelled(client: BareClient, extract: Content, site: Site) -> None:
    extract.job_outcome = JobOutcome.NEVER_ENDS
    client.post(f"datasources/{extract.id}/refresh")
    path = f"jobs/{next(iter(client.server.state.jobs))}"
    assert client.send("PUT", f"sites/{site.id}/{path}").status_code == 200
    assert client.get_json(path)["job"]["finishCode"] == 2


def test_a_second_refresh_is_refused_while_the_first_is_queued(client: BareClient, extract: Content) -> None:
    assert client.post(f"datasources/{extract.id}/refresh").status_code == 202
    again = client.post(f"datasources/{extract.id}/refresh")
    assert (again.status_code, error_code(again)) == (409, "409093")
    assert len(client.server.state.jobs) == 1


def test_live_content_has_nothing_to_refresh(client: BareClient, live: Content) -> None:
    assert client.post(f"datasources/{live.id}/refresh").status_code == 400


def test_a_refresh_takes_an_empty_request_and_no_nonsense(client: BareClient, extract: Content) -> None:
    path = f"datasources/{extract.id}/refresh"
    assert client.post(path, "<tsRequest><nonsense/></tsRequest>").status_code == 400
    for body in ("", "<tsRequest></tsRequest>", '<tsRequest><extractRefresh incremental="true"/></tsRequest>'):
        assert client.post(path, body).status_code == 202
        client.server.state.jobs.clear()


def test_a_query_works_with_what_a_live_data_source_embeds(client: BareClient, live: Content) -> None:
    assert _query(client, live).json() == {"data": [{"Region": "North"}]}
    live.connections[0].password = "wrong"
    response = _query(client, live)
    assert response.status_code == 500
    assert "access token is invalid" in response.json()["message"]
    client.server.state.query_failure = (401, "401001")
    assert _query(client, live).json()["errorCode"] == "401001"
    assert "access token is invalid" in _query(client, live).json()["message"]


def test_a_query_of_an_extract_proves_nothing(client: BareClient, extract: Content) -> None:
    extract.connections[0].password = "wrong"
    assert _query(client, extract).status_code == 200


def test_a_query_with_credentials_of_its_own_is_refused_and_counted(client: BareClient, live: Content) -> None:
    own = [{"connectionUsername": "U", "connectionPassword": "p"}]
    assert _query(client, live, connections=own).json()["errorCode"] == "400803"
    assert client.server.state.credentials_seen_in_queries == 1


def test_a_fault_may_be_for_queries_of_one_data_source(client: BareClient, site: Site, live: Content) -> None:
    other = site.add_datasource("Other", connections=[snowflake_connection()])
    client.server.faults.script("query_datasource", TableauCode("403800", "no"), where={"content_id": other.id})
    assert _query(client, live).status_code == 200
    assert _query(client, other).status_code == 403
    assert client.server.requests.count("query_datasource", content_id=other.id) == 1


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (TableauCode("429000", "Too many queries."), 429, "429000"),
        (TableauCode("408000", "The query took too long."), 408, "408000"),
        (Throttle("7"), 429, "429000"),
        (ServerError(503, "7"), 503, "503000"),
    ],
)
def test_a_scripted_fault_of_a_query_is_in_the_form_of_its_service(
    client: BareClient, live: Content, fault: Fault, status: int, code: str
) -> None:
    client.server.faults.script("query_datasource", fault)
    response = _query(client, live)
    assert response.status_code == status
    assert (response.json()["errorCode"], response.json()["tab-error-code"]) == (code, code)
    assert response.json()["message"] == getattr(fault, "detail", response.json()["message"])
    assert response.headers.get("Retry-After") == getattr(fault, "retry_after", None)
    assert client.server.requests.all("query_datasource")[0].code == code
    assert _query(client, live).status_code == 200


def test_the_rate_limit_answers_a_query_in_the_form_of_its_service(client: BareClient, live: Content) -> None:
    client.server.state.latency.rate_limit = 0
    assert _query(client, live).json()["errorCode"] == "429000"


def test_queries_have_errors_of_their_own(client: BareClient, live: Content) -> None:
    live.can_be_queried = False
    assert _query(client, live).json()["tab-error-code"] == "403800"
    url = "/api/v1/vizql-data-service/query-datasource"
    body = {"datasource": {"datasourceLuid": live.id}, "query": {"fields": [{"fieldCaption": "Nonsense"}]}}
    live.can_be_queried = True
    assert client.send("POST", url, json=body).json()["errorCode"] == "404934"
    assert client.send("POST", url, data="{").json()["errorCode"] == "400000"
    client.token = None
    assert client.send("POST", url, json=body).json()["errorCode"] == "401000"


def test_the_service_can_be_off(client: BareClient, live: Content) -> None:
    client.server.state.vizql_enabled = False
    assert _query(client, live).json()["errorCode"] == "403157"


def test_the_health_check_and_the_metadata_answer(client: BareClient, live: Content) -> None:
    base = "/api/v1/vizql-data-service"
    assert client.send("GET", f"{base}/simple-request").json() == "ok"
    body = {"datasource": {"datasourceLuid": live.id}}
    fields = client.send("POST", f"{base}/read-metadata", json=body).json()["data"]
    assert [field["fieldCaption"] for field in fields] == ["Region", "Amount"]


def test_a_cached_view_passes_with_a_dead_secret(client: BareClient, site: Site, state: TableauState) -> None:
    workbook = site.add_workbook(connections=[snowflake_connection()])
    path = f"views/{workbook.views[0].id}/data"
    assert client.get(path, maxAge=1).text.startswith("Region,Amount")
    workbook.connections[0].password = "dead"
    state.clock.advance(minutes=5)
    assert client.get(path).status_code == 200  # out of the cache
    response = client.get(path, maxAge=1)
    assert response.status_code == 500
    assert "access token is invalid" in response.text
    state.view_failure = (401, "401001")
    response = client.get(path, maxAge=1)
    assert (response.status_code, error_code(response)) == (401, "401001")
    assert "access token is invalid" in response.text


def test_a_view_signs_in_through_the_published_data_source(client: BareClient, site: Site, live: Content) -> None:
    workbook = site.add_workbook(connections=[published_link(live)])
    path = f"views/{workbook.views[0].id}/data"
    live.connections[0].password = "dead"
    assert client.get(path, maxAge=1).status_code == 500
    live.connections[0].password = "old-secret"
    assert client.get(path, maxAge=1).status_code == 200


def test_views_are_listed_by_workbook(client: BareClient, site: Site) -> None:
    workbook = site.add_workbook(views=["North", "South"])
    views = client.get_json(f"workbooks/{workbook.id}/views")["views"]["view"]
    assert [view["name"] for view in views] == ["North", "South"]
