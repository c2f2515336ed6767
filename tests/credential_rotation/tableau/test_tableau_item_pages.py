"""Where a person sees an item: a page of this very Tableau, or nothing at all."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest

from credential_rotation.tableau.content import ContentType, read_content
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import Site, TableauServer
from tests.credential_rotation.hooks.connecting import Connect


def page(url: str) -> str | None:
    element = Element("workbook", {"id": "1", "name": "Overview", "webpageUrl": url})
    return read_content(element, ContentType.WORKBOOK, "tableau.acme.example").url


def test_each_kind_of_item_has_its_page(connect: Connect, server: TableauServer, site: Site) -> None:
    for add in (site.add_datasource, site.add_workbook, site.add_flow, site.add_virtual_connection):
        add("It")
    reader = TableauSite(connect())
    pages = {kind: item.url or "" for kind in ContentType for item in reader.content(kind)}
    for kind, words in {
        ContentType.DATASOURCE: "datasources",
        ContentType.WORKBOOK: "workbooks",
        ContentType.FLOW: "flows",
        ContentType.VIRTUAL_CONNECTION: "virtualconnections",
    }.items():
        assert pages[kind].startswith(f"{server.url}/#/site/acme/{words}/")


@pytest.mark.parametrize(
    "url",
    [
        "https://tableau.acme.example/#/site/acme/workbooks/265605",
        "http://tableau.acme.example/#/workbooks/1",
        "https://TABLEAU.acme.example:8443/#/workbooks/1?:origin=card_share_link",
    ],
)
def test_a_page_on_the_host_that_was_asked_is_one(url: str) -> None:
    assert page(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "JavaScript://tableau.acme.example/%0aalert(1)",
        "data:text/html,<script>alert(1)</script>",
        "//tableau.acme.example/#/workbooks/1",
        "/#/workbooks/1",
        "ftp://tableau.acme.example/",
        "https://evil.example/#/workbooks/1",
        "https://tableau.acme.example.evil.example/",
        "https://tableau.acme.example@evil.example/",
        "https://evil.example@tableau.acme.example/",
        "https://evil.example\\@tableau.acme.example/",
        "https://evil.example\\.tableau.acme.example/",
        "https://tableau.acme.example/\n<script>",
        " https://tableau.acme.example/",
        "https://[tableau.acme.example/",
    ],
)
def test_anything_else_is_none(url: str) -> None:
    assert page(url) is None


def test_who_does_not_say_its_page_has_none() -> None:
    assert read_content(Element("workbook", {"id": "1"}), ContentType.WORKBOOK, "tableau.acme.example").url is None
    # An Airflow connection without a host has nothing that a page could be on.
    assert (
        read_content(Element("workbook", {"id": "1", "webpageUrl": "https:///x"}), ContentType.WORKBOOK, "").url is None
    )
