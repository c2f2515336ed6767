"""What leaves this machine besides the request itself: nothing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from credential_rotation.rotation.inventory import take_inventory
from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.listener import Listener
from sandbox.tableau import Fault, Site, TableauServer, snowflake_connection
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import Exchange
from tests.credential_rotation.hooks.connecting import Connect

ORDINARY = {"host", "user-agent", "accept", "accept-encoding", "connection", "content-type", "content-length"}


@dataclass(frozen=True)
class SetsCookie(Fault):
    """Answers, and wants a cookie kept."""

    word: ClassVar[str] = "cookie"

    def play(self, exchange: Exchange) -> Answer:
        return dataclasses.replace(exchange.answer(), headers={"Set-Cookie": "workgroup_session_id=1; Path=/"})


def headers_sent(server: TableauServer) -> set[str]:
    return {name for request in server.requests for name in request.headers}


def test_nothing_of_the_extra_becomes_a_header(connect: Connect, server: TableauServer) -> None:
    connect(token="a-secret", Authorization="Bearer a-secret", srv_lookup="true", headers={"X-Own": "1"}).call(
        "GET", "flows"
    )
    assert headers_sent(server) == ORDINARY | {"x-tableau-auth"}


def test_the_session_token_is_sent_when_signed_in_and_not_before(connect: Connect, server: TableauServer) -> None:
    connect().call("GET", "flows")
    with_token = [request.operation for request in server.requests if request.session]
    assert with_token == ["list_flows"]


def test_login_and_password_are_not_sent_as_basic_auth(connect: Connect, server: TableauServer) -> None:
    hook = connect()
    hook.call("GET", "flows")
    hook.run("flows")
    assert "authorization" not in headers_sent(server)
    prepared = hook.get_conn().prepare_request(requests.Request("GET", server.url))
    assert "Authorization" not in prepared.headers


def test_no_password_is_taken_out_of_a_netrc(
    connect: Connect, server: TableauServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\ndefault login any password body\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.utils.get_netrc_auth(server.url) == ("somebody", "else")
    connect().call("GET", "flows")
    assert "authorization" not in headers_sent(server)


def test_cookies_are_not_kept(connect: Connect, server: TableauServer) -> None:
    server.faults.script("*", SetsCookie(), times=4)
    hook = connect()
    for _ in range(3):
        hook.call("GET", "flows")
    assert len(server.faults.consumed) == 4
    assert "cookie" not in headers_sent(server)


def test_xml_is_asked_for_and_said(connect: Connect, server: TableauServer) -> None:
    connect().call("GET", "flows")
    assert {request.headers["accept"] for request in server.requests} == {"application/xml"}
    assert server.requests.all("sign_in")[0].headers["content-type"] == "application/xml"


def test_the_parents_way_in_is_as_safe(connect: Connect, server: TableauServer) -> None:
    hook = connect()
    root = hook.run("datasources")
    assert root is not None
    assert root.tag == "tsResponse"
    for wrong in ({"headers": {"X": "1"}}, {"extra_options": {"verify": False}}, {"data": {"a": 1}}, {"json": {}}):
        with pytest.raises(TypeError, match="use call"):
            hook.run("datasources", **wrong)  # type: ignore[arg-type]
    assert headers_sent(server) == ORDINARY | {"x-tableau-auth"}


def test_every_request_has_a_timeout(
    connect: Connect, server: TableauServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[Any] = []
    send = requests.adapters.HTTPAdapter.send

    def note(self: Any, request: Any, **options: Any) -> requests.Response:
        timeouts.append(options["timeout"])
        return send(self, request, **options)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", note)
    orders = site.add_datasource(connections=[snowflake_connection()])
    hook = connect(timeout=2.5, run="a run")
    (item,) = take_inventory(TableauSite(hook), [ContentType.DATASOURCE], 2).items
    TableauSite(hook).embed(item.content, item.connections[0], "SVC", "new-secret")
    hook.sign_out()
    assert orders.connections[0].password == "new-secret"
    assert len(timeouts) == len(server.requests)
    assert set(timeouts) == {(10.0, 2.5)}


def test_a_connection_is_kept_alive_and_there_are_no_more_than_threads(
    connect: Connect, server: TableauServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    process_request = Listener.process_request

    def note(self: Listener, request: Any, client_address: Any) -> None:
        opened.append(client_address)
        process_request(self, request, client_address)

    monkeypatch.setattr(Listener, "process_request", note)
    hook = connect(in_flight=6)
    for _ in range(10):
        hook.call("GET", "flows")
    assert len(opened) == 1
    for number in range(60):
        site.add_datasource(f"Item {number}", connections=[snowflake_connection()])
    inventory = take_inventory(TableauSite(hook), list(ContentType), 6)
    assert len(inventory.items) == 60
    assert len(opened) <= 6
    assert server.requests.most_in_flight <= 6


def test_requests_are_counted(connect: Connect, server: TableauServer) -> None:
    hook = connect()
    hook.call("GET", "flows")
    assert hook.traffic.counts() == {"requests": 3, "sign_ins": 1, "throttled": 0}
    assert len(server.requests) == 3
