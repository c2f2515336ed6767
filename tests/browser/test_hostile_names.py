"""Names that are markup are shown as they are, and run nowhere."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox import stage
from sandbox.filling import Filled
from sandbox.playground import Playground
from tests.browser import hostile_site
from tests.browser.browsing import Visit, Watch, new_page
from tests.browser.looking import PAGE, connection_path, rows_of, run_path, search

pytestmark = pytest.mark.browser

HOSTILE = (hostile_site.NAME, hostile_site.PROJECT)


def nothing_ran(page: Page) -> None:
    page.wait_for_timeout(200)  # an image that is not there takes a moment to fail
    for frame in page.frames:
        assert frame.evaluate(f"window.{hostile_site.MARK}") is None
        assert frame.evaluate("document.querySelectorAll('img[src=x], svg[onload], [onmouseover]').length") == 0


def shows_them(page: Page) -> None:
    search(page, hostile_site.NAME)
    assert page.locator("#connections tbody tr").count() == 2
    text = page.locator("#connections tbody").inner_text()
    assert all(name in text for name in (*HOSTILE, hostile_site.USER))
    page.get_by_role("button", name=f"Details of {hostile_site.NAME}").first.click()
    expect(page.locator("#connections dl.details")).to_contain_text(hostile_site.OWNER)


def test_in_the_report_of_a_run(visit: Visit, filled: Filled) -> None:
    page = visit(run_path(filled.mended))
    shows_them(page)
    nothing_ran(page)


def test_in_the_file(browser: Browser, play: Playground, filled: Filled, watch: Watch) -> None:
    page = new_page(browser, watch)
    page.goto((play.airflow.home / "credential_rotation" / stage.DAG_ID / filled.mended / "report.html").as_uri())
    shows_them(page)
    nothing_ran(page)
    page.context.close()


def test_in_the_history_of_a_connection(visit: Visit, play: Playground, filled: Filled) -> None:
    row = next(
        row
        for row in rows_of(play, filled.mended)
        if row["content_name"] == hostile_site.NAME and row["outcome"] != "excluded"
    )
    page = visit(connection_path(play, row))
    expect(page.get_by_role("heading", level=1)).to_have_text(hostile_site.NAME)
    assert hostile_site.PROJECT in page.locator("main").inner_text()
    nothing_ran(page)


def test_on_the_fleet_page(visit: Visit, filled: Filled) -> None:
    nothing_ran(visit(f"{PAGE}/"))


def test_in_an_address(visit: Visit, filled: Filled, watch: Watch) -> None:
    asked = {"dag_id": hostile_site.NAME, "run_id": hostile_site.PROJECT}
    page = visit(f"{PAGE}/run?{urlencode(asked)}")
    nothing_ran(page)
    watch.problems.clear()  # there is no such DAG


def test_it_would_be_seen_if_something_ran(visit: Visit, filled: Filled) -> None:
    page = visit(f"{PAGE}/")
    page.evaluate(f"window.{hostile_site.MARK} = 1")
    with pytest.raises(AssertionError):
        nothing_ran(page)
