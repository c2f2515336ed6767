"""The site of the sandbox as the steps see it."""

from __future__ import annotations

import pytest

from credential_rotation.tableau.tableau_site import TableauSite
from tests.credential_rotation.hooks.connecting import Connect


@pytest.fixture
def tableau(connect: Connect) -> TableauSite:
    return TableauSite(connect())
