"""The real tableauserverclient drives the sandbox: a client that others wrote against the real Tableau."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
import tableauserverclient as TSC  # noqa: N812 - its users all write so

from sandbox.tableau import (
    ADMIN_PASSWORD,
    ADMIN_USER,
    APP_CLIENT_ID,
    APP_SECRET_ID,
    APP_SECRET_VALUE,
    TABLEAU_PAT_NAME,
    TABLEAU_PAT_SECRET,
    Job,
    JobOutcome,
    Site,
    TableauServer,
    TableauState,
    UpdateAnswer,
    oauth_connection,
    postgres_connection,
    published_link,
    snowflake_connection,
)


def _jwt_auth() -> TSC.JWTAuth:
    now = int(time.time())
    claims = {
        "iss": APP_CLIENT_ID,
        "sub": ADMIN_USER,
        "aud": "tableau",
        "jti": "1",
        "exp": now + 300,
        "scp": ["tableau:content:read"],
    }
    token = jwt.encode(claims, APP_SECRET_VALUE, "HS256", headers={"kid": APP_SECRET_ID, "iss": APP_CLIENT_ID})
    return TSC.JWTAuth(token, site_id="acme")


SIGN_INS = {
    "password": lambda: TSC.TableauAuth(ADMIN_USER, ADMIN_PASSWORD, site_id="acme"),
    "pat": lambda: TSC.PersonalAccessTokenAuth(TABLEAU_PAT_NAME, TABLEAU_PAT_SECRET, site_id="acme"),
    "jwt": _jwt_auth,
}


def _connect(server: TableauServer) -> TSC.Server:
    return TSC.Server(server.url, use_server_version=True)


@pytest.fixture
def tsc(server: TableauServer) -> Iterator[TSC.Server]:
    tsc = _connect(server)
    with tsc.auth.sign_in(SIGN_INS["pat"]()):
        yield tsc


@pytest.mark.parametrize("way", list(SIGN_INS))
def test_it_signs_in_and_out_in_every_way(server: TableauServer, state: TableauState, way: str) -> None:
    tsc = _connect(server)
    with tsc.auth.sign_in(SIGN_INS[way]()):
        assert tsc.site_id == state.site.id
        assert tsc.version == "3.26"
        assert len(state.sessions) == 1
    assert len(state.sessions) == 0


def test_a_wrong_password_is_a_failed_sign_in(server: TableauServer) -> None:
    with pytest.raises(TSC.FailedSignInError, match="401001"):
        _connect(server).auth.sign_in(TSC.TableauAuth(ADMIN_USER, "wrong", site_id="acme"))


def test_a_second_sign_in_with_the_same_tableau_pat_ends_the_first(server: TableauServer) -> None:
    first, second = _connect(server), _connect(server)
    first.auth.sign_in(SIGN_INS["pat"]())
    second.auth.sign_in(SIGN_INS["pat"]())
    with pytest.raises(TSC.FailedSignInError, match="401002"):
        first.datasources.get()
    assert second.datasources.get()[1].total_available == 0


def test_its_pager_finds_everything_of_every_type(tsc: TSC.Server, site: Site) -> None:
    for number in range(7):
        site.add_datasource(f"Data {number}", tags=["a"], connections=[snowflake_connection()])
        site.add_workbook(f"Dashboard {number}")
        site.add_flow(f"Flow {number}")
        site.add_virtual_connection(f"Virtual {number}")
    options = TSC.RequestOptions(pagesize=3)
    for endpoint in (tsc.datasources, tsc.workbooks, tsc.flows, tsc.virtual_connections):
        found = list(TSC.Pager(endpoint, options))
        assert len({item.id for item in found}) == 7
    assert {user.name for user in TSC.Pager(tsc.users)} == {user.name for user in site.users}
    assert {project.name for project in TSC.Pager(tsc.projects)} == {"Default"}


def test_its_items_say_project_owner_tags_and_time(tsc: TSC.Server, site: Site) -> None:
    made = site.add_datasource("Profit & Loss <3", project="Finance", owner="Zoë", tags=["x"], has_extracts=True)
    (item,), _ = tsc.datasources.get()
    assert (item.name, item.project_name, item.owner_id) == (made.name, "Finance", made.owner.id)
    assert (item.tags, item.updated_at) == ({"x"}, made.updated_at)


def test_its_filters_work(tsc: TSC.Server, site: Site) -> None:
    site.add_datasource("Live, of Snowflake", connections=[snowflake_connection()])
    site.add_datasource("Extract", connections=[snowflake_connection()], type="hyper", has_extracts=True)
    site.add_datasource("Other", connections=[postgres_connection()])
    found = tsc.datasources.filter(connection_type="snowflake")
    assert [item.name for item in found] == ["Live, of Snowflake"]
    options = TSC.RequestOptions()
    options.filter.add(TSC.Filter("name", TSC.RequestOptions.Operator.In, ["Extract", "Other"]))
    options.sort.add(TSC.Sort("name", TSC.RequestOptions.Direction.Desc))
    assert [item.name for item in TSC.Pager(tsc.datasources, options)] == ["Other", "Extract"]


def test_it_reads_the_connections_of_every_type(tsc: TSC.Server, site: Site) -> None:
    made = snowflake_connection(port="443")
    datasource = site.add_datasource(connections=[made, postgres_connection(), oauth_connection()])
    site.add_workbook(connections=[snowflake_connection(), published_link(datasource)])
    site.add_flow(connections=[snowflake_connection()])
    site.add_virtual_connection(connections=[snowflake_connection(), postgres_connection()])
    seen: dict[str, list[Any]] = {}
    for endpoint in (tsc.datasources, tsc.workbooks, tsc.flows, tsc.virtual_connections):
        for item in TSC.Pager(endpoint):
            endpoint.populate_connections(item)
            seen[type(item).__name__] = list(item.connections)
    assert {name: [each.connection_type for each in found] for name, found in seen.items()} == {
        "DatasourceItem": ["snowflake", "postgres", "snowflake"],
        "WorkbookItem": ["snowflake", "sqlproxy"],
        "FlowItem": ["snowflake"],
        "VirtualConnectionItem": ["snowflake", "postgres"],
    }
    first = seen["DatasourceItem"][0]
    assert (first.id, first.server_address, first.server_port, first.username, first.embed_password) == (
        made.id,
        made.server_address,
        "443",
        "ETL_USER",
        True,
    )
    assert seen["DatasourceItem"][2].auth_type == "oauth"
    assert seen["WorkbookItem"][1].datasource_id == datasource.id


def test_it_updates_a_connection_of_every_type(tsc: TSC.Server, site: Site) -> None:
    site.add_datasource(connections=[snowflake_connection()])
    site.add_workbook(connections=[snowflake_connection()])
    site.add_flow(connections=[snowflake_connection()])
    site.add_virtual_connection(connections=[snowflake_connection()])
    for endpoint in (tsc.datasources, tsc.workbooks, tsc.flows):
        (item,), _ = endpoint.get()
        endpoint.populate_connections(item)
        (connection,) = item.connections
        connection.username, connection.password, connection.embed_password = "NEW_USER", "new-secret", True
        assert endpoint.update_connection(item, connection).username == "NEW_USER"
    (virtual,), _ = tsc.virtual_connections.get()
    (connection,) = tsc.virtual_connections.populate_connections(virtual).connections
    connection.username, connection.password = "NEW_USER", "new-secret"
    answered = tsc.virtual_connections.update_connection_db_connection(virtual, connection)
    assert (answered.id, answered.username) == (connection.id, "NEW_USER")
    assert {(held.username, held.password, held.embedded) for _, held in site.connections()} == {
        ("NEW_USER", "new-secret", True)
    }


def test_its_own_quirk_unembeds_a_connection_that_does_not_say(tsc: TSC.Server, site: Site) -> None:
    content = site.add_datasource(connections=[snowflake_connection(omits=["embedPassword"])])
    (item,), _ = tsc.datasources.get()
    tsc.datasources.populate_connections(item)
    (connection,) = item.connections
    connection.password = "new-secret"  # and embed_password was read as False
    tsc.datasources.update_connection(item, connection)
    assert (content.connections[0].embedded, content.connections[0].password) == (False, None)


def test_its_own_quirk_sends_the_authentication_type_and_is_refused(tsc: TSC.Server, site: Site) -> None:
    site.add_datasource(connections=[snowflake_connection(authentication_type="username-password")])
    (item,), _ = tsc.datasources.get()
    tsc.datasources.populate_connections(item)
    (connection,) = item.connections
    connection.password, connection.embed_password = "new-secret", True
    with pytest.raises(TSC.ServerResponseError, match=r"400039.*\n.*Authentication update is not allowed"):
        tsc.datasources.update_connection(item, connection)


def test_it_copes_with_several_connections_in_an_answer_and_with_none(tsc: TSC.Server, site: Site) -> None:
    content = site.add_datasource(connections=[postgres_connection(), snowflake_connection()])
    (item,), _ = tsc.datasources.get()
    tsc.datasources.populate_connections(item)
    connection = item.connections[1]
    connection.password, connection.embed_password = "new-secret", True
    content.update_answer = UpdateAnswer.ALL
    assert tsc.datasources.update_connection(item, connection).id == connection.id
    content.update_answer = UpdateAnswer.NONE
    assert tsc.datasources.update_connection(item, connection) is None


def test_it_updates_several_connections_at_once(tsc: TSC.Server, site: Site) -> None:
    content = site.add_workbook(connections=[snowflake_connection(), snowflake_connection(), snowflake_connection()])
    (item,), _ = tsc.workbooks.get()
    wanted = [each.id for each in content.connections[:2]]
    updated = tsc.workbooks.update_connections(item, wanted, username="U", password="new-secret", embed_password=True)
    assert [each.id for each in updated] == wanted
    assert [each.password for each in content.connections] == ["new-secret", "new-secret", "old-secret"]


def test_it_waits_for_a_refresh_that_works(tsc: TSC.Server, site: Site) -> None:
    site.add_datasource(connections=[snowflake_connection()], has_extracts=True)
    site.add_workbook(connections=[snowflake_connection()], has_extracts=True)
    for endpoint in (tsc.datasources, tsc.workbooks):
        (item,), _ = endpoint.get()
        job = tsc.jobs.wait_for_job(endpoint.refresh(item), timeout=5)
        assert job.finish_code == TSC.JobItem.FinishCode.Success


def test_it_waits_for_a_refresh_that_fails_with_snowflakes_words(tsc: TSC.Server, site: Site) -> None:
    site.add_datasource(connections=[snowflake_connection(password="revoked")], has_extracts=True)
    (item,), _ = tsc.datasources.get()
    with pytest.raises(TSC.server.endpoint.exceptions.JobFailedException, match="access token is invalid"):
        tsc.jobs.wait_for_job(tsc.datasources.refresh(item), timeout=5)


def test_it_learns_of_a_cancelled_refresh(tsc: TSC.Server, site: Site) -> None:
    content = site.add_datasource(connections=[snowflake_connection()], has_extracts=True)
    content.job_outcome = JobOutcome.CANCELLED
    (item,), _ = tsc.datasources.get()
    with pytest.raises(TSC.server.endpoint.exceptions.JobCancelledException):
        tsc.jobs.wait_for_job(tsc.datasources.refresh(item), timeout=5)


def test_a_second_refresh_while_the_first_is_queued_is_no_job(tsc: TSC.Server, site: Site) -> None:
    site.add_datasource(connections=[snowflake_connection()], has_extracts=True)
    (item,), _ = tsc.datasources.get()
    assert tsc.datasources.refresh(item) is not None
    assert tsc.datasources.refresh(item) is None  # TSC knows 409093


def _due_later(state: TableauState, site: Site) -> dict[str, Job]:
    """One job of each status, by what its content is called."""
    state.job_polls, state.job_queue_seconds = 0, 3600
    made = {}
    for name in ("Pending", "InProgress", "Success", "Failed", "Cancelled"):
        connections = [snowflake_connection(password="revoked" if name == "Failed" else "old-secret")]
        content = site.add_datasource(name, connections=connections, has_extracts=True)
        content.job_outcome = JobOutcome.NEVER_ENDS if name == "InProgress" else None
        made[name] = state.queue_job(content, started=name not in {"Pending", "Cancelled"})
    return made


def test_it_lists_the_jobs_of_the_site(tsc: TSC.Server, state: TableauState, site: Site) -> None:
    made = _due_later(state, site)
    tsc.jobs.cancel(made["Cancelled"].id)
    listed, pagination = tsc.jobs.get()
    assert pagination.total_available == 5
    assert {job.title: (job.id, job.status) for job in listed} == {name: (job.id, name) for name, job in made.items()}
    assert {job.type for job in listed} == {"refresh_extracts"}
    times = {job.status: (job.started_at is not None, job.ended_at is not None) for job in listed}
    assert times == {
        "Pending": (False, False),
        "InProgress": (True, False),
        "Success": (True, True),
        "Failed": (True, True),
        "Cancelled": (False, True),
    }


def test_its_job_filters_work(tsc: TSC.Server, state: TableauState, site: Site) -> None:
    made = _due_later(state, site)
    tsc.jobs.cancel(made["Cancelled"].id)
    tsc.jobs.get()
    created = made["Pending"].created_at
    for query, names in {
        ("job_type", "refresh_extracts"): set(made),
        ("job_type", "run_flow"): set(),
        ("status", TSC.BackgroundJobItem.Status.InProgress): {"InProgress"},
        ("title", "Failed"): {"Failed"},
        ("title__has", "ed"): {"Failed", "Cancelled"},
        ("notes__has", "access token is invalid"): {"Failed"},
        ("created_at__gte", created - timedelta(seconds=1)): set(made),
        ("created_at__gt", created + timedelta(seconds=60)): set(),
        ("started_at__lte", created + timedelta(seconds=60)): {"InProgress", "Success", "Failed"},
        ("completed_at__gte", created - timedelta(seconds=1)): {"Success", "Failed", "Cancelled"},
        ("progress__lt", 100): {"Pending", "InProgress"},
        ("priority__gt", 50): set(),
    }.items():
        assert {job.title for job in tsc.jobs.filter(**dict([query]))} == names, query
    kinds = ["refresh_extracts", "run_flow"]
    wanted = tsc.jobs.filter(job_type__in=kinds, status="Pending", created_at__gte=created - timedelta(days=1))
    assert [job.id for job in wanted] == [made["Pending"].id]
    with pytest.raises(TSC.ServerResponseError, match="400000"):
        list(tsc.jobs.filter(status__in=["Pending", "InProgress"]))  # status takes nothing but eq


def test_its_pager_finds_every_job(tsc: TSC.Server, state: TableauState, site: Site) -> None:
    contents = [site.add_workbook(f"Extract {number}", has_extracts=True) for number in range(7)]
    wanted = [state.queue_job(content).id for content in contents]
    options = TSC.RequestOptions(pagesize=3)
    options.filter.add(TSC.Filter(TSC.RequestOptions.Field.JobType, "eq", "refresh_extracts"))
    assert [job.id for job in TSC.Pager(tsc.jobs, options)] == wanted


def test_it_reads_sizes_and_the_connected_workbooks(tsc: TSC.Server, site: Site) -> None:
    orders = site.add_datasource("Orders", connections=[snowflake_connection()])
    orders.size = 17
    site.add_workbook("Big", connections=[published_link(orders)]).size = 2048
    for number in range(2):
        site.add_workbook(f"Small {number}", connections=[published_link(orders), published_link(orders)])
    (item,) = tsc.datasources.fields("_all_")
    assert (item.size, item.connected_workbooks_count) == (17, 3)
    assert {workbook.name: workbook.size for workbook in tsc.workbooks.all()} == {
        "Big": 2048,
        "Small 0": 1,
        "Small 1": 1,
    }
    assert [workbook.name for workbook in tsc.workbooks.filter(size__gt=1)] == ["Big"]


def test_it_reads_the_data_of_a_view(tsc: TSC.Server, site: Site) -> None:
    site.add_workbook(connections=[snowflake_connection()], views=["North", "South"])
    (item,), _ = tsc.workbooks.get()
    tsc.workbooks.populate_views(item)
    view = item.views[1]
    tsc.views.populate_csv(view, TSC.CSVRequestOptions(maxage=1))
    assert view.name == "South"
    assert b"".join(view.csv).startswith(b"Region,Amount")
