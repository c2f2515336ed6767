"""Every operation of this package, on the sandbox."""

from __future__ import annotations

import pytest

from sandbox.tableau import Site, TableauServer
from tests.credential_rotation.hooks.connecting import Connect
from tests.credential_rotation.tableau.operations import Operations


@pytest.fixture
def do(connect: Connect, server: TableauServer, site: Site) -> Operations:
    """`do("sign_in")` does what takes that request."""
    return Operations(connect(run="a run"), server)
