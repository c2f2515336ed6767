"""report.html is opened by people who trust it: nothing that Tableau says can act in it, and it loads nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from credential_rotation.pages.environment import STATIC
from credential_rotation.rotation.outcomes import Outcome
from tests.builders import target
from tests.credential_rotation.pages.run_reports import TIMINGS, canary, failed, good_report, report_page, run_report
from tests.credential_rotation.pages.seen_page import SeenPage, csp_hash

IMAGE = "<img src=x onerror=alert(1)>"
HOSTILE = [
    IMAGE,
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]></svg><script>alert(1)</script>",
    "\" onmouseover=alert(1) x='",
    "' autofocus onfocus=alert(1) x=\"",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;",
    "\u2028\u2029\u202e",
    "\\u003cimg src=x\\u003e",
    "</title></style><body onload=alert(1)>",
]


def hostile_report(name: str) -> dict[str, Any]:
    """With that text wherever a text may come from outside."""
    fields = {
        "content_name": name, "project": name, "owner": name, "username": name, "server_address": name, "site": name,
        "content_id": name, "snowflake_conn_id": name, "tableau_conn_id": name,
    }  # fmt: skip
    report = run_report(
        canary(1, **fields),
        failed(2, **fields, reason=name),
        failed(3, **fields, reason=f"{name}."),
        target(4, **fields | {"snowflake_conn_id": None}, outcome=Outcome.EXCLUDED, reason=name),
        run_id=name,
        problems=(name,),
        notes=(name,),
        params={"content_name": name, name: name},
        started_at=name,
        timings={
            **TIMINGS,
            "slowest": [{"what": name, "content_type": name, "content_name": name, "project": name, "seconds": 2.0}],
        },
    )
    for row in report["connections"]:
        row |= {"content_url": f"https://tableau.acme.example/{name}", "outcome": row["outcome"]}
    report["connections"][0]["proof"] = name
    return report


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_from_tableau_is_a_text_everywhere(name: str) -> None:
    plain, seen = SeenPage(report_page(hostile_report("Orders"))), SeenPage(report_page(hostile_report(name)))
    # The same elements with the same attributes, whatever the name: only their values differ, and none is a handler.
    assert [(tag, set(attributes) - {"href", "target", "rel"}) for tag, attributes in seen.tags if tag != "a"] == [
        (tag, set(attributes) - {"href", "target", "rel"}) for tag, attributes in plain.tags if tag != "a"
    ]
    assert not [each for _, attributes in seen.tags for each in attributes if each.startswith("on") or each == "style"]
    assert {row["content_name"] for row in seen.rows} == {name}
    if name == IMAGE:
        assert seen.text.count(IMAGE) >= 10


@pytest.mark.parametrize("name", HOSTILE)
def test_the_block_of_data_can_not_be_ended_from_within(name: str) -> None:
    html = report_page(hostile_report(name))
    [block] = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert not set("<>&\u2028\u2029") & set(block)
    assert name in json.loads(block)["words"]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "JAVASCRIPT:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)",
        "data:text/html,x", "vbscript:x", "file:///etc/passwd", "//evil.example/", "/relative", "https:", "https://",
        "http:\\\\evil.example",
        "https://a b", "https://[::1", "ftp://a.example/", "", None, 7, {"a": 1}, "https://acme.example/\u2028x",
    ],
)  # fmt: skip
def test_a_link_leads_to_a_web_address_or_nowhere(url: object) -> None:
    report = good_report()
    for row in report["connections"]:
        row["content_url"] = url
    seen = SeenPage(report_page(report))
    assert {row["url_base"] + row["url_tail"] for row in seen.rows} == {""}
    assert all((link["href"] or "").startswith("#") for link in seen.all("a"))


def test_a_link_to_tableau_opens_beside_the_page_and_does_not_say_where_it_comes_from() -> None:
    report = good_report()
    url = "https://tableau.acme.example/#/site/acme/datasources/17?a=1&b=2"
    report["connections"][0]["content_url"] = url
    seen = SeenPage(report_page(report))
    [link] = [link for link in seen.all("a") if not (link["href"] or "").startswith("#")]
    assert link == {"href": url, "target": "_blank", "rel": "noopener noreferrer"}
    assert seen.all("meta", name="referrer", content="no-referrer")


def test_the_policy_names_each_script_and_style_of_the_page_and_no_other() -> None:
    seen = SeenPage(report_page(good_report(timings=TIMINGS)))
    directives = dict(each.strip().split(" ", 1) for each in seen.policy.split(";"))
    scripts = {csp_hash(text) for tag, kind, text in seen.inline if tag == "script" and kind is None}
    styles = {csp_hash(text) for tag, _, text in seen.inline if tag == "style"}
    assert set(directives["script-src"].split()) == scripts
    assert len(scripts) == 3
    assert set(directives["style-src"].split()) == styles
    assert len(styles) == 1
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert directives["base-uri"] == directives["form-action"] == "'none'"
    assert "connect-src" not in directives


def test_the_policy_comes_before_all_that_it_is_about() -> None:
    html = report_page(good_report())
    assert html.index("Content-Security-Policy") < min(
        html.index(each) for each in ("<link", "<style", "<script", "<title")
    )


def test_nothing_is_loaded_from_anywhere() -> None:
    seen = SeenPage(report_page(good_report(timings=TIMINGS)))
    for tag, attributes in seen.tags:
        assert not {"src", "srcset", "poster", "data", "background", "action", "formaction", "ping"} & set(attributes)
        if tag != "a":
            assert attributes.get("href", "data:,") == "data:,"
    for text in (text for tag, kind, text in seen.inline if kind is None):
        assert not re.search(r"@import|url\(|fetch\(|XMLHttp|WebSocket|importScripts|sendBeacon|//[a-z]+\.", text)


@pytest.mark.parametrize("script", ["table.js", "theme.js", "times.js"])
def test_no_script_makes_markup_of_text_or_code_of_text(script: str) -> None:
    text = (STATIC / script).read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|srcdoc|DOMParser", text
    )
