"""The tree of errors, as its module draws it."""

from __future__ import annotations

import inspect

import pytest

from credential_rotation.tableau import errors
from credential_rotation.tableau.errors import NotFound, ServerFault, TableauError, Throttled
from sandbox.tableau import HtmlPage, TableauServer
from tests.credential_rotation.hooks.connecting import Connect

CLASSES = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind)}


def test_the_drawing_shows_every_error_below_its_parent() -> None:
    parents = ["TableauError"]
    drawn: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        before, found, rest = line.partition("── ")
        if found:
            depth, name = len(before) // 4, rest.split()[0]
            drawn[name] = parents[depth]
            parents[depth + 1 :] = [name]
    assert drawn == {name: kind.__base__.__name__ for name, kind in CLASSES.items() if name != "TableauError"}


def test_every_error_is_a_tableau_error_with_its_text() -> None:
    for kind in CLASSES.values():
        error = kind("A sentence.", status=404, code="404004", summary="s", detail="d")
        assert isinstance(error, TableauError)
        assert str(error) == "A sentence."
        assert (error.status, error.code, error.summary, error.detail) == (404, "404004", "s", "d")
    assert Throttled("x").retry_after is None


def test_a_response_that_is_checked_by_hand_raises_the_same_errors(connect: Connect, server: TableauServer) -> None:
    hook = connect()
    hook.check_response(hook.get_conn().get(f"{server.url}/api/2.4/serverinfo", timeout=5))
    with pytest.raises(NotFound, match=r"code 404000 to GET /api/3\.26/nowhere: Resource Not Found"):
        hook.check_response(hook.get_conn().get(f"{server.url}/api/3.26/nowhere?token=x", timeout=5))
    server.faults.script("server_info", HtmlPage(503))
    with pytest.raises(ServerFault):
        hook.check_response(hook.get_conn().get(f"{server.url}/api/2.4/serverinfo", timeout=5))
