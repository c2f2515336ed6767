"""axe finds no serious fault on any page, in either theme."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from sandbox import stage
from sandbox.filling import Filled
from sandbox.playground import Playground
from tests.browser.accessibility import faults
from tests.browser.browsing import Theme, Visit, Watch, new_page
from tests.browser.looking import PAGE, connection_path, rows_of, run_path, wait_until_it_lives

pytestmark = pytest.mark.browser

THEMES: tuple[Theme, ...] = ("light", "dark")


@pytest.mark.parametrize("theme", THEMES)
def test_the_fleet(visit: Visit, filled: Filled, theme: Theme) -> None:
    page = visit(f"{PAGE}/", theme=theme)
    assert page.locator("html").get_attribute("data-theme") == theme
    wait_until_it_lives(page)
    assert faults(page) == []
    page.get_by_role("button", name="Rotate all again…").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert faults(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_a_run(visit: Visit, filled: Filled, theme: Theme) -> None:
    page = visit(run_path(filled.failed), theme=theme)
    page.get_by_role("button", name="Details of").first.click()
    for details in page.locator("details").all():
        details.locator("summary").click()
    assert faults(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_a_renewal(visit: Visit, filled: Filled, theme: Theme) -> None:
    assert faults(visit(run_path(filled.renewed, stage.RENEWAL_DAG_ID), theme=theme)) == []


@pytest.mark.parametrize("theme", THEMES)
def test_a_connection(visit: Visit, play: Playground, filled: Filled, theme: Theme) -> None:
    row = next(row for row in rows_of(play, filled.failed) if row["outcome"] == "failed")
    assert faults(visit(connection_path(play, row), theme=theme)) == []


@pytest.mark.parametrize("theme", THEMES)
def test_a_report_file(browser: Browser, play: Playground, filled: Filled, watch: Watch, theme: Theme) -> None:
    page = new_page(browser, watch)
    page.emulate_media(color_scheme=theme)
    page.goto((play.airflow.home / "credential_rotation" / stage.DAG_ID / filled.failed / "report.html").as_uri())
    assert faults(page) == []
    page.context.close()


def test_a_fault_would_be_seen(visit: Visit, filled: Filled) -> None:
    page = visit(f"{PAGE}/")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<button></button>')")
    assert any("button-name" in fault for fault in faults(page))
