"""What a message about a run says."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from credential_rotation.message_body import MessageBody

HOSTILE = "<img src=x onerror=alert(1)> & <!channel> <https://evil.example|click>"


def body(**fields: Any) -> MessageBody:
    values: dict[str, Any] = {
        "dag_id": "rotate_snowflake_pat_in_tableau",
        "run_id": "manual__1",
        "state": "failed",
        "dry_run": False,
        "verdict": "1 failed (first: Sales › Orders · ETL_USER: No.)",
        "summary": {"content": 7, "targets": 3, "updated": 2, "gone": 0, "failed": 1, "excluded": {"oauth": 4}},
        "report": "/reports/report.json",
        "url": "https://airflow.acme.example/dags/rotate_snowflake_pat_in_tableau/runs/manual__1",
    }
    return MessageBody(**values | fields)


class _Read(HTMLParser):
    """What a person sees of HTML, and which elements there are."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.links: list[str | None] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def test_the_text_has_verdict_numbers_and_link() -> None:
    assert body().text.splitlines() == [
        "rotate_snowflake_pat_in_tableau: failed",
        "1 failed (first: Sales › Orders · ETL_USER: No.)",
        "content 7, targets 3, updated 2, failed 1, excluded: oauth 4",
        "Run: https://airflow.acme.example/dags/rotate_snowflake_pat_in_tableau/runs/manual__1",
        "Report: /reports/report.json",
    ]


def test_a_dry_run_says_so_everywhere() -> None:
    dry = body(state="success", dry_run=True)
    for said in (dry.subject, dry.text, dry.html):
        assert "rotate_snowflake_pat_in_tableau: success (dry run)" in said


def test_that_there_was_no_target_is_said_and_what_was_not_is_not() -> None:
    numbers = body(summary={"targets": 0, "updated": 0, "failed": 0}).text.splitlines()[2]
    assert numbers == "targets 0, failed 0"


def test_a_hostile_name_is_text_in_html() -> None:
    read = _Read(body(verdict=HOSTILE, run_id=HOSTILE, report=HOSTILE).html)
    assert read.elements == {"p", "strong", "table", "tr", "td", "a"}
    assert read.links == [body().url]
    assert " ".join(read.words).count(HOSTILE) == 3


def test_a_hostile_name_can_neither_be_a_link_nor_call_the_channel_in_slack() -> None:
    said = body(verdict=HOSTILE).slack
    assert "<" not in said
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; &lt;!channel&gt;" in said


@pytest.mark.parametrize("verdict", ["Orders\r\nBcc: everybody@acme.example", "Orders\nx", "Orders\u2028x", "x" * 5000])
def test_the_subject_is_one_short_line(verdict: str) -> None:
    subject = body(verdict=verdict).subject
    assert len(subject.splitlines()) == 1
    assert len(subject) < 170
    assert subject.startswith("rotate_snowflake_pat_in_tableau: failed. ")


def test_templates_get_all_of_it() -> None:
    assert set(body().as_dict()) == {
        "dag_id", "run_id", "state", "dry_run", "verdict", "summary", "report", "url", "subject", "text", "slack",
        "html",
    }  # fmt: skip
