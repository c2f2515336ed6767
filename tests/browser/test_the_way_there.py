"""Who gets to the page, and how."""

from __future__ import annotations

import pytest
import requests
from playwright.sync_api import Browser, expect

from sandbox import stage
from sandbox.airflow_api import AirflowApi
from sandbox.filling import Filled
from sandbox.playground import Playground
from tests.browser.browsing import Visit, Watch, new_page, sign_in

pytestmark = pytest.mark.browser

PATHS = (
    "/",
    "/run?dag_id=d&run_id=r",
    "/connection?site=s&content_id=c&connection_id=c",
    "/api/fleet",
    "/static/style.css",
)


def test_from_the_login_through_the_navigation_to_the_page(
    browser: Browser, play: Playground, filled: Filled, passwords: dict[str, str], watch: Watch
) -> None:
    page = new_page(browser, watch)
    sign_in(page, play.airflow.url, "admin", passwords["admin"])
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Credential rotation").click()
    page.wait_for_url("**/plugin/credential-rotation")
    frame = page.frame_locator("iframe")
    for credential in play.tableau.state.site.credentials.values():
        expect(frame.get_by_role("heading", name=credential.login, exact=True)).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("path", PATHS)
def test_who_has_not_signed_in_gets_nothing(play: Playground, path: str) -> None:
    answer = requests.get(f"{play.airflow.url}/credential-rotation{path}", timeout=30)
    assert answer.status_code == 401
    assert "TABLEAU" not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_who_may_not_read_the_dag_gets_nothing(
    play: Playground, filled: Filled, passwords: dict[str, str], path: str
) -> None:
    nobody = AirflowApi(play.airflow.url, "nobody", passwords["nobody"])
    answer = nobody.page(f"/credential-rotation{path}")
    assert answer.status_code == 403
    assert "TABLEAU" not in answer.text


def test_a_tab_of_a_run_shows_its_report(visit: Visit, filled: Filled) -> None:
    page = visit(f"/dags/{stage.DAG_ID}/runs/{filled.failed}")
    page.get_by_role("link", name="Credential rotation").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text(filled.failed).first).to_be_visible()
    expect(frame.get_by_role("heading", name="What to do")).to_be_visible()


def test_a_run_of_the_renewal_has_the_tab_too(visit: Visit, filled: Filled) -> None:
    page = visit(f"/dags/{stage.RENEWAL_DAG_ID}/runs/{filled.renewed}")
    page.get_by_role("link", name="Credential rotation").click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Tokens", exact=True)).to_be_visible()


def test_it_follows_the_theme_that_is_chosen_in_airflow(visit: Visit, filled: Filled) -> None:
    page = visit("/plugin/credential-rotation")
    root = page.frame_locator("iframe").locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="User").click()
    page.get_by_role("menuitem", name="Appearance").click()
    page.get_by_role("menuitemradio", name="Dark").click()
    expect(root).to_have_attribute("data-theme", "dark")
