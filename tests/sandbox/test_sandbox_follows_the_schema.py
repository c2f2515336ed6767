"""Every kind of answer passes the models generated from Tableau's own XSD, read strictly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from sandbox.tableau import (
    Content,
    Site,
    TableauServer,
    TableauState,
    Throttle,
    UpdateAnswer,
    build_site,
    key_pair_connection,
    oauth_connection,
    postgres_connection,
    published_link,
    snowflake_connection,
)
from tests.oracles import parse_request, parse_response
from tests.sandbox.bare_client import BareClient

Ask = Callable[[BareClient, Site], requests.Response]


def _content(site: Site) -> Content:
    return site.content("Orders")


def _url(site: Site, name: str = "Orders") -> str:
    content = site.content(name)
    path = {"virtual_connection": "virtualConnections"}.get(content.content_type, f"{content.content_type}s")
    return f"{path}/{content.id}"


def _update(client: BareClient, site: Site, name: str) -> requests.Response:
    content = site.content(name)
    embed = "" if name == "Warehouse" else 'embedPassword="true"'
    attributes = f'userName="U" password="p" serverAddress="a.snowflakecomputing.com" serverPort="443" {embed}'
    return client.put(f"{_url(site, name)}/connections/{content.connections[0].id}", attributes)


def _update_answered_with(answer: UpdateAnswer) -> Ask:
    def ask(client: BareClient, site: Site) -> requests.Response:
        _content(site).update_answer = answer
        return _update(client, site, "Orders")

    return ask


def _update_several(client: BareClient, site: Site) -> requests.Response:
    luids = "".join(f"<connectionLUID>{each.id}</connectionLUID>" for each in _content(site).connections)
    body = f'<tsRequest><connectionLUIDs>{luids}</connectionLUIDs><connection userName="U" password="p"/></tsRequest>'
    return client.send("PUT", f"sites/{site.id}/{_url(site)}/connections", data=body)


def _job(client: BareClient, site: Site, *, polls: int) -> requests.Response:
    response = client.post(f"{_url(site)}/refresh")
    for _ in range(polls):
        response = client.get(f"jobs/{next(iter(client.server.state.jobs))}")
    return response


def _failed_job(client: BareClient, site: Site) -> requests.Response:
    _content(site).connections[0].password = "wrong"
    return _job(client, site, polls=2)


def _pending(client: BareClient, site: Site) -> str:
    client.server.state.job_queue_seconds = 3600
    return client.server.state.queue_job(_content(site)).id


def _jobs(client: BareClient, site: Site) -> requests.Response:
    state = client.server.state
    state.job_queue_seconds = 3600
    orders = _content(site)
    for started in (False, True):
        state.queue_job(orders, started=started)
    cancelled = state.queue_job(orders)
    client.send("PUT", f"sites/{site.id}/jobs/{cancelled.id}")
    return client.get("jobs")


def _sign_in(credentials: str) -> Ask:
    def ask(client: BareClient, site: Site) -> requests.Response:
        body = f'<tsRequest><credentials {credentials}><site contentUrl="acme"/></credentials></tsRequest>'
        return client.send("POST", "auth/signin", data=body)

    return ask


ANSWERS: dict[str, Ask] = {
    "server info": lambda client, _: client.send("GET", "serverinfo"),
    "sign-in": _sign_in('name="rotation.service" password="tableau-password"'),
    "sign-in refused": _sign_in('name="nobody" password="x"'),
    "current session": lambda client, _: client.send("GET", "sessions/current"),
    "data sources": lambda client, _: client.get("datasources"),
    "data sources, all fields": lambda client, _: client.get("datasources", fields="_all_"),
    "no data sources": lambda client, _: client.get("datasources", filter="name:eq:none"),
    "workbooks": lambda client, _: client.get("workbooks"),
    "flows": lambda client, _: client.get("flows"),
    "virtual connections": lambda client, _: client.get("virtualConnections"),
    "users": lambda client, _: client.get("users"),
    "projects": lambda client, _: client.get("projects"),
    "one data source": lambda client, site: client.get(_url(site)),
    "one workbook": lambda client, site: client.get(_url(site, "Dashboard")),
    "one flow": lambda client, site: client.get(_url(site, "Nightly load")),
    "one virtual connection": lambda client, site: client.get(_url(site, "Warehouse")),
    "connections of a data source": lambda client, site: client.get(f"{_url(site)}/connections"),
    "connections of a workbook": lambda client, site: client.get(f"{_url(site, 'Dashboard')}/connections"),
    "connections of a flow": lambda client, site: client.get(f"{_url(site, 'Nightly load')}/connections"),
    "connections of a virtual connection": lambda client, site: client.get(f"{_url(site, 'Warehouse')}/connections"),
    "update of a data source": lambda client, site: _update(client, site, "Orders"),
    "update of a workbook": lambda client, site: _update(client, site, "Dashboard"),
    "update of a flow": lambda client, site: _update(client, site, "Nightly load"),
    "update of a virtual connection": lambda client, site: _update(client, site, "Warehouse"),
    "update answered with all connections": _update_answered_with(UpdateAnswer.ALL),
    "update answered with nothing": _update_answered_with(UpdateAnswer.NONE),
    "update of several": _update_several,
    "refresh": lambda client, site: _job(client, site, polls=0),
    "job under way": lambda client, site: _job(client, site, polls=1),
    "job done": lambda client, site: _job(client, site, polls=2),
    "job failed": _failed_job,
    "jobs": _jobs,
    "no jobs": lambda client, _: client.get("jobs"),
    "job pending": lambda client, site: client.get(f"jobs/{_pending(client, site)}"),
    "views": lambda client, site: client.get(f"{_url(site, 'Dashboard')}/views"),
    "not found": lambda client, _: client.get("datasources/nowhere/connections"),
    "no such page": lambda client, _: client.get("datasources", pageNumber=99),
    "no such endpoint": lambda client, _: client.get("nonsense"),
}


@pytest.fixture
def filled(site: Site) -> Site:
    kinds = (oauth_connection(managed_keychain=True), key_pair_connection(), postgres_connection())
    orders = site.add_datasource("Orders", connections=[snowflake_connection(), *kinds], tags=["a"], has_extracts=True)
    orders.description = 'Orders & "returns"'
    orders.job_outcome = None
    for each in orders.connections[1:]:
        each.disturbed = False
    site.add_workbook("Dashboard", connections=[snowflake_connection(port="443"), published_link(orders)])
    site.add_flow("Nightly load", connections=[snowflake_connection(), published_link()])
    site.add_virtual_connection("Warehouse", connections=[snowflake_connection(port="443"), postgres_connection()])
    return site


@pytest.mark.parametrize("kind", list(ANSWERS))
def test_an_answer_is_known_to_tableaus_schema(client: BareClient, filled: Site, kind: str) -> None:
    response = ANSWERS[kind](client, filled)
    assert response.headers["Content-Type"].startswith("application/xml")
    assert b'xmlns="http://tableau.com/api"' in response.content
    parse_response(response.content)


def test_a_list_of_jobs_says_what_the_schema_has_for_it(client: BareClient, filled: Site) -> None:
    listed = parse_response(_jobs(client, filled).content).background_jobs
    assert listed is not None
    statuses = [job.status.value if job.status else None for job in listed.background_job]
    assert statuses == ["Pending", "InProgress", "Cancelled"]
    assert {(job.job_type, job.title, job.priority) for job in listed.background_job} == {
        ("refresh_extracts", "Orders", 50)
    }


def test_a_throttled_answer_is_known_to_tableaus_schema(client: BareClient, filled: Site) -> None:
    client.server.faults.script("list_flows", Throttle("3"))
    error = parse_response(client.get("flows").content).error
    assert error is not None
    assert error.code == 429000


def test_every_answer_about_a_believable_site_is_known_to_tableaus_schema() -> None:
    state: TableauState = build_site(data_sources=30, workbooks=20, flows=8, virtual_connections=3)
    with TableauServer(state) as server:
        client = BareClient(server)
        client.sign_in()
        for kind in ("datasources", "workbooks", "flows", "virtualConnections"):
            parse_response(client.get(kind).content)
        for content in state.site.contents:
            parse_response(client.get(f"{_url(state.site, content.id)}/connections").content)


def test_the_schema_refuses_what_it_does_not_know() -> None:
    parse_request(b'<tsRequest><connection userName="u" password="p" embedPassword="true"/></tsRequest>')
    for body in (
        b'<tsRequest><connection username="u"/></tsRequest>',
        b'<tsRequest><connection userName="u" embedPassword="True"/></tsRequest>',
        b'<tsRequest><connection serverPort=""/></tsRequest>',
        b"<tsRequest><conection/></tsRequest>",
        b"<tsResponse/>",
    ):
        with pytest.raises(ValueError, match=r"Unknown|Failed to convert|the root is"):
            parse_request(body)


def test_the_sandbox_takes_what_the_schema_takes(client: BareClient, filled: Site) -> None:
    orders = _content(filled)
    path = f"sites/{filled.id}/{_url(filled)}/connections/{orders.connections[0].id}"
    bodies = {
        b'<tsRequest><connection userName="u" password="p" embedPassword="1"/></tsRequest>': 200,
        b'<tsRequest xmlns="http://tableau.com/api"><connection userName="u"/></tsRequest>': 200,
        b'<tsRequest><connection username="u"/></tsRequest>': 400,
        b'<tsRequest><connection embedPassword="True"/></tsRequest>': 400,
        b'<tsRequest><connection serverPort=""/></tsRequest>': 400,
        b'<tsRequest><connection userName="u"><site/></connection></tsRequest>': 400,
        b'<tsRequest xmlns="urn:other"><connection userName="u"/></tsRequest>': 400,
        b"<tsRequest><connection": 400,
    }
    assert {body: client.send("PUT", path, data=body).status_code for body in bodies} == bodies
