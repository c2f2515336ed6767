"""An inventory on its way through a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from credential_rotation.rotation.inventory import Inventory, Item
from credential_rotation.rotation.selection import SiteInventory
from credential_rotation.run_folder import FilesNotShared, RunFolder
from credential_rotation.site_files import OutdatedInventory, read_inventory, write_inventory
from credential_rotation.tableau.content import ContentType
from tests.builders import connection, content, item

NOW = "20261124T034500"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder("a_dag", "manual__2026-11-24T03:45:00+00:00", f"file://{tmp_path}")


def test_an_inventory_comes_back_as_it_was(folder: RunFolder) -> None:
    site = SiteInventory(
        "tableau_default",
        "acme",
        Inventory(
            (
                item(
                    connection(server_port="443"),
                    connection("c2", embed_password=None),
                    name="売上 🚀",
                    tags=("a", "b"),
                ),
                item(connection("c3", oauth_keychain=True, embed_password=False), type=ContentType.VIRTUAL_CONNECTION),
                Item(content("Denied"), unreadable="403"),
                Item(content("Vanished"), gone=True),
            ),
            {ContentType.FLOW: "not licensed"},
            {ContentType.WORKBOOK: "403"},
            {ContentType.VIRTUAL_CONNECTION: "403"},
        ),
    )
    write_inventory(folder, site, generation=NOW)
    assert read_inventory(folder, "tableau_default", generation=NOW) == site


def test_two_sites_have_two_files(folder: RunFolder) -> None:
    for name in ("one", "two"):
        write_inventory(folder, SiteInventory(name, name, Inventory((), {})), generation=NOW)
    assert read_inventory(folder, "one", generation=NOW).site == "one"
    assert read_inventory(folder, "two", generation=NOW).site == "two"


def test_what_a_task_says_of_it_is_short_and_counts(folder: RunFolder) -> None:
    site = SiteInventory("one", "acme", Inventory((item(connection(), connection("c2")), item(name="Other")), {}))
    said = write_inventory(folder, site, generation=NOW)
    assert (said["tableau_conn_id"], said["content"], said["connections"]) == ("one", 2, 2)
    assert Path(said["inventory"]).is_file()


def test_an_inventory_that_is_not_there_says_what_to_do_on_several_hosts(folder: RunFolder) -> None:
    with pytest.raises(FilesNotShared, match="CREDENTIAL_ROTATION_REPORTS"):
        read_inventory(folder, "one", generation=NOW)


def test_inventories_of_oddly_named_connections_are_kept_apart(folder: RunFolder) -> None:
    odd = ["a::b", "::", ".", "..", "a/b", "a//b", "../plan", "a%2Fb", "x" * 250, "x" * 251]
    for conn_id in odd:
        write_inventory(folder, SiteInventory(conn_id, f"site of {conn_id}", Inventory((), {})), generation=NOW)
    assert [read_inventory(folder, conn_id, generation=NOW).site for conn_id in odd] == [
        f"site of {conn_id}" for conn_id in odd
    ]


@pytest.mark.parametrize("made", ["20261124T034459", "0", ""])
def test_an_inventory_of_an_earlier_start_of_the_run_is_refused(folder: RunFolder, made: str) -> None:
    write_inventory(folder, SiteInventory("one", "acme", Inventory((), {})), generation=made)
    with pytest.raises(OutdatedInventory, match="Clear every task of discover and everything downstream"):
        read_inventory(folder, "one", generation=NOW)
