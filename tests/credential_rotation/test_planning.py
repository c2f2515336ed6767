"""Which run is rolled back when nobody says which."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from credential_rotation.fingerprint import Fingerprints
from credential_rotation.ledgers import Ledgers
from credential_rotation.planning import _what_to_roll_back
from credential_rotation.rotation.inventory import Inventory
from credential_rotation.rotation.ledger import Ledger
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SelectionError, SiteInventory
from tests.builders import rotation_params, snowflake_credential, target

FINGERPRINTS = Fingerprints(b"a key")
CREDENTIALS = [snowflake_credential(token="today", previous_password="yesterday").reversed()]
SITES = [SiteInventory(name, name, Inventory((), {}), f"https://tableau.acme.example|{name}") for name in ("a", "b")]


class Updates:
    """Ledgers whose runs need no files: each updated one connection of each site."""

    def __init__(self, reports: str) -> None:
        self._ledgers = Ledgers(reports, "a_dag")
        self.read = self._ledgers.read
        self.embedded = "today"

    def know(self, site: SiteInventory, run_id: str, saved_at: str, token: str = "today") -> None:
        entry = {"token": FINGERPRINTS.of(token), "username": "ETL_USER", "saved_at": saved_at, "run_id": run_id}
        self._ledgers.write(site.site_key, Ledger.from_dict({f"{site.site}/{run_id}": entry}))

    def embedded_by(self, run_id: str) -> dict[str, str]:
        return {"snowflake_pat": FINGERPRINTS.of(self.embedded)} if run_id else {}

    def updated_by(self, run_id: str) -> dict[str, ConnectionRecord]:
        record = target(1, tableau_conn_id="a")
        return {record.key: record}


@pytest.fixture
def updates(tmp_path: Path) -> Updates:
    return Updates(f"file://{tmp_path}")


def note(updates: Updates, **params: Any) -> str:
    task: Any = SimpleNamespace(
        params=rotation_params(roll_back=True, **params), fingerprints=FINGERPRINTS, ledgers=updates
    )
    return _what_to_roll_back(task, SITES, CREDENTIALS, [target(1, tableau_conn_id="a")])[1]


@pytest.mark.parametrize("later", [0, 1])
def test_it_is_the_latest_of_all_sites_whatever_its_id(updates: Updates, later: int) -> None:
    updates.know(SITES[1 - later], "scheduled__2026-11-24T04:00:00+00:00", "2026-11-24T04:00:00+00:00")
    updates.know(SITES[later], "manual__2026-11-24T05:00:00+00:00", "2026-11-24T05:00:00+00:00")
    assert note(updates) == "This run rolls back run 'manual__2026-11-24T05:00:00+00:00'."


def test_one_that_embedded_another_token_is_not_meant(updates: Updates) -> None:
    updates.know(SITES[0], "run 1", "2026-11-24T04:00:00+00:00")
    updates.know(SITES[1], "run 2", "2026-11-24T05:00:00+00:00", token="the day before yesterday")
    assert note(updates) == "This run rolls back run 'run 1'."


def test_one_that_a_person_names_and_that_embedded_another_token_is_an_error(updates: Updates) -> None:
    updates.embedded = "the day before yesterday"
    with pytest.raises(SelectionError, match="run 'run 0' embedded another token of snowflake_pat than the current"):
        note(updates, roll_back_run="run 0")


def test_one_that_a_person_names_is_the_one(updates: Updates) -> None:
    updates.know(SITES[0], "run 1", "2026-11-24T04:00:00+00:00")
    assert note(updates, roll_back_run="run 0") == "This run rolls back run 'run 0'."
