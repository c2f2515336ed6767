"""Lists: pages, filters, order, JSON, and strictness about what is asked."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from sandbox.tableau import Site, TableauState, postgres_connection, published_link, snowflake_connection
from tests.sandbox.bare_client import BareClient, error_code


def _names(client: BareClient, kind: str = "datasources", **query: str | int) -> list[str]:
    answer = client.get_json(kind, **query)
    return [item["name"] for item in answer[kind].get(kind.removesuffix("s"), [])]


def test_json_has_totals_as_strings_and_arrays_below_the_inner_key(client: BareClient, site: Site) -> None:
    content = site.add_datasource("Orders", tags=["x"], owner="Ann", connections=[snowflake_connection()])
    answer = client.get_json("datasources")
    assert answer["pagination"] == {"pageNumber": "1", "pageSize": "100", "totalAvailable": "1"}
    (item,) = answer["datasources"]["datasource"]
    assert item["id"] == content.id
    assert item["hasExtracts"] is False
    assert item["project"] == {"id": content.project.id, "name": "Default"}
    assert item["owner"] == {"id": content.owner.id}
    assert item["tags"] == {"tag": [{"label": "x"}]}


def test_an_empty_json_list_has_no_inner_key(client: BareClient) -> None:
    assert client.get_json("flows")["flows"] == {}


def test_pages_add_up(client: BareClient, site: Site) -> None:
    for number in range(250):
        site.add_datasource(f"Data {number}")
    assert len(_names(client)) == 100
    pages = [_names(client, pageSize=120, pageNumber=number) for number in (1, 2, 3)]
    assert [len(page) for page in pages] == [120, 120, 10]
    assert [name for page in pages for name in page] == [f"Data {number}" for number in range(250)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"pageNumber": 2}, "400006"),
        ({"pageNumber": 0}, "400006"),
        ({"pageSize": 0}, "400007"),
        ({"pageSize": "ten"}, "400007"),
        ({"pageSize": 1001}, "403014"),
    ],
)
def test_a_page_that_is_not_there_is_an_error(client: BareClient, query: dict[str, str], code: str) -> None:
    assert error_code(client.get("datasources", **query)) == code


def test_a_comma_in_a_filter_means_and(client: BareClient, site: Site) -> None:
    site.add_datasource("A", project="Sales", tags=["x"])
    site.add_datasource("B", project="Sales")
    site.add_datasource("C", project="Finance", tags=["x"])
    assert _names(client, filter="projectName:eq:Sales,tags:eq:x") == ["A"]
    assert _names(client, filter="name:in:[A,C]") == ["A", "C"]
    assert _names(client, filter="tags:in:[x,y]", sort="name:desc") == ["C", "A"]


def test_a_filter_on_the_listed_type_loses_extracts(client: BareClient, site: Site) -> None:
    site.add_datasource("Live", connections=[snowflake_connection()])
    site.add_datasource("Extract", connections=[snowflake_connection()], type="dataengine")
    site.add_datasource("Other", connections=[postgres_connection()])
    assert _names(client, filter="connectionType:eq:snowflake") == ["Live"]
    assert _names(client, filter="databaseUserName:eq:ETL_USER") == ["Live", "Extract"]


def test_times_are_compared_in_filters(client: BareClient, site: Site) -> None:
    old, new = site.add_workbook("Old"), site.add_workbook("New")
    site.republish(new, password="x")
    border = old.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert _names(client, "workbooks", filter=f"updatedAt:gt:{border}") == ["New"]
    assert _names(client, "workbooks", filter=f"updatedAt:lte:{border}") == ["Old"]


@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        ("datasources", "connectiontype:eq:snowflake"),  # camelCase it is
        ("datasources", "name:like:x"),
        ("datasources", "name"),
        ("datasources", "name:in:a"),
        ("workbooks", "connectionType:eq:snowflake"),  # workbooks have no such field
        ("flows", "ownerName:in:[a,b]"),
        ("flows", "tags:eq:x"),
    ],
)
def test_a_filter_outside_the_allow_list_is_400(client: BareClient, kind: str, expression: str) -> None:
    assert client.get(kind, filter=expression).status_code == 400


def test_an_unknown_query_parameter_is_refused_and_noted(client: BareClient) -> None:
    # the public how-to joins filters with &, which makes the second one an unknown parameter
    query = "?filter=connectionType:eq:snowflake&authenticationType:eq:Username+Password"
    response = client.send("GET", f"sites/{client.server.state.site.id}/datasources{query}")
    assert response.status_code == 400
    (entry,) = client.server.requests.all("list_datasources")
    assert entry.unknown_query == ["authenticationType:eq:Username Password"]


def test_without_strictness_an_unknown_query_parameter_is_ignored(client: BareClient, state: TableauState) -> None:
    state.strict_queries = False
    assert client.get("datasources", nonsense="1").status_code == 200
    (entry,) = client.server.requests.all("list_datasources")
    assert entry.unknown_query == ["nonsense"]


def test_connections_take_no_query(client: BareClient, site: Site) -> None:
    content = site.add_datasource(connections=[snowflake_connection()])
    assert client.get(f"datasources/{content.id}/connections", filter="type:eq:snowflake").status_code == 400


def test_connections_of_a_virtual_connection_are_paged_and_speak_their_own_language(
    client: BareClient, site: Site, state: TableauState
) -> None:
    content = site.add_virtual_connection(connections=[snowflake_connection(port="443") for _ in range(3)])
    path = f"virtualconnections/{content.id}/connections"
    answer = client.get_json(path, pageSize=2, pageNumber=2)
    assert answer["pagination"]["totalAvailable"] == "3"
    (shown,) = answer["virtualConnectionConnections"]["connection"]
    held = content.connections[2]
    assert shown == {
        "connectionId": held.id,
        "dbClass": "snowflake",
        "server": held.server_address,
        "port": "443",
        "username": "ETL_USER",
    }
    state.virtual_connection_shape = "id"
    (shown,) = client.get_json(path, pageSize=2, pageNumber=2)["virtualConnectionConnections"]["connection"]
    assert set(shown) == {"id", "dbClass", "serverAddress", "serverPort", "username"}


def test_an_unknown_path_is_404_and_a_wrong_method_405(client: BareClient, site: Site) -> None:
    assert client.get("credentials").status_code == 404
    assert client.send("DELETE", f"sites/{site.id}/datasources").status_code == 405


def test_query_tagging_is_shown_to_administrators_alone(client: BareClient, site: Site, state: TableauState) -> None:
    state.add_sign_in(site, "Ann", "pw")
    content = site.add_datasource(owner="Ann", connections=[snowflake_connection()])
    path = f"datasources/{content.id}/connections"
    assert b"queryTaggingEnabled" in client.get(path).content
    client.sign_in({"name": "Ann", "password": "pw"})
    assert b"queryTaggingEnabled" not in client.get(path).content


def test_users_are_listed_for_administrators_alone(client: BareClient, site: Site, state: TableauState) -> None:
    state.add_sign_in(site, "Ann", "pw")
    (first, *_) = client.get_json("users", filter="name:eq:Ann")["users"]["user"]
    assert (first["name"], first["siteRole"]) == ("Ann", "Creator")
    client.sign_in({"name": "Ann", "password": "pw"})
    assert client.get("users").status_code == 403


def test_every_answer_has_the_date_of_the_sandbox(client: BareClient, state: TableauState) -> None:
    state.clock.advance(minutes=60 * 24 * 40)
    for response in (client.get("flows"), client.get("nonsense"), client.send("GET", "/_sandbox/clock")):
        said = parsedate_to_datetime(response.headers["Date"])
        assert abs((state.clock.now() - said).total_seconds()) < 5


def test_sizes_can_be_filtered_by_and_sources_show_theirs_among_all_fields(client: BareClient, site: Site) -> None:
    small, big = site.add_datasource("Small"), site.add_datasource("Big")
    big.size = 300
    assert _names(client, filter="size:gte:2") == ["Big"]
    assert "size" not in client.get_json("datasources")["datasources"]["datasource"][0]
    shown = client.get_json("datasources", fields="_all_")["datasources"]["datasource"]
    assert [item["size"] for item in shown] == [small.size, 300]


def test_workbooks_that_link_to_a_published_source_are_counted_once(client: BareClient, site: Site) -> None:
    orders, lonely = site.add_datasource("Orders"), site.add_datasource("Lonely")
    linked = site.add_workbook(connections=[published_link(orders), published_link(orders), snowflake_connection()])
    site.add_workbook(connections=[published_link(orders)])
    site.add_flow(connections=[published_link(orders)])
    site.add_workbook(connections=[published_link(), snowflake_connection()])

    def counts() -> dict[str, int]:
        shown = client.get_json("datasources", fields="_all_")["datasources"]["datasource"]
        return {item["name"]: item["connectedWorkbooksCount"] for item in shown}

    assert counts() == {orders.name: 2, lonely.name: 0}
    site.remove(linked)
    assert counts() == {orders.name: 1, lonely.name: 0}


def test_all_fields_name_the_owner_and_the_server(client: BareClient, site: Site) -> None:
    site.add_datasource(owner="Ann", connections=[snowflake_connection()])
    (item,) = client.get_json("datasources", fields="_all_")["datasources"]["datasource"]
    assert (item["owner"]["name"], item["serverName"]) == ("Ann", "acme-prod.snowflakecomputing.com")
