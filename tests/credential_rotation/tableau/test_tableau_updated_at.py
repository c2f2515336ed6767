"""When items were last changed: a few are asked for one by one, more are looked up in the list."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from credential_rotation.tableau import tableau_site as site_module
from credential_rotation.tableau.content import Content, ContentType
from credential_rotation.tableau.errors import NotAllowed, TableauError
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import Pass, ServerError, Site, TableauCode, TableauServer
from sandbox.tableau.clock import iso
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.tableau.test_tableau_lists import Then


@pytest.fixture
def tableau(connect: Connect) -> TableauSite:
    return TableauSite(connect())


@pytest.fixture
def pages_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "PAGE_SIZE", 2)


def all_of(tableau: TableauSite, *types: ContentType) -> list[Content]:
    return [content for each in types or ContentType for content in tableau.content(each)]


def add(site: Site, count: int, kind: str = "datasource") -> None:
    for number in range(count):
        getattr(site, f"add_{kind}")(f"{kind} {number}")
        site.clock.advance(seconds=10)
        site.contents[-1].updated_at = site.clock.now()


def expected(site: Site, contents: Iterable[Content]) -> dict[str, str]:
    return {content.id: iso(site.content(content.id).updated_at) for content in contents}


def asked(server: TableauServer) -> dict[str, int]:
    return {name: count for name, count in server.requests.counts().items() if name.startswith(("get_", "list_"))}


@pytest.mark.parametrize("kind", list(ContentType))
@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_it_is_what_tableau_says_now(
    site: Site, tableau: TableauSite, server: TableauServer, kind: ContentType, count: int
) -> None:
    add(site, count, kind)
    contents = all_of(tableau)
    site.contents[0].updated_at = site.clock.now()
    server.requests.clear()
    assert tableau.updated_at(contents) == expected(site, contents)
    by_list = count > 3 or kind is ContentType.VIRTUAL_CONNECTION
    assert asked(server) == ({f"list_{kind}s": 1} if by_list else {f"get_{kind}": count})


def test_of_all_types_at_once(site: Site, tableau: TableauSite, server: TableauServer) -> None:
    for kind in ContentType:
        add(site, 2, kind)
    contents = all_of(tableau)
    assert tableau.updated_at(contents) == expected(site, contents)


def test_of_nothing_nothing_is_asked(tableau: TableauSite, server: TableauServer) -> None:
    assert tableau.updated_at([]) == {}
    assert server.requests.counts() == {}


def test_a_list_is_read_no_further_than_it_is_worth(
    site: Site, tableau: TableauSite, server: TableauServer, pages_of_two: None
) -> None:
    add(site, 30)
    contents = all_of(tableau)
    server.requests.clear()
    some = contents[:2] + contents[-2:]
    assert tableau.updated_at(some) == expected(site, some)
    assert asked(server) == {"list_datasources": 1, "get_datasource": 2}
    server.requests.clear()
    many = contents[5:25]
    assert tableau.updated_at(many) == expected(site, many)
    assert asked(server) == {"list_datasources": 15}


@pytest.mark.parametrize("count", [2, 6])
def test_what_is_gone_is_left_out(site: Site, tableau: TableauSite, count: int) -> None:
    add(site, count)
    contents = all_of(tableau)
    site.remove(site.contents[0])
    assert tableau.updated_at(contents) == expected(site, contents[1:])


def test_an_item_that_slipped_through_the_pages_is_asked_for(
    site: Site, tableau: TableauSite, server: TableauServer, pages_of_two: None
) -> None:
    add(site, 5)
    contents = all_of(tableau)
    # The first is deleted after its page was read, so the third is on no page.
    deleted = site.contents[0]
    server.faults.script("list_datasources", [Then(lambda: site.remove(deleted)), Pass()])
    found = tableau.updated_at(contents)
    assert {luid: found[luid] for luid in found if luid != deleted.id} == expected(site, contents[1:])


@pytest.mark.parametrize("count", [2, 6])
def test_what_is_refused_is_an_error(site: Site, tableau: TableauSite, server: TableauServer, count: int) -> None:
    add(site, count)
    contents = all_of(tableau)
    server.faults.script("get_datasource" if count < 4 else "list_datasources", TableauCode("403004"))
    with pytest.raises(NotAllowed):
        tableau.updated_at(contents)


def test_where_tableau_stays_unwell_it_is_an_error(site: Site, tableau: TableauSite, server: TableauServer) -> None:
    add(site, 1)
    contents = all_of(tableau)
    server.faults.script("get_datasource", ServerError(), times=9)
    with pytest.raises(TableauError):
        tableau.updated_at(contents)
