"""docs/ui-*.png: written by `make screenshots` alone."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page

from sandbox.filling import Filled
from sandbox.playground import Playground
from tests.browser.browsing import WIDTH, Theme, Visit
from tests.browser.looking import connection_path, rows_of, run_path, wait_until_it_lives

pytestmark = pytest.mark.browser

LARGEST = 200_000

Take = Callable[..., None]


@pytest.fixture
def take(request: pytest.FixtureRequest) -> Take:
    folder: Path = request.config.getoption("--screenshots")

    def shot(page: Page, name: str, height: int) -> None:
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.wait_for_timeout(500)  # until what is drawn late is drawn
        file = folder / f"ui-{name}.png"
        with Image.open(BytesIO(page.screenshot(animations="disabled"))) as picture:
            # The few letters in a colour of their own keep it.
            picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2).save(file, optimize=True)
        assert file.stat().st_size < LARGEST

    return shot


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_fleet(visit: Visit, take: Take, filled: Filled, theme: Theme) -> None:
    page = visit("/plugin/credential-rotation", theme=theme)
    wait_until_it_lives(page.frame_locator("iframe"))
    take(page, f"fleet-{theme}", 1450)


def test_a_run_that_went_well(visit: Visit, take: Take, filled: Filled) -> None:
    take(visit(run_path(filled.mended)), "run", 1600)


def test_a_run_that_failed(visit: Visit, take: Take, filled: Filled) -> None:
    take(visit(run_path(filled.failed)), "run-failed", 1600)


def test_a_connection(visit: Visit, take: Take, play: Playground, filled: Filled) -> None:
    row = next(row for row in rows_of(play, filled.failed) if "not editable" in (row["reason"] or ""))
    take(visit(connection_path(play, row)), "connection", 700)
