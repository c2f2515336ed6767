"""Connections in every shape that Tableau shows, and what embedding a secret leaves behind."""

from __future__ import annotations

import unicodedata
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from credential_rotation.rotation.inventory import take_inventory
from credential_rotation.tableau.content import Connection, Content, ContentType
from credential_rotation.tableau.errors import EditRefused, NotFound, RequestRefused, TableauError
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox import tableau as sandbox
from sandbox.tableau import (
    HtmlPage,
    RawAnswer,
    Site,
    TableauCode,
    TableauServer,
    TableauState,
    UpdateAnswer,
    build_site,
    key_pair_connection,
    oauth_connection,
    postgres_connection,
    published_link,
    snowflake_connection,
)
from tests.credential_rotation.hooks.connecting import Connect
from tests.oracles import parse_request

TYPES = list(ContentType)
XML = "application/xml"

SECRETS = {
    "what XML treats specially": "\"&<>'`]]>&amp;&#65;",
    "unicode": "pä$$wörd-Ω-漢字-🔑",
    "256 characters": "0123456789abcdef" * 16,
    "two kilobytes, as a token may be": "eyJhbGciOi." * 190,
    "a tab and line breaks": "one\ttwo\nthree\rfour\r\nfive",
    "blanks at both ends": "  blanks  ",
    "nothing but blanks": "   ",
    "control characters that XML knows": "\x7f\x85\u2028",
    "not normalized": unicodedata.normalize("NFD", "é"),
    "URL-like": "%20+%2B?&=#;",
    "braces": "{{ var.value.x }} {} %s $HOME",
}


def add(site: Site, content_type: ContentType, *connections: sandbox.Connection) -> sandbox.Content:
    return {
        ContentType.DATASOURCE: site.add_datasource,
        ContentType.WORKBOOK: site.add_workbook,
        ContentType.FLOW: site.add_flow,
        ContentType.VIRTUAL_CONNECTION: site.add_virtual_connection,
    }[content_type]("It", connections=connections)


def read(connect: Connect, content_type: ContentType) -> tuple[TableauSite, Content, list[Connection]]:
    reader = TableauSite(connect())
    (content,) = reader.content(content_type)
    return reader, content, reader.connections(content)


def shown(connect: Connect, server: TableauServer, attributes: str, content_type: str = "datasource") -> Connection:
    """A connection as it is read when Tableau shows it with these attributes."""
    kind = ContentType(content_type)
    add(server.state.site, kind)
    body = f"<tsResponse><connections><connection {attributes}/></connections></tsResponse>"
    server.faults.script("query_connections", RawAnswer(200, body, XML))
    (connection,) = read(connect, kind)[2]
    return connection


@pytest.mark.parametrize("secret", list(SECRETS.values()), ids=list(SECRETS))
@pytest.mark.parametrize("content_type", TYPES)
def test_a_secret_arrives_as_it_is(
    connect: Connect, server: TableauServer, site: Site, content_type: ContentType, secret: str
) -> None:
    content = add(site, content_type, snowflake_connection("old user", "old-secret", port="443"))
    reader, found, (connection,) = read(connect, content_type)
    reader.embed(found, connection, "SVC & <Co>", secret)
    held = content.connections[0]
    assert (held.username, held.password, held.embedded) == ("SVC & <Co>", secret, True)
    (request,) = server.requests.all("update_connection")
    parse_request(request.body)


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize(
    "place",
    [
        ("acme-prod.snowflakecomputing.com", "443"),
        ("ACME-Prod.SnowflakeComputing.com.", ""),
        ("https://acme.snowflakecomputing.com:443", "8443"),
        ("", ""),
        ("", "443"),
    ],
)
def test_address_and_port_are_sent_back_as_they_were_read_and_never_empty(
    connect: Connect, server: TableauServer, site: Site, content_type: ContentType, place: tuple[str, str]
) -> None:
    address, port = place
    content = add(site, content_type, snowflake_connection(address=address, port=port))
    reader, found, (connection,) = read(connect, content_type)
    reader.embed(found, connection, "SVC", "new-secret")
    held = content.connections[0]
    assert (held.server_address, held.server_port) == (address, port)
    expected = {"serverAddress": address, "serverPort": port, "userName": "SVC", "password": "new-secret"}
    if content_type is not ContentType.VIRTUAL_CONNECTION:
        expected["embedPassword"] = "true"
    (request,) = server.requests.all("update_connection")
    (sent,) = ET.fromstring(request.body)  # noqa: S314 (what we sent ourselves)
    assert sent.attrib == {name: value for name, value in expected.items() if value}


def test_neither_authentication_type_nor_query_tagging_is_ever_sent(
    connect: Connect, server: TableauServer, site: Site
) -> None:
    content = add(site, ContentType.DATASOURCE, snowflake_connection(authentication_type="username-password"))
    reader, found, (connection,) = read(connect, ContentType.DATASOURCE)
    assert connection.authentication_type == "username-password"
    reader.embed(found, connection, "SVC", "new-secret")
    assert content.connections[0].writes[0].keys() == {"serverAddress", "userName", "password", "embedPassword"}


def test_only_the_one_connection_is_changed(connect: Connect, site: Site) -> None:
    others = [postgres_connection(), snowflake_connection("OTHER", "other-secret"), oauth_connection()]
    add(site, ContentType.WORKBOOK, snowflake_connection(), *others)
    reader, found, connections = read(connect, ContentType.WORKBOOK)
    reader.embed(found, connections[0], "SVC", "new-secret")
    assert [each.writes for each in others] == [[], [], []]
    assert [each.password for each in others] == ["pg-secret", "other-secret", None]


def test_a_connection_that_does_not_say_that_it_embeds_stays_embedded(connect: Connect, site: Site) -> None:
    add(site, ContentType.FLOW, snowflake_connection(omits=["embedPassword"]))
    reader, found, (connection,) = read(connect, ContentType.FLOW)
    assert connection.embed_password is None
    reader.embed(found, connection, "SVC", "new-secret")
    assert site.contents[0].connections[0].embedded


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("answer", list(UpdateAnswer))
def test_whatever_the_answer_to_an_update_shows_it_is_an_answer(
    connect: Connect, site: Site, content_type: ContentType, answer: UpdateAnswer
) -> None:
    content = add(site, content_type, snowflake_connection(), postgres_connection())
    content.update_answer = answer
    reader, found, connections = read(connect, content_type)
    reader.embed(found, connections[0], "SVC", "new-secret")
    assert content.connections[0].password == "new-secret"


def test_a_link_that_is_not_editable_is_refused_for_good(connect: Connect, site: Site) -> None:
    add(site, ContentType.WORKBOOK, published_link())
    reader, found, (link,) = read(connect, ContentType.WORKBOOK)
    with pytest.raises(EditRefused, match="not editable"):
        reader.embed(found, link, "SVC", "new-secret")


# Virtual connections


def modified(server: TableauServer) -> list[bool]:
    return [request.path.endswith("/modify") for request in server.requests.all("update_connection")]


def test_a_virtual_connection_is_modified(connect: Connect, server: TableauServer, site: Site) -> None:
    content = add(site, ContentType.VIRTUAL_CONNECTION, snowflake_connection())
    reader, found, (connection,) = read(connect, ContentType.VIRTUAL_CONNECTION)
    reader.embed(found, connection, "SVC", "new-secret")
    assert modified(server) == [True]
    assert content.connections[0].password == "new-secret"


@pytest.mark.parametrize("answer", [TableauCode("404000"), TableauCode("404003"), TableauCode("405000"), HtmlPage(405)])
def test_where_there_is_no_modify_it_goes_without(
    connect: Connect, server: TableauServer, site: Site, answer: sandbox.Fault
) -> None:
    content = add(site, ContentType.VIRTUAL_CONNECTION, snowflake_connection())
    reader, found, (connection,) = read(connect, ContentType.VIRTUAL_CONNECTION)
    server.faults.script("update_connection", answer)
    reader.embed(found, connection, "SVC", "new-secret")
    assert modified(server) == [True, False]
    assert content.connections[0].password == "new-secret"


def test_a_virtual_connection_that_is_gone_is_gone(connect: Connect, server: TableauServer, site: Site) -> None:
    content = add(site, ContentType.VIRTUAL_CONNECTION, snowflake_connection())
    reader, found, (connection,) = read(connect, ContentType.VIRTUAL_CONNECTION)
    site.remove(content)
    with pytest.raises(NotFound):
        reader.embed(found, connection, "SVC", "new-secret")
    assert modified(server) == [True, False]


def test_another_refusal_of_a_virtual_connection_is_final(connect: Connect, server: TableauServer, site: Site) -> None:
    add(site, ContentType.VIRTUAL_CONNECTION, snowflake_connection())
    reader, found, (connection,) = read(connect, ContentType.VIRTUAL_CONNECTION)
    server.faults.script("update_connection", TableauCode("400000", "bad"), times=9)
    with pytest.raises(RequestRefused):
        reader.embed(found, connection, "SVC", "new-secret")
    assert modified(server) == [True]


@pytest.mark.parametrize("shape", ["connectionId", "id"])
def test_virtual_connections_come_in_two_shapes(connect: Connect, state: TableauState, shape: str) -> None:
    state.virtual_connection_shape = shape
    content = add(state.site, ContentType.VIRTUAL_CONNECTION, snowflake_connection("SVC", port="443"))
    _, _, (connection,) = read(connect, ContentType.VIRTUAL_CONNECTION)
    assert connection == Connection(
        id=content.connections[0].id,
        type="snowflake",
        server_address="acme-prod.snowflakecomputing.com",
        server_port="443",
        username="SVC",
        embed_password=None,
    )


# What is read


def test_only_the_id_can_be_relied_on(connect: Connect, server: TableauServer) -> None:
    assert shown(connect, server, 'id="1"') == Connection(id="1")


def test_a_connection_without_an_id_is_no_answer(connect: Connect, server: TableauServer) -> None:
    with pytest.raises(TableauError, match="holds a <connection> without an id"):
        shown(connect, server, 'type="snowflake"')


@pytest.mark.parametrize(
    ("text", "meant"),
    [("true", True), ("True", True), ("1", True), ("false", False), ("FALSE", False), ("0", False), ("", None)],
)
def test_a_boolean_is_read_however_it_is_spelled(
    connect: Connect, server: TableauServer, text: str, meant: bool | None
) -> None:
    assert shown(connect, server, f'id="1" embedPassword="{text}"').embed_password is meant


def test_a_boolean_that_says_nothing_is_unknown(connect: Connect, server: TableauServer) -> None:
    assert shown(connect, server, 'id="1" embedPassword="perhaps"').embed_password is None


def test_a_data_sources_connection_as_published_by_tableau(connect: Connect, server: TableauServer) -> None:
    # The shape of server-client-python's datasource_populate_connections.xml.
    attributes = (
        'id="be786ae0-d2bf-4a4b-9b34-e2de8d2d4488" type="textscan" serverAddress="forty-two.net" serverPort="" '
        'userName="duo" embedPassword="true" queryTaggingEnabled="false" authenticationType="auth-keypair"'
    )
    assert shown(connect, server, attributes) == Connection(
        id="be786ae0-d2bf-4a4b-9b34-e2de8d2d4488",
        type="textscan",
        server_address="forty-two.net",
        username="duo",
        embed_password=True,
        authentication_type="auth-keypair",
    )


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (oauth_connection(), {"authentication_type": "oauth", "oauth_keychain": False}),
        (
            oauth_connection(authentication_type=None, managed_keychain=True),
            {"authentication_type": "", "oauth_keychain": True},
        ),
        (key_pair_connection(), {"authentication_type": "auth-keypair"}),
        (published_link(), {"type": "sqlproxy", "server_address": "localhost", "embed_password": None}),
        (snowflake_connection(embedded=False), {"embed_password": False}),
        (snowflake_connection(type="hyper"), {"type": "hyper", "server_address": "acme-prod.snowflakecomputing.com"}),
        (snowflake_connection(omits=["userName", "serverAddress"]), {"username": "", "server_address": ""}),
    ],
)
@pytest.mark.parametrize("content_type", [ContentType.DATASOURCE, ContentType.WORKBOOK, ContentType.FLOW])
def test_each_kind_of_connection_shows_what_it_is(
    connect: Connect, site: Site, content_type: ContentType, made: sandbox.Connection, expected: dict[str, Any]
) -> None:
    add(site, content_type, made)
    _, _, (connection,) = read(connect, content_type)
    assert {name: getattr(connection, name) for name in expected} == expected


def test_an_items_place_owner_and_tags_are_read(connect: Connect, site: Site) -> None:
    made = site.add_workbook("Q&A <1>", project="Sales & Co", owner="Ann", tags=["a", "b c"])
    reader = TableauSite(connect())
    (content,) = reader.content(ContentType.WORKBOOK)
    assert (content.name, content.project, content.tags) == ("Q&A <1>", "Sales & Co", ("a", "b c"))
    assert (content.owner_id, content.owner) == (made.owner.id, "")
    assert reader.user_names()[content.owner_id] == "Ann"


def test_an_item_may_say_no_more_than_its_id(connect: Connect, server: TableauServer) -> None:
    body = '<tsResponse><pagination totalAvailable="1"/><datasources><datasource id="1"/></datasources></tsResponse>'
    server.faults.script("list_datasources", RawAnswer(200, body, XML))
    assert TableauSite(connect()).content(ContentType.DATASOURCE) == [Content(ContentType.DATASOURCE, "1", "")]


def test_all_of_a_believable_site_is_read_and_updated_with_requests_that_the_schema_knows(
    connect: Connect, server: TableauServer
) -> None:
    state = build_site(data_sources=24, workbooks=16, flows=6, virtual_connections=3)
    server.state.sites[:] = state.sites
    hook = connect("pat", run="a run")
    reader = TableauSite(hook)
    inventory = take_inventory(reader, TYPES, 4)
    read_connections = {each.id: (item.content, each) for item in inventory.items for each in item.connections}
    truth = {each.id: (content.id, each.username) for content, each in state.site.connections()}
    assert {key: (content.id, each.username) for key, (content, each) in read_connections.items()} == truth
    assert {item.content.owner for item in inventory.items} <= {user.name for user in state.site.users}
    targets = state.expected_targets()
    for target in targets:
        reader.embed(*read_connections[target.connection_id], "SVC", f"new secret of {target.connection_id}")
    for _, connection in state.site.connections():
        if connection.target_of:
            assert connection.password == f"new secret of {connection.id}"
        else:
            assert connection.writes == []
    assert hook.sign_out()
    bodies = [request.body for request in server.requests if request.body]
    assert len(bodies) == len(targets) + 1
    for body in bodies:
        parse_request(body)
    assert all(request.status in (200, 204) and not request.unknown_query for request in server.requests)
