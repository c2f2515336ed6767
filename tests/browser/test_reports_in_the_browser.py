"""The report of a run and the history of a connection, in Airflow and as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox import stage
from sandbox.filling import Filled
from sandbox.playground import Playground
from tests.browser.browsing import Visit, Watch, new_page
from tests.browser.looking import rows_of, run_path, search

pytestmark = pytest.mark.browser


def folder_of(play: Playground, run_id: str) -> Path:
    return play.airflow.home / "credential_rotation" / stage.DAG_ID / run_id


@pytest.fixture
def failed(visit: Visit, filled: Filled) -> Page:
    return visit(run_path(filled.failed))


def test_the_table_is_searched(visit: Visit, play: Playground, filled: Filled) -> None:
    page = visit(run_path(filled.looked_again))
    search(page, "NEW shop")
    expect(page.locator("#connections [role=status]")).to_contain_text("2 of")
    shown = page.locator("#connections tbody tr").all_inner_texts()
    assert len(shown) == 2
    assert all("of the new shop" in text for text in shown)
    search(page, "")
    expect(page.locator("#connections [role=status]")).to_contain_text(f"{len(rows_of(play, filled.looked_again))}")
    search(page, "no such thing anywhere")
    expect(page.locator("#connections [role=status]")).to_contain_text("0 of")
    assert page.locator("#connections tbody tr").count() == 0


def test_the_table_is_sorted_both_ways(failed: Page) -> None:
    header = failed.locator("th[data-column=content] button")
    first = failed.locator("#connections tbody tr td.content .first")
    header.click()
    expect(failed.locator("th[data-column=content]")).to_have_attribute("aria-sort", "ascending")
    up = first.all_inner_texts()
    header.click()
    expect(failed.locator("th[data-column=content]")).to_have_attribute("aria-sort", "descending")
    down = first.all_inner_texts()
    assert len(up) > 10
    assert up != down
    assert up[0].casefold() <= up[-1].casefold()


def test_only_what_failed_is_a_click_away(failed: Page) -> None:
    failed.get_by_role("button", name="failed").first.click()
    outcomes = failed.locator("#connections tbody tr td.outcome").all_inner_texts()
    assert outcomes
    assert all("failed" in outcome for outcome in outcomes)


def test_a_connection_leads_to_its_history(failed: Page, play: Playground, filled: Filled) -> None:
    row = next(row for row in rows_of(play, filled.failed) if "not editable" in (row["reason"] or ""))
    search(failed, row["content_name"])
    failed.get_by_role("button", name=f"Details of {row['content_name']}").first.click()
    failed.get_by_role("link", name="what runs did about it").click()
    expect(failed.get_by_role("heading", level=1)).to_have_text(row["content_name"])
    events = failed.locator("table tbody tr")
    expect(events.filter(has_text=filled.failed)).to_contain_text("not editable")
    expect(events.filter(has_text=filled.mended)).to_contain_text("updated")
    texts = events.all_inner_texts()
    assert [filled.mended in text for text in texts].index(True) < [filled.failed in text for text in texts].index(True)


def test_the_file_of_a_run_needs_nothing_but_itself(
    browser: Browser, play: Playground, filled: Filled, watch: Watch
) -> None:
    file = folder_of(play, filled.failed) / "report.html"
    page = new_page(browser, watch)
    page.context.set_offline(True)
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    search(page, "not editable")
    assert page.locator("#connections tbody tr").count() >= 1
    assert watch.requested == [file.as_uri()]
    page.context.close()


def test_the_file_and_the_page_say_the_same(browser: Browser, visit: Visit, play: Playground, filled: Filled) -> None:
    in_airflow = visit(run_path(filled.mended)).locator("main").inner_text()
    page = new_page(browser, Watch())
    page.goto((folder_of(play, filled.mended) / "report.html").as_uri())
    assert page.locator("h1").inner_text() in in_airflow
    assert page.locator("#connections tbody").inner_text() in in_airflow
    page.context.close()
