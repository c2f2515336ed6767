"""An inventory as a file of the run."""

from __future__ import annotations

from typing import Any

from credential_rotation.file_names import json_file
from credential_rotation.rotation.inventory import Inventory, Item
from credential_rotation.rotation.selection import SiteInventory
from credential_rotation.run_folder import FilesNotShared, RunFolder, each_made
from credential_rotation.tableau.content import Connection, Content, ContentType


class OutdatedInventory(ValueError):
    """An inventory is of an earlier start of the run: what was published since is not in it."""


def write_inventory(folder: RunFolder, site: SiteInventory, *, generation: str) -> dict[str, Any]:
    """Write an inventory; what a task says of it.

    :param generation: when the run was started, or started again since a person cleared tasks of it
    """
    inventory = site.inventory
    values = {
        "generation": generation,
        "tableau_conn_id": site.tableau_conn_id,
        "site": site.site,
        "site_key": site.site_key,
        "inventory": {
            "items": inventory.items,
            "missing_types": inventory.missing_types,
            "refused_types": inventory.refused_types,
            "unknown_types": inventory.unknown_types,
        },
    }
    path = folder.write(_name(site.tableau_conn_id), values)
    return {
        "tableau_conn_id": site.tableau_conn_id,
        "content": len(inventory.items),
        "connections": sum(len(item.connections) for item in inventory.items),
        "inventory": path,
    }


def read_inventory(folder: RunFolder, tableau_conn_id: str, *, generation: str) -> SiteInventory:
    """Read an inventory back.

    :param generation: of the run now
    :raises FilesNotShared: when it is not there
    :raises OutdatedInventory: when it is of an earlier start of the run
    """
    values = folder.read(_name(tableau_conn_id))
    if values is None:
        raise FilesNotShared(f"The inventory of '{tableau_conn_id}'")
    if values.get("generation") != generation:
        raise OutdatedInventory(
            f"What was read of '{tableau_conn_id}' is from an earlier start of this run, and content may have been "
            "published since. Clear every task of discover and everything downstream, or start a new run."
        )
    return SiteInventory(
        tableau_conn_id=values["tableau_conn_id"],
        site=values["site"],
        site_key=values["site_key"],
        inventory=Inventory(
            tuple(each_made(_item, values["inventory"]["items"])),
            *(
                {ContentType(key): why for key, why in values["inventory"][name].items()}
                for name in ("missing_types", "refused_types", "unknown_types")
            ),
        ),
    )


def _item(values: dict[str, Any]) -> Item:
    content = values["content"]
    kind, tags = ContentType(content["type"]), tuple(content["tags"])
    return Item(
        content=Content(**{**content, "type": kind, "tags": tags}),
        connections=tuple(Connection(**connection) for connection in values["connections"]),
        unreadable=values["unreadable"],
        gone=values["gone"],
    )


def _name(tableau_conn_id: str) -> str:
    return f"work/{json_file(f'inventory-{tableau_conn_id}')}"
