"""The fleet page, beside what the sandbox holds; and a run that is triggered from it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from sandbox import stage
from sandbox.filling import Filled
from sandbox.playground import Playground
from sandbox.tableau import SandboxCredential
from tests.browser.browsing import Visit, Watch
from tests.browser.looking import wait_until_it_lives

pytestmark = pytest.mark.browser

FLEET = "/credential-rotation/"
RUN_TIMEOUT_MS = 120_000


def card_of(page: Page | FrameLocator, credential: SandboxCredential) -> Locator:
    heading = page.get_by_role("heading", name=credential.login, exact=True)
    return page.locator("li.user").filter(has=heading)


def embedding_the_token_in_force(play: Playground, credential: SandboxCredential) -> tuple[int, int]:
    """How many connections of this user in Tableau embed its token in force, and how many do not."""
    tokens = play.snowflake.state.accounts[credential.account].user(credential.login).tokens
    in_force = {token.secret for token in tokens if token.rotated_to is None}
    held = [
        connection.password in in_force
        for _, connection in play.tableau.state.site.connections()
        if connection.target_of == credential.name
    ]
    return held.count(True), held.count(False)


def test_each_user_is_there_with_what_tableau_holds_of_it(visit: Visit, play: Playground, filled: Filled) -> None:
    page = visit(FLEET)
    for credential in play.tableau.state.site.credentials.values():
        current, old = embedding_the_token_in_force(play, credential)
        card = card_of(page, credential)
        expect(card).to_contain_text(f"{current} on the current token")
        assert ("on an old one" in card.inner_text()) == (old > 0)
        expect(card.get_by_role("img", name=re.compile("day"))).to_be_visible()


def test_the_runs_are_there_the_newest_first_and_the_failed_one_is_told(visit: Visit, filled: Filled) -> None:
    page = visit(FLEET)
    shown = page.locator("table.runs tr[data-run]").evaluate_all("rows => rows.map(row => row.dataset.run)")
    expected = [filled.looked_again, filled.mended, filled.failed, filled.renewed, filled.looked]
    assert [run_id for run_id in shown if run_id in expected] == expected
    failed = page.locator("table.runs tr", has_text=filled.failed)
    expect(failed).to_contain_text("failed")
    expect(page.locator("table.runs tr", has_text=filled.looked)).to_contain_text("dry run")


def test_a_run_is_a_click_away(visit: Visit, filled: Filled) -> None:
    page = visit(FLEET)
    page.locator("table.runs tr", has_text=filled.failed).get_by_role("link").click()
    expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    expect(page.get_by_text("The connection is not editable.").first).to_be_visible()
    expect(page.get_by_text("Snowflake refuses the sign-in: mend that there").first).to_be_visible()


def test_who_may_only_read_can_press_no_button(visit: Visit, play: Playground, filled: Filled) -> None:
    page = visit(FLEET, username="reader")
    expect(page.get_by_text("You may look at the DAG, but not trigger it.")).to_be_visible()
    buttons = page.get_by_role("button", name="Rotate").all()
    assert len(buttons) == 2 * len(play.tableau.state.site.credentials)
    assert all(button.is_disabled() for button in buttons)


def test_a_run_that_is_triggered_here_appears_and_ends_here(visit: Visit, play: Playground, filled: Filled) -> None:
    first = next(iter(play.tableau.state.site.credentials.values()))
    assert embedding_the_token_in_force(play, first)[1] > 0
    page = visit("/plugin/credential-rotation")
    frame = page.frame_locator("iframe")
    wait_until_it_lives(frame)
    card_of(frame, first).get_by_role("button", name="Rotate what is left…").click()
    dialog = frame.get_by_role("dialog")
    expect(dialog).to_contain_text(first.login)
    dialog.get_by_role("button", name="Trigger").click()
    expect(dialog).to_be_hidden()

    under_way = frame.locator("table.runs [data-live] tr")
    expect(under_way).to_contain_text("triggered by admin")
    run_id = under_way.get_attribute("data-run") or ""
    ended = frame.locator(f"table.runs tbody:not([data-live]) tr[data-run='{run_id}']")
    expect(ended).to_contain_text("success", timeout=RUN_TIMEOUT_MS)

    assert play.airflow.api.dag_run(stage.DAG_ID, run_id).conf == {
        "snowflake_conn_ids": [stage.snowflake_conn_id(first)],
        "tableau_conn_ids": [stage.TABLEAU_CONN_ID],
    }
    current, old = embedding_the_token_in_force(play, first)
    assert old == 0
    expect(card_of(frame, first)).to_contain_text(f"{current} on the current token")
    expect(card_of(frame, first)).to_contain_text("Ready")


def test_what_airflow_refuses_is_said_in_words(visit: Visit, filled: Filled, watch: Watch) -> None:
    page = visit(FLEET)
    page.route("**/dagRuns", lambda route: route.fulfill(status=403, json={"detail": "Forbidden"}))
    wait_until_it_lives(page)
    page.get_by_role("button", name="Rotate all again…").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Dry run").check()
    dialog.get_by_role("button", name="Trigger").click()
    expect(dialog.get_by_role("alert")).to_have_text("You may look at this DAG, but not trigger it.")
    assert any("403" in problem for problem in watch.problems)
    watch.problems.clear()  # it was refused on purpose
