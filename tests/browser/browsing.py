"""A person in front of the browser: signs in to Airflow, looks at a page, and notices what goes wrong in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, StorageState, sync_playwright

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PATIENCE_MS = 20_000
WIDTH, HEIGHT = 1280, 900

Theme = Literal["light", "dark"]
Visit = Callable[..., Page]
"""Opens an address of Airflow, signed in."""


class BrowserMissing(Exception):
    """There is nothing to look with."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium: Playwright's own would be a download."""
    if not CHROMIUM.exists():
        raise BrowserMissing(
            f"{CHROMIUM} is not there: apt-get install chromium, or set CHROMIUM to where a Chromium or Chrome is"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What went wrong in a page and would not be seen: the console, uncaught errors, requests that failed."""

    problems: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Watch this page from now on."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(f"not caught: {error}"))
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not _is_airflows_own(message.text, message.location["url"]):
            self.problems.append(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left meanwhile
            self.problems.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and not _is_airflows_own("", response.url):
            self.problems.append(f"HTTP {response.status}: {response.request.method} {response.url}")


def _is_airflows_own(text: str, url: str) -> bool:
    # It asks before it knows whether anybody is signed in; and the frame around a plugin's page is as it is.
    return url.endswith("/ui/config") or "allow-scripts and allow-same-origin" in text


def sign_in(page: Page, url: str, username: str, password: str) -> None:
    """By Airflow's own form."""
    page.goto(f"{url}/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/")


def new_page(browser: Browser, watch: Watch, state: StorageState | None = None, theme: Theme = "light") -> Page:
    """A page of a browser that knows only this login, whose owner has chosen this theme in Airflow."""
    context = browser.new_context(
        storage_state=state, viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(f"localStorage.theme ??= {theme!r}")
    page = context.new_page()
    watch.over(page)
    return page
