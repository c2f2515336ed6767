"""Updates: what sticks, what does not, and what is refused."""

from __future__ import annotations

import pytest

from sandbox.tableau import (
    Connection,
    Content,
    Site,
    TableauState,
    key_pair_connection,
    oauth_connection,
    other_sign_in_connection,
    postgres_connection,
    published_link,
    snowflake_connection,
)
from tests.sandbox.bare_client import JSON, BareClient, error_code

EMBED = 'userName="SVC" password="new-secret" embedPassword="true"'


def _path(content: Content, connection: Connection) -> str:
    return f"datasources/{content.id}/connections/{connection.id}"


def _held(connection: Connection) -> tuple[str, str | None, bool]:
    return connection.username, connection.password, connection.embedded


@pytest.fixture
def orders(site: Site) -> Content:
    return site.add_datasource("Orders", connections=[snowflake_connection(port="443"), postgres_connection()])


def test_an_update_changes_one_connection_and_nothing_else(client: BareClient, orders: Content) -> None:
    snowflake, postgres = orders.connections
    before = orders.updated_at
    response = client.put(_path(orders, snowflake), EMBED)
    assert response.status_code == 200
    assert _held(snowflake) == ("SVC", "new-secret", True)
    assert (snowflake.server_address, snowflake.server_port) == ("acme-prod.snowflakecomputing.com", "443")
    assert _held(postgres) == ("reporting", "pg-secret", True)
    assert orders.updated_at > before
    assert snowflake.writes == [{"userName": "SVC", "password": "new-secret", "embedPassword": "true"}]


def test_the_answer_says_less_than_one_would_like(client: BareClient, orders: Content) -> None:
    response = client.put(_path(orders, orders.connections[0]), EMBED)
    assert b'userName="SVC"' in response.content
    assert b"embedPassword" not in response.content
    assert b"secret" not in response.content


@pytest.mark.parametrize("flag", [True, "true"], ids=["a boolean", "a string"])
def test_json_updates_work_with(client: BareClient, orders: Content, flag: bool | str) -> None:
    connection = orders.connections[0]
    body = {"connection": {"userName": "SVC", "password": "new-secret", "embedPassword": flag}}
    path = f"sites/{client.server.state.site.id}/{_path(orders, connection)}"
    response = client.send("PUT", path, json=body, headers=JSON)
    assert response.json()["connection"]["userName"] == "SVC"
    assert _held(connection) == ("SVC", "new-secret", True)


@pytest.mark.parametrize(
    ("attributes", "held"),
    [
        pytest.param('userName="SVC"', ("SVC", "old-secret", True), id="an absent password stays"),
        pytest.param('password="new"', ("ETL_USER", "new", True), id="where one is embedded a password sticks"),
        pytest.param('password="" embedPassword="true"', ("ETL_USER", "", True), id="an empty password blanks"),
        pytest.param('password="new" embedPassword="false"', ("ETL_USER", None, False), id="false un-embeds"),
    ],
)
def test_what_an_update_leaves_out_or_says(
    client: BareClient, orders: Content, attributes: str, held: tuple[str, str | None, bool]
) -> None:
    assert client.put(_path(orders, orders.connections[0]), attributes).status_code == 200
    assert _held(orders.connections[0]) == held


def test_a_password_does_not_stick_where_none_is_embedded(client: BareClient, site: Site) -> None:
    content = site.add_datasource(connections=[snowflake_connection(embedded=False)])
    (connection,) = content.connections
    assert client.put(_path(content, connection), 'userName="SVC" password="new"').status_code == 200
    assert _held(connection) == ("SVC", None, False)
    client.put(_path(content, connection), EMBED)
    assert _held(connection) == ("SVC", "new-secret", True)


def test_a_link_to_a_published_data_source_is_not_editable(client: BareClient, site: Site) -> None:
    workbook = site.add_workbook(connections=[published_link()])
    response = client.put(f"workbooks/{workbook.id}/connections/{workbook.connections[0].id}", EMBED)
    assert error_code(response) == "400039"
    assert "not editable (errorCode=60004)" in response.text
    assert workbook.connections[0].writes == []


def test_an_authentication_type_is_refused(client: BareClient, orders: Content) -> None:
    response = client.put(_path(orders, orders.connections[0]), EMBED + ' authenticationType="username-password"')
    assert error_code(response) == "400039"
    assert "Authentication update is not allowed" in response.text
    assert _held(orders.connections[0]) == ("ETL_USER", "old-secret", True)


@pytest.mark.parametrize("make", [oauth_connection, key_pair_connection, other_sign_in_connection])
def test_what_signs_in_without_a_password_takes_an_update_and_stops_working(
    client: BareClient, site: Site, make: type[Connection]
) -> None:
    content = site.add_datasource(connections=[make()])
    assert client.put(_path(content, content.connections[0]), EMBED).status_code == 200
    assert content.connections[0].disturbed
    assert content.connections[0].password is None


@pytest.mark.parametrize("tail", ["", "/modify"])
@pytest.mark.parametrize("spelling", ["virtualConnections", "virtualconnections"])
def test_virtual_connections_are_updated_by_either_url(
    client: BareClient, site: Site, tail: str, spelling: str
) -> None:
    content = site.add_virtual_connection(connections=[snowflake_connection()])
    path = f"{spelling}/{content.id}/connections/{content.connections[0].id}{tail}"
    assert client.put(path, 'userName="SVC" password="new-secret"').status_code == 200
    assert _held(content.connections[0]) == ("SVC", "new-secret", True)
    assert error_code(client.put(path, EMBED)) == "400000"  # they know no embedPassword


def test_several_connections_at_once_came_with_3_26(client: BareClient, orders: Content, site: Site) -> None:
    luids = "".join(f"<connectionLUID>{each.id}</connectionLUID>" for each in orders.connections)
    body = f'<tsRequest><connectionLUIDs>{luids}</connectionLUIDs><connection password="new"/></tsRequest>'
    path = f"sites/{site.id}/datasources/{orders.id}/connections"
    client.version = "3.25"
    assert error_code(client.send("PUT", path, data=body)) == "404003"
    client.version = "3.26"
    assert client.send("PUT", path, data=body).status_code == 200
    assert [each.password for each in orders.connections] == ["new", "new"]


def test_what_was_deleted_meanwhile_is_404(client: BareClient, site: Site, orders: Content) -> None:
    connection = orders.connections[0]
    orders.connections.remove(connection)
    assert client.put(_path(orders, connection), EMBED).status_code == 404
    site.remove(orders)
    assert client.put(_path(orders, connection), EMBED).status_code == 404
    assert client.get(f"datasources/{orders.id}/connections").status_code == 404


def test_content_of_another_type_is_404(client: BareClient, orders: Content) -> None:
    assert client.get(f"workbooks/{orders.id}/connections").status_code == 404


def test_who_may_not_may_not(client: BareClient, site: Site, state: TableauState, orders: Content) -> None:
    state.add_sign_in(site, "Bob", "pw")
    own = site.add_datasource("Bob's", owner="Bob", connections=[snowflake_connection()])
    client.sign_in({"name": "Bob", "password": "pw"})
    assert client.put(_path(own, own.connections[0]), EMBED).status_code == 200
    assert error_code(client.put(_path(orders, orders.connections[0]), EMBED)) == "403004"
    assert client.get(f"datasources/{orders.id}/connections").status_code == 200
    orders.denied_to.add("Bob")
    assert error_code(client.get(f"datasources/{orders.id}/connections")) == "403004"
    assert orders.connections[0].writes == []


def test_republishing_brings_back_what_the_author_typed(client: BareClient, site: Site, orders: Content) -> None:
    client.put(_path(orders, orders.connections[0]), EMBED)
    moment = orders.updated_at
    site.republish(orders, password="authors-own")
    assert _held(orders.connections[0]) == ("SVC", "authors-own", True)
    assert orders.updated_at > moment


def test_republishing_may_give_the_connections_new_ids(client: BareClient, site: Site, orders: Content) -> None:
    old = [each.id for each in orders.connections]
    site.republish(orders, password="authors-own", new_ids=True)
    new = [each.id for each in orders.connections]
    assert len({*old, *new}) == 2 * len(old)
    gone = client.put(f"datasources/{orders.id}/connections/{old[0]}", EMBED)
    assert (gone.status_code, error_code(gone)) == (404, "404026")
    assert client.put(_path(orders, orders.connections[0]), EMBED).ok


def test_a_person_changes_one_password_by_hand(site: Site, orders: Content) -> None:
    moment, connection = orders.updated_at, orders.connections[0]
    neighbours = [_held(each) for each in orders.connections[1:]]
    site.edit_by_hand(orders, connection, password="typed", username="TYPED_USER")
    assert _held(connection) == ("TYPED_USER", "typed", True)
    assert connection.writes == []
    assert orders.updated_at > moment
    assert [_held(each) for each in orders.connections[1:]] == neighbours
    site.edit_by_hand(orders, connection, password="typed-again")
    assert _held(connection) == ("TYPED_USER", "typed-again", True)


def test_an_oauth_connection_has_no_password_to_change_by_hand(site: Site) -> None:
    content = site.add_datasource(connections=[oauth_connection()])
    with pytest.raises(ValueError, match="no password to change"):
        site.edit_by_hand(content, content.connections[0], password="typed")
