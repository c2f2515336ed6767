"""Endpoints that show and change connections: the heart of the matter."""

from __future__ import annotations

import uuid

from sandbox.tableau import bodies
from sandbox.tableau.answers import Answer, Element, Value, listing
from sandbox.tableau.call import Call
from sandbox.tableau.connections import Auth, Connection
from sandbox.tableau.content import Content, ContentType, UpdateAnswer
from sandbox.tableau.errors import TableauError, bad_request, not_found
from sandbox.tableau.paging import page


def query_connections(call: Call) -> Answer:
    """The connections of a data source, workbook or flow."""
    content = call.content()
    shown = [_connection_element(content, each, admin=call.live.user.is_admin) for each in content.connections]
    return Answer(elements=[listing("connections", shown)])


def query_virtual_connections(call: Call) -> Answer:
    """The connections of a virtual connection: paged, with attribute names of their own."""
    pagination, shown = page(call.content().connections, call.query)
    elements = [_virtual_element(each, call.state.virtual_connection_shape) for each in shown]
    return Answer(elements=[pagination, listing("virtualConnectionConnections", elements)])


def update_connection(call: Call) -> Answer:
    """Change one connection of a data source, workbook or flow."""
    body = call.read_body(bodies.UPDATE_BODY).child("connection")
    if body is None:
        raise bad_request("Payload is not valid: 'connection' is missing.")
    content = call.writable_content()
    connection = call.connection(content)
    _refuse_what_cannot_change(content, connection, body.attributes)
    _apply(connection, body.attributes)
    content.updated_at = call.state.clock.now()
    return Answer(elements=_update_answer(content, connection, admin=call.live.user.is_admin))


def update_connections(call: Call) -> Answer:
    """Change several connections of one item at once (TSC: 3.26)."""
    request = call.read_body(bodies.BULK_UPDATE_BODY)
    luids, body = request.child("connectionLUIDs"), request.child("connection")
    if luids is None or body is None:
        raise bad_request("Payload is not valid: 'connectionLUIDs' or 'connection' is missing.")
    content = call.writable_content()
    connections: list[Connection] = []
    for child in luids.children:
        connection = content.connection(child.text.strip())
        if connection is None:
            raise not_found("connection", child.text.strip())
        _refuse_what_cannot_change(content, connection, body.attributes)
        connections.append(connection)
    for connection in connections:
        _apply(connection, body.attributes)
    content.updated_at = call.state.clock.now()
    elements = [_connection_element(content, each, admin=call.live.user.is_admin) for each in connections]
    return Answer(elements=[listing("connections", elements)])


def update_virtual_connection(call: Call) -> Answer:
    """Change one connection of a virtual connection; it has no embedPassword, what is sent is embedded."""
    body = call.read_body(bodies.VIRTUAL_UPDATE_BODY).child("connection")
    if body is None:
        raise bad_request("Payload is not valid: 'connection' is missing.")
    content = call.writable_content()
    connection = call.connection(content)
    _apply(connection, body.attributes | {"embedPassword": "true"})
    content.updated_at = call.state.clock.now()
    answer = Element(
        "connection",
        {
            "id": connection.id,
            "serverAddress": connection.server_address,
            "serverPort": connection.server_port or None,
            "userName": connection.username,
        },
    )
    return Answer(elements=[answer])


def _refuse_what_cannot_change(content: Content, connection: Connection, said: dict[str, str]) -> None:
    problem = (
        f"There was a problem updating connection '{connection.id}' for {content.content_type.value} '{content.name}'. "
    )
    if connection.auth is Auth.PUBLISHED:  # TSC #703
        raise TableauError("400039", problem + "The connection is not editable (errorCode=60004).")
    if "authenticationType" in said:  # KB 005321816: Cloud, since its release of May 2026
        raise TableauError(
            "400039",
            problem + "Authentication update is not allowed. Enable the UpdateConnectionAuthMigration feature.",
        )


def _apply(connection: Connection, said: dict[str, str]) -> None:
    """Let the update have its effect: what is absent stays, and what is empty becomes empty."""
    port = said.get("serverPort")
    if port is not None and not port.isdigit():
        raise bad_request(f"Payload is not valid: serverPort '{port}' is not a whole number.")
    embed = bodies.boolean(said["embedPassword"]) if "embedPassword" in said else None
    if "queryTaggingEnabled" in said:
        bodies.boolean(said["queryTaggingEnabled"])  # always on for Snowflake: nothing changes (TSC)
    connection.writes.append(dict(said))
    if said.get("serverAddress") is not None:
        connection.server_address = said["serverAddress"]
    if port is not None:
        connection.server_port = port
    if "userName" in said:
        connection.username = said["userName"]
    if connection.auth.has_a_credential_of_its_own:
        # accepted, and it still does not sign in with a password: it stops signing in at all (TSC #882, #913)
        connection.disturbed = connection.disturbed or "password" in said or "userName" in said
        return
    if embed is False:
        connection.embedded, connection.password = False, None
    elif embed or connection.embedded:  # without embedPassword, a password sticks only where one is embedded (TSC #453)
        connection.embedded = True
        connection.password = said.get("password", connection.password)


def _update_answer(content: Content, updated: Connection, *, admin: bool) -> list[Element]:
    if content.update_answer is UpdateAnswer.NONE:
        return []
    if content.update_answer is UpdateAnswer.ALL:
        elements = [_connection_element(content, each, admin=admin) for each in content.connections]
        return [listing("connections", elements)]
    element = _connection_element(content, updated, admin=admin)
    sparse = {"id", "type", "serverAddress", "serverPort", "userName", "queryTaggingEnabled"}
    return [Element("connection", {name: value for name, value in element.attributes.items() if name in sparse})]


def _connection_element(content: Content, connection: Connection, *, admin: bool) -> Element:
    attributes: dict[str, Value] = {
        "id": connection.id,
        "type": connection.type,
        "serverAddress": connection.server_address,
        "serverPort": connection.server_port or None,
        "userName": connection.username,
        "embedPassword": connection.embedded,
        # administrators alone see it (migration SDK)
        "queryTaggingEnabled": (connection.type == "snowflake") if admin else None,
        "authenticationType": connection.authentication_type,
        "useOAuthManagedKeychain": connection.managed_keychain,
    }
    shown = {name: value for name, value in attributes.items() if name not in connection.omits}
    children = []
    if content.content_type is ContentType.WORKBOOK:  # names what the workbook calls its data source
        own_id = str(uuid.uuid5(uuid.NAMESPACE_OID, connection.id))  # an embedded data source: its id leads nowhere
        published = connection.published
        names = {"id": published.id, "name": published.name} if published else {"id": own_id, "name": content.name}
        children.append(Element("datasource", names))
    return Element("connection", shown, children)


def _virtual_element(connection: Connection, shape: str) -> Element:
    # TSC PR #1628 calls the first "actual returned value"; its older asset has the second
    names = (
        ("connectionId", "dbClass", "server", "port", "username")
        if shape == "connectionId"
        else ("id", "dbClass", "serverAddress", "serverPort", "username")
    )
    values: tuple[Value, ...] = (
        connection.id,
        connection.type,
        connection.server_address,
        connection.server_port or None,
        connection.username,
    )
    shown = {name: value for name, value in zip(names, values, strict=True) if name not in connection.omits}
    return Element("connection", shown)
