"""An Airflow whose [api] base_url has a path, as behind a reverse proxy that serves other things, too."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox import stage
from sandbox.filling import Filled
from sandbox.playground import Playground
from tests.browser.browsing import Watch, new_page, sign_in
from tests.browser.looking import wait_until_it_lives

pytestmark = pytest.mark.browser

PATH = "/tools/airflow"


@pytest.fixture(scope="module")
def url(play: Playground, filled: Filled) -> str:
    return play.airflow.start_api_server_below(PATH)


@pytest.fixture
def page(browser: Browser, play: Playground, url: str, passwords: dict[str, str], watch: Watch) -> Iterator[Page]:
    opened = new_page(browser, watch)
    sign_in(opened, url, "admin", passwords["admin"])
    yield opened
    opened.context.close()


def test_the_page_its_links_and_its_buttons_stay_below_it(
    page: Page, url: str, play: Playground, filled: Filled, watch: Watch
) -> None:
    page.goto(f"{url}/plugin/credential-rotation")
    frame = page.frame_locator("iframe")
    wait_until_it_lives(frame)
    frame.get_by_role("button", name="Rotate what is left…").first.click()
    dialog = frame.get_by_role("dialog")
    dialog.get_by_label("Dry run").check()
    dialog.get_by_role("button", name="Trigger").click()
    under_way = frame.locator("table.runs [data-live] tr")
    expect(under_way).to_contain_text("triggered by admin")
    run_id = under_way.get_attribute("data-run") or ""

    frame.locator("table.runs tr", has_text=filled.failed).get_by_role("link").click()
    expect(frame.get_by_role("heading", name="What to do")).to_be_visible()
    frame.get_by_role("link", name="This run in Airflow").click()
    page.wait_for_url(lambda address: unquote(address).startswith(f"{url}/dags/{stage.DAG_ID}/runs/{filled.failed}"))
    outside = [address for address in watch.requested if address.startswith("http") and not address.startswith(url)]
    assert outside == []
    assert play.airflow.api.wait_for_run(stage.DAG_ID, run_id).run.state == "success"
