"""What is selected on the sandbox's site with every trap is what its builder says of each connection."""

from __future__ import annotations

from collections import Counter

import pytest

from credential_rotation.rotation.filters import Filters
from credential_rotation.rotation.inventory import take_inventory
from credential_rotation.rotation.outcomes import Exclusion
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SiteInventory, select
from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox import stage
from sandbox.tableau import Site, TableauState, build_site
from tests.builders import credentials_of


@pytest.fixture(params=[7, 8])
def state(request: pytest.FixtureRequest) -> TableauState:
    return build_site(seed=request.param, data_sources=60, workbooks=40, flows=10, virtual_connections=4)


@pytest.fixture
def selected(tableau: TableauSite, site: Site) -> list[ConnectionRecord]:
    taken = SiteInventory("tableau_default", "acme", take_inventory(tableau, list(ContentType), 16))
    return select([taken], credentials_of(site), Filters())


def test_each_connection_has_one_outcome_and_it_is_the_right_one(selected: list[ConnectionRecord], site: Site) -> None:
    told = {record.connection_id: record.snowflake_conn_id or record.reason for record in selected}
    conn_ids = {name: stage.snowflake_conn_id(credential) for name, credential in site.credentials.items()}
    truth = {each.id: conn_ids.get(each.target_of or "", each.why) for _, each in site.connections()}
    assert told == truth
    assert len(selected) == len(told)


def test_the_traps_are_all_there(selected: list[ConnectionRecord]) -> None:
    reasons = Counter(record.reason for record in selected if not record.is_target)
    unlikely = {Exclusion.NO_SERVER_ADDRESS, Exclusion.NO_USERNAME, Exclusion.FILTERED_OUT}
    assert set(reasons) == set(Exclusion) - unlikely
    assert len({record.snowflake_conn_id for record in selected if record.is_target}) == 3
