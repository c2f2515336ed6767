"""A small site and a server that serves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.tableau import Site, TableauServer, TableauState
from tests.sandbox.bare_client import BareClient


@pytest.fixture
def state() -> TableauState:
    state = TableauState()
    state.add_site("acme")
    state.accounts.add_account("acme-prod").add_user("ETL_USER", ["old-secret", "new-secret"])
    return state


@pytest.fixture
def site(state: TableauState) -> Site:
    return state.site


@pytest.fixture
def server(state: TableauState) -> Iterator[TableauServer]:
    with TableauServer(state) as server:
        yield server


@pytest.fixture
def stranger(server: TableauServer) -> BareClient:
    """A client without a session."""
    return BareClient(server)


@pytest.fixture
def client(stranger: BareClient) -> BareClient:
    """A client that is signed in as administrator."""
    stranger.sign_in()
    return stranger
