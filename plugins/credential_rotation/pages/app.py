"""The pages in Airflow's api-server. They show what runs have left in files, to whoever may read those runs.

Routes are plain functions, so that FastAPI runs them in threads: they wait for disks and object stores, and the
object stores of Airflow's providers can't be opened where an event loop runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from credential_rotation.fleet.model import ConnectionHistory, Fleet
from credential_rotation.fleet.reading import read_connection, read_fleet
from credential_rotation.pages import static_files
from credential_rotation.pages.access import MayReadRenewal, MayTrigger, reads_rotation, reads_the_dag_asked_for
from credential_rotation.pages.answers import NoSuchThing, Route, data, page, refused, streamed, text
from credential_rotation.pages.connection_page import connection_values
from credential_rotation.pages.fleet_page import fleet_values
from credential_rotation.pages.query import ConnectionId, ContentId, DagId, RunId, SiteKey
from credential_rotation.pages.run_files import run_file
from credential_rotation.pages.run_page import run_html
from credential_rotation.pages.without_renewals import without_renewals
from credential_rotation.settings import Settings

app = FastAPI(
    title="Credential rotation", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[reads_rotation]
)
app.router.route_class = Route
app.add_exception_handler(HTTPException, refused)
app.add_exception_handler(RequestValidationError, refused)


@app.get("/")
def fleet(may_trigger: MayTrigger, may_read_renewal: MayReadRenewal) -> Response:
    """All Snowflake users and sites."""
    values = fleet_values(_fleet(may_read_renewal), datetime.now(UTC))
    return page("fleet.html", may_trigger=may_trigger, may_read_renewal=may_read_renewal, **values)


@app.get("/api/fleet")
def fleet_data(may_read_renewal: MayReadRenewal) -> Response:
    """The same, for programs."""
    return data(_fleet(may_read_renewal).as_dict())


@app.get("/run", dependencies=[reads_the_dag_asked_for])
def run(dag_id: DagId, run_id: RunId) -> Response:
    """What a run did. It is the tab of runs of all DAGs, so one of another DAG is told what it is for."""
    return text(run_html(_reports(), dag_id, run_id), "text/html")


@app.get("/api/run", dependencies=[reads_the_dag_asked_for])
def run_data(dag_id: DagId, run_id: RunId) -> Response:
    """Its ``report.json``."""
    return streamed(_file_of_run(dag_id, run_id, "report.json"), "application/json")


@app.get("/report.csv", dependencies=[reads_the_dag_asked_for])
def run_table(dag_id: DagId, run_id: RunId) -> Response:
    """Its ``report.csv``, to be kept."""
    answer = streamed(_file_of_run(dag_id, run_id, "report.csv"), "text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="report.csv"'
    return answer


@app.get("/connection")
def connection(site: SiteKey, content_id: ContentId, connection_id: ConnectionId) -> Response:
    """What runs did about a connection."""
    return page("connection.html", **connection_values(_connection(site, content_id, connection_id), datetime.now(UTC)))


@app.get("/api/connection")
def connection_data(site: SiteKey, content_id: ContentId, connection_id: ConnectionId) -> Response:
    """The same, for programs."""
    return data(_connection(site, content_id, connection_id).as_dict())


@app.get("/static/{name}")
def static(name: str) -> Response:
    """Style and scripts."""
    return static_files.answer(name)


def _reports() -> str:
    return Settings.from_environment().reports


def _file_of_run(dag_id: str, run_id: str, name: str) -> Iterator[bytes]:
    pieces = run_file(_reports(), dag_id, run_id, name)
    if pieces is None:
        raise NoSuchThing("There is no report of such a run.")
    return pieces


def _fleet(may_read_renewal: bool) -> Fleet:
    found = read_fleet(_reports(), datetime.now(UTC))
    return found if may_read_renewal else without_renewals(found)


def _connection(site: str, content_id: str, connection_id: str) -> ConnectionHistory:
    found = read_connection(_reports(), site, content_id, connection_id)
    if found is None:
        raise NoSuchThing("No run has had this connection among its targets, or it is not there any more.")
    return found
