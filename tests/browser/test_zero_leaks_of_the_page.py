"""After all the others: no secret can be read in what the page answers, nor where runs have left their files."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urldefrag, urljoin

import pytest

from sandbox.chaos.secrets import secrets_of, session_tokens
from sandbox.filling import Filled
from sandbox.leaks import Scanner
from sandbox.playground import Playground
from sandbox.tableau import TABLEAU_PAT_SECRET
from tests.browser.looking import PAGE, connection_path, rows_of, run_path

pytestmark = pytest.mark.browser

AS_JSON = {"/": "/api/fleet", "/run": "/api/run", "/connection": "/api/connection"}
"""The pages, and where the same is for programs."""

LINK = re.compile(r'\b(?:href|src)="([^"]+)"')


def secrets(play: Playground) -> dict[str, str]:
    """Of Tableau and of Snowflake: what was embedded, what came in its place, sessions, people's passwords."""
    named = secrets_of(play.tableau.state) | session_tokens(play.tableau)
    for account in play.snowflake.state.accounts.values():
        for user in account.users.values():
            named |= {f"{user.name}, token {token.id}": token.secret for token in user.tokens}
    return named


def answers(play: Playground, filled: Filled) -> dict[str, bytes]:
    """Whatever can be reached from the fleet page and from the history of each connection, and the same as JSON."""
    rows = [row for row in rows_of(play, filled.mended) if row["outcome"] != "excluded"]
    to_ask = [f"{PAGE}/", *(connection_path(play, row) for row in rows[:5]), run_path(filled.failed)]
    found: dict[str, bytes] = {}
    while to_ask:
        path = to_ask.pop()
        if path in found:
            continue
        answer = play.airflow.api.page(path)
        assert answer.status_code == 200, path
        found[path] = answer.content
        shown = path.partition("?")[0].removeprefix(PAGE)
        if shown in AS_JSON:
            to_ask += [link for link in _links(path, answer.text) if link.startswith(f"{PAGE}/")]
            to_ask.append(path.replace(PAGE + shown, PAGE + AS_JSON[shown]))
    return found


def _links(path: str, html: str) -> list[str]:
    return [urldefrag(urljoin(path, unescape(link))).url for link in LINK.findall(html)]


def test_no_secret_can_be_read_in_what_the_page_answers(play: Playground, filled: Filled) -> None:
    found = answers(play, filled)
    kinds = {path.partition("?")[0].removeprefix(PAGE) for path in found}
    assert kinds >= {*AS_JSON, *AS_JSON.values(), "/report.csv", "/static/fleet.js"}
    scanner = Scanner(secrets(play))
    assert [each for path, content in found.items() for each in scanner.data(content, path)] == []


def test_no_secret_can_be_read_where_runs_have_left_their_files(play: Playground, filled: Filled) -> None:
    folder = play.airflow.home / "credential_rotation"
    names = {path.name for path in folder.rglob("*")}
    assert names >= {"report.html", "report.json", "report.csv", "fleet", "targets", "tokens"}
    named = secrets(play)
    assert len(named) > 15
    assert TABLEAU_PAT_SECRET in named.values()
    assert Scanner(named).folder(folder) == []
