"""The control plane does over HTTP what tests do in Python."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from sandbox.tableau import Content, Site, TableauServer, TableauState, snowflake_connection
from tests.sandbox.bare_client import BareClient, error_code


class Control:
    """JSON in, JSON out."""

    def __init__(self, server: TableauServer) -> None:
        self.base = f"{server.url}/_sandbox/"

    def __call__(self, method: str, path: str, said: Any = None) -> Any:
        response = requests.request(method, self.base + path, json=said, timeout=5)
        return response.json() if response.ok else response.status_code


@pytest.fixture
def control(server: TableauServer) -> Control:
    return Control(server)


@pytest.fixture
def orders(site: Site) -> Content:
    connections = [snowflake_connection(target_of="etl")]
    return site.add_datasource("Orders 🚀", connections=connections, has_extracts=True)


def test_it_shows_what_is_embedded(control: Control, orders: Content) -> None:
    (content,) = control("GET", "state")["sites"][0]["contents"]
    (connection,) = content["connections"]
    assert (content["name"], connection["password"], connection["embedded"]) == ("Orders 🚀", "old-secret", True)
    (target,) = control("GET", "targets")
    assert (target["credential"], target["connection_id"]) == ("etl", orders.connections[0].id)


def test_it_shows_requests_without_anything_secret(control: Control, client: BareClient, orders: Content) -> None:
    path = f"datasources/{orders.id}/connections/{orders.connections[0].id}"
    client.put(path, 'password="very-secret" embedPassword="true"')
    log = control("GET", "requests?operation=update_connection")
    assert log["counts"] == {"sign_in": 1, "update_connection": 1}
    (entry,) = log["requests"]
    assert (entry["method"], entry["status"], entry["content_id"]) == ("PUT", 200, orders.id)
    assert "very-secret" not in str(log)
    assert str(client.token) not in str(log)
    assert control("DELETE", "requests") == {"total": 0}


def test_it_scripts_faults_and_shows_them_consumed(control: Control, client: BareClient, orders: Content) -> None:
    script = {
        "operation": "query_connections",
        "where": {"content_id": orders.id},
        "faults": [{"fault": "throttle", "retry_after": "3"}, {"fault": "code", "code": "403004", "detail": "no"}],
    }
    assert len(control("POST", "faults", script)["left"]) == 2
    assert client.get(f"datasources/{orders.id}/connections").headers["Retry-After"] == "3"
    shown = control("GET", "faults")
    assert [each["fault"] for each in shown["left"]] == ["code"]
    (consumed,) = shown["consumed"]
    assert (consumed["fault"], consumed["request"]["content_id"]) == ("throttle", orders.id)
    assert control("DELETE", "faults") == {"left": [], "consumed": []}
    assert control("POST", "faults", {"operation": "*", "faults": [{"fault": "nonsense"}]}) == 400


def test_it_moves_the_clock_and_ends_sessions(control: Control, client: BareClient, state: TableauState) -> None:
    before = state.clock.now()
    control("POST", "clock", {"minutes": 30})
    assert (state.clock.now() - before).total_seconds() >= 1800
    assert client.get("flows").status_code == 200
    assert control("POST", "sessions/end") == {"ended": 1}
    assert error_code(client.get("flows")) == "401002"


def test_it_sets_latency_and_the_rate_limit(control: Control, state: TableauState) -> None:
    control("POST", "latency", {"read_seconds": 0.01, "rate_limit": 50})
    assert (state.latency.read_seconds, state.latency.write_seconds, state.latency.rate_limit) == (0.01, 0.0, 50)
    assert control("POST", "latency", {"nonsense": 1}) == 400


def test_it_changes_what_snowflake_knows(control: Control, client: BareClient, orders: Content) -> None:
    user = {"secrets": ["only-new"], "expired": ["old-secret"], "network_blocked_for": ["tableau"]}
    control("POST", "accounts", {"acme-prod": {"users": {"etl_user": user}}})
    shown = control("GET", "accounts")["acme-prod"]["users"]["ETL_USER"]
    assert (shown["secrets"], shown["network_blocked_for"]) == (["only-new"], ["tableau"])


def test_it_tells_jobs_how_to_end_and_republishes(control: Control, orders: Content) -> None:
    control("POST", "jobs", {"content_id": orders.id, "outcome": "never_ends"})
    assert orders.job_outcome == "never_ends"
    control("POST", "republish", {"content_id": orders.id, "password": "typed-by-the-author"})
    assert orders.connections[0].password == "typed-by-the-author"
    assert control("POST", "jobs", {"content_id": "nowhere", "outcome": "fails"}) == 404


def test_it_puts_jobs_into_the_queue(
    control: Control, client: BareClient, orders: Content, state: TableauState
) -> None:
    waiting = control("POST", "jobs", {"content_id": orders.id, "queue": "pending", "queue_seconds": 60})["job"]
    running = control("POST", "jobs", {"content_id": orders.id, "queue": "in_progress"})["job"]
    assert [waiting["status"], running["status"]] == ["Pending", "InProgress"]
    listed = client.get_json("jobs")["backgroundJobs"]["backgroundJob"]
    assert {job["id"]: job["status"] for job in listed} == {waiting["id"]: "Pending", running["id"]: "InProgress"}
    control("POST", "clock", {"seconds": 60})
    client.get("jobs")
    assert [job["status"] for job in control("GET", "state")["jobs"]] == ["InProgress", "Success"]
    assert control("POST", "jobs", {"content_id": orders.id, "queue": "nonsense"}) == 400
    orders.has_extracts = False
    assert control("POST", "jobs", {"content_id": orders.id, "queue": "pending"}) == 400


def test_putting_a_job_into_the_queue_leaves_its_outcome_alone(control: Control, orders: Content) -> None:
    control("POST", "jobs", {"content_id": orders.id, "outcome": "fails"})
    control("POST", "jobs", {"content_id": orders.id, "queue": "pending"})
    assert orders.job_outcome == "fails"
    both = control("POST", "jobs", {"content_id": orders.id, "queue": "pending", "outcome": "cancelled"})
    assert (both["outcome"], orders.job_outcome) == ("cancelled", "cancelled")


def test_it_edits_by_hand(control: Control, orders: Content) -> None:
    (connection,) = orders.connections
    shown = control("POST", "edit", {"connection_id": connection.id, "password": "typed", "user": "ANN"})
    assert (shown["connections"][0]["password"], shown["connections"][0]["username"]) == ("typed", "ANN")
    assert control("POST", "edit", {"connection_id": connection.id, "password": "again"})["id"] == orders.id
    assert (connection.username, connection.password) == ("ANN", "again")
    assert control("POST", "edit", {"connection_id": "nowhere", "password": "x"}) == 404


def test_it_republishes_with_new_ids(control: Control, orders: Content) -> None:
    old = orders.connections[0].id
    shown = control("POST", "republish", {"content_id": orders.id, "password": "typed", "new_ids": True})
    assert shown["connections"][0]["id"] == orders.connections[0].id != old


def test_it_publishes_new_content(control: Control, client: BareClient, orders: Content, site: Site) -> None:
    source = {
        "name": "New source",
        "project": "Sales",
        "owner": "Ann",
        "has_extracts": True,
        "size": 12,
        "connections": [{"user": "ETL_USER", "password": "old-secret", "target_of": "etl"}],
    }
    made = control("POST", "publish", source)
    assert (made["content_type"], made["size"], made["connections"][0]["target_of"]) == ("datasource", 12, "etl")
    workbook = {"content_type": "workbook", "name": "New book", "connections": [{"published": made["id"]}]}
    control("POST", "publish", workbook)
    assert site.content("New book").connections[0].published is site.content(made["id"])
    shown = client.get_json("datasources", filter="name:eq:New source")["datasources"]["datasource"]
    assert [item["id"] for item in shown] == [made["id"]]
    assert shown[0]["createdAt"] > client.get_json(f"datasources/{orders.id}")["datasource"]["createdAt"]
    assert control("POST", "publish", {"content_type": "flow", "name": "x"}) == 400
    assert control("POST", "publish", {"name": "x", "nonsense": 1}) == 400
    assert control("POST", "publish", {"name": "x", "site": "nowhere"}) == 404


def test_it_is_not_counted_and_not_delayed(control: Control, server: TableauServer, state: TableauState) -> None:
    state.latency.read_seconds, state.latency.rate_limit = 5, 0
    control("GET", "state")
    assert len(server.requests) == 0


def test_what_it_does_not_have_is_404(control: Control) -> None:
    assert control("GET", "nonsense") == 404
    assert control("POST", "state") == 404
