"""What several tests look for in a page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import FrameLocator, Page, expect

from sandbox import stage
from sandbox.playground import Playground

PAGE = "/credential-rotation"


def run_path(run_id: str, dag_id: str = stage.DAG_ID) -> str:
    return f"{PAGE}/run?{urlencode({'dag_id': dag_id, 'run_id': run_id})}"


def connection_path(play: Playground, row: dict[str, Any]) -> str:
    """The history of a connection that a report names."""
    sites = play.airflow.api.page(f"{PAGE}/api/fleet").json()["sites"]
    site = next(site["site_key"] for site in sites if site["tableau_conn_id"] == row["tableau_conn_id"])
    wanted = {"site": site, "content_id": row["content_id"], "connection_id": row["connection_id"]}
    return f"{PAGE}/connection?{urlencode(wanted)}"


def rows_of(play: Playground, run_id: str) -> list[dict[str, Any]]:
    """The connections in the report of a run, from the page's own API."""
    answer = play.airflow.api.page(f"{PAGE}/api/run", dag_id=stage.DAG_ID, run_id=run_id)
    assert answer.status_code == 200, answer.text
    connections: list[dict[str, Any]] = answer.json()["connections"]
    return connections


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox").fill(text)


def wait_until_it_lives(fleet: Page | FrameLocator) -> None:
    """Until the fleet page has asked Airflow what comes next: before that, a button does nothing yet."""
    expect(fleet.get_by_text("once a token is renewed").first).to_be_visible()
