"""Each fault does what it says, once, and is seen to have been consumed."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sandbox.tableau import (
    Content,
    EmptyBody,
    HalfBody,
    HtmlPage,
    OtherFormat,
    Pass,
    RawAnswer,
    Redirect,
    ResetAfter,
    ResetBefore,
    ServerError,
    SessionLost,
    Silence,
    Site,
    Slow,
    TableauCode,
    TableauServer,
    TableauState,
    Throttle,
    snowflake_connection,
)
from sandbox.tableau.faults import LANGUAGE, Fault, fault_as_json, fault_from_json
from tests.sandbox.bare_client import JSON, BareClient, error_code

EMBED = 'userName="SVC" password="new-secret" embedPassword="true"'


@pytest.fixture
def orders(site: Site) -> Content:
    return site.add_datasource("Orders", connections=[snowflake_connection()])


def _update(client: BareClient, content: Content) -> requests.Response:
    return client.put(f"datasources/{content.id}/connections/{content.connections[0].id}", EMBED)


def _writes(content: Content) -> int:
    return len(content.connections[0].writes)


def test_faults_are_met_in_order_and_then_all_is_well(
    client: BareClient, server: TableauServer, orders: Content
) -> None:
    server.faults.script("update_connection", [Throttle("2"), ServerError(502), HtmlPage()])
    responses = [_update(client, orders) for _ in range(4)]
    assert [response.status_code for response in responses] == [429, 502, 503, 200]
    assert responses[0].headers["Retry-After"] == "2"
    assert responses[2].headers["Content-Type"].startswith("text/html")
    assert _writes(orders) == 1
    assert server.faults.left() == 0
    assert [each.fault.word for each in server.faults.consumed] == ["throttle", "server_error", "html"]
    assert [entry.fault for entry in server.requests.all("update_connection")] == [
        "throttle",
        "server_error",
        "html",
        None,
    ]


def test_a_fault_may_be_for_one_connection_only(client: BareClient, server: TableauServer, site: Site) -> None:
    one, other = (site.add_datasource(name, connections=[snowflake_connection()]) for name in ("One", "Other"))
    server.faults.script("update_connection", TableauCode("400033"), {"content_id": other.id}, times=2)
    assert _update(client, one).status_code == 200
    assert [error_code(_update(client, other)) for _ in range(2)] == ["400033", "400033"]
    assert _update(client, other).status_code == 200
    assert server.faults.consumed[0].parameters["connection_id"] == other.connections[0].id


def test_the_third_one_fails(client: BareClient, server: TableauServer) -> None:
    server.faults.script("list_flows", [Pass(), Pass(), ServerError()])
    assert [client.get("flows").status_code for _ in range(4)] == [200, 200, 500, 200]


def test_throttling_comes_with_seconds_a_date_or_nothing(client: BareClient, server: TableauServer) -> None:
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    server.faults.script("*", [Throttle("7"), Throttle(date), Throttle(None)])
    responses = [client.get("flows") for _ in range(3)]
    assert [response.headers.get("Retry-After") for response in responses] == ["7", date, None]
    assert error_code(responses[0]) == "429000"


def test_a_reset_before_has_no_effect_and_one_after_has(
    client: BareClient, server: TableauServer, orders: Content
) -> None:
    server.faults.script("update_connection", [ResetBefore(), ResetAfter()])
    for effect in (0, 1):
        with pytest.raises(requests.ConnectionError):
            _update(client, orders)
        assert _writes(orders) == effect
    assert [entry.status for entry in server.requests.all("update_connection")] == [None, None]


def test_half_a_body_is_noticed_by_a_careful_client(client: BareClient, server: TableauServer, orders: Content) -> None:
    server.faults.script("update_connection", HalfBody())
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _update(client, orders)
    assert _writes(orders) == 1


def test_an_empty_body_is_a_200_with_nothing(client: BareClient, server: TableauServer, orders: Content) -> None:
    server.faults.script("update_connection", EmptyBody())
    response = _update(client, orders)
    assert (response.status_code, response.content, _writes(orders)) == (200, b"", 1)


def test_silence_ends_in_an_answer_or_in_a_closed_connection(
    client: BareClient, server: TableauServer, orders: Content
) -> None:
    server.faults.script("update_connection", [Silence(0.2), Silence(0.1, then="close")])
    started = time.monotonic()
    assert _update(client, orders).status_code == 200
    assert time.monotonic() - started >= 0.2
    with pytest.raises(requests.ConnectionError):
        _update(client, orders)
    assert _writes(orders) == 1


def test_a_redirect_leads_elsewhere(client: BareClient, server: TableauServer, orders: Content) -> None:
    server.faults.script("update_connection", Redirect("https://attacker.example/x", 307))
    response = _update(client, orders)
    assert (response.status_code, response.headers["Location"]) == (307, "https://attacker.example/x")
    assert _writes(orders) == 0


def test_the_other_format_comes(client: BareClient, server: TableauServer) -> None:
    server.faults.script("list_flows", [OtherFormat(), OtherFormat()])
    assert client.get("flows").headers["Content-Type"].startswith("application/json")
    path = f"sites/{server.state.site.id}/flows"
    assert client.send("GET", path, headers=JSON).text.startswith("<?xml")


def test_a_lost_session_is_401002_and_stays_lost(client: BareClient, server: TableauServer, orders: Content) -> None:
    server.faults.script("update_connection", SessionLost())
    assert error_code(_update(client, orders)) == "401002"
    assert error_code(client.get("flows")) == "401002"
    client.sign_in()
    assert _update(client, orders).status_code == 200


def test_any_answer_at_all_can_be_given(client: BareClient, server: TableauServer) -> None:
    server.faults.script("list_flows", RawAnswer(200, "<tsResponse/>", "application/xml"))
    assert client.get("flows").text == "<tsResponse/>"


def test_an_unknown_operation_is_a_mistake_in_the_test(server: TableauServer) -> None:
    with pytest.raises(ValueError, match="unknown operation 'update_conection'"):
        server.faults.script("update_conection", Throttle())


@pytest.mark.parametrize("kind", list(LANGUAGE.values()), ids=list(LANGUAGE))
def test_every_fault_has_a_word_in_the_control_planes_language(kind: type[Fault]) -> None:
    said = fault_as_json(kind())
    assert said["fault"] == kind.word
    assert fault_from_json(said) == kind()


def test_a_fault_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault 'explode'"):
        fault_from_json({"fault": "explode"})
    with pytest.raises(ValueError, match="throttle"):
        fault_from_json({"fault": "throttle", "after": 3})


def test_above_the_rate_limit_it_is_429(client: BareClient, state: TableauState) -> None:
    state.latency.rate_limit = 5
    statuses = [client.get("flows").status_code for _ in range(8)]
    assert statuses.count(429) >= 3
    assert statuses[0] == 200


def test_reads_and_writes_can_be_slow(client: BareClient, state: TableauState, orders: Content) -> None:
    state.latency.write_seconds = 0.15
    started = time.monotonic()
    client.get("flows")
    assert time.monotonic() - started < 0.1
    _update(client, orders)
    assert time.monotonic() - started >= 0.15


def test_requests_in_flight_are_counted_and_wait_for_nobody(client: BareClient, server: TableauServer) -> None:
    server.faults.script("list_flows", Slow(0.2), times=8)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: client.get("flows").status_code, range(8)))
    assert statuses == [200] * 8
    assert time.monotonic() - started < 1
    assert server.requests.most_in_flight == 8


def test_a_server_can_go_down_and_come_back_on_its_port(client: BareClient, server: TableauServer) -> None:
    port = server.port
    server.stop()
    with pytest.raises(requests.ConnectionError):
        client.get("flows")
    server.start()
    assert server.port == port
    assert client.get("flows").status_code == 200


def test_going_down_cuts_a_silence_short(client: BareClient, server: TableauServer) -> None:
    server.faults.script("list_flows", Silence(60))
    ended = threading.Event()

    def ask() -> None:
        with pytest.raises(requests.RequestException):
            client.get("flows")
        ended.set()

    threading.Thread(target=ask, daemon=True).start()
    while not server.faults.consumed:
        time.sleep(0.01)
    server.stop()
    assert ended.wait(5)
