"""One real Airflow with a few runs in it, and a browser in front of it, for all the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect
from rich.console import Console

from sandbox.airflow_home import PASSWORDS_FILE
from sandbox.filling import Filled, fill
from sandbox.local_airflow import free_port
from sandbox.playground import Playground, playground
from tests.browser import hostile_site
from tests.browser.browsing import PATIENCE_MS, Theme, Visit, Watch, chromium, new_page, sign_in

# The second may read and not trigger, the third may nothing.
USERS = "admin:admin,reader:viewer,nobody:"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, help="write what the pages look like into this folder")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Screenshots are no test."""
    wanted = config.getoption("--screenshots", default=None) is not None
    return True if collection_path.name == "test_screenshots.py" and not wanted else None


@pytest.fixture(scope="session")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with playground(
        tmp_path_factory.mktemp("airflow"),
        port=free_port(),
        tableau_state=hostile_site.build(),
        env={"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": USERS},
        console=Console(quiet=True),
    ) as started:
        yield started


@pytest.fixture(scope="session")
def filled(play: Playground) -> Filled:
    """The runs that `make ui` shows, too."""
    return fill(play, play.airflow.api.wait_for_run, print)


@pytest.fixture(scope="session")
def passwords(play: Playground) -> dict[str, str]:
    """Of each user of this Airflow."""
    read: dict[str, str] = json.loads((play.airflow.home / PASSWORDS_FILE).read_text())
    return read


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def signed_in(browser: Browser, play: Playground, passwords: dict[str, str]) -> Callable[[str], StorageState]:
    """What a browser keeps of a login."""
    kept: dict[str, StorageState] = {}

    def of(username: str) -> StorageState:
        if username not in kept:
            page = new_page(browser, Watch())
            sign_in(page, play.airflow.url, username, passwords[username])
            kept[username] = {"cookies": page.context.cookies(), "origins": []}
            page.context.close()
        return kept[username]

    return of


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Whatever a test looks at, nothing may go wrong in the page."""
    watching = Watch()
    yield watching
    assert watching.problems == []


@pytest.fixture
def visit(
    browser: Browser, play: Playground, signed_in: Callable[[str], StorageState], watch: Watch
) -> Iterator[Visit]:
    """Opens an address of Airflow, signed in."""
    opened: list[Page] = []

    def to(path: str, *, theme: Theme = "light", username: str = "admin") -> Page:
        opened.append(new_page(browser, watch, signed_in(username), theme))
        opened[-1].goto(play.airflow.url + path)
        return opened[-1]

    yield to
    for page in opened:
        page.context.close()
