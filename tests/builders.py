"""Builders of what the steps of a rotation work on: each gives something usual, and takes what a test is about."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from airflow.sdk import Connection as AirflowConnection

from credential_rotation.rotation import credentials
from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.inventory import Inventory, Item
from credential_rotation.rotation.params import RotationParams
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.report import Report
from credential_rotation.rotation.selection import SiteInventory
from credential_rotation.tableau.content import Connection, Content, ContentType
from sandbox import stage
from sandbox.tableau import SandboxCredential, Site

ADDRESS = "acme-prod.snowflakecomputing.com"
DEFAULTS: dict[str, Any] = {
    "tableau_conn_ids": ["tableau_default"],
    "snowflake_conn_ids": ["snowflake_pat"],
    "content_types": ["datasource", "workbook", "flow", "virtual_connection"],
    "projects": [],
    "exclude_projects": [],
    "owners": [],
    "tags": [],
    "content_name": None,
    "ids": [],
    "dry_run": False,
    "validate_on": None,
    "canary_proof": "connects",
    "proof": "saved",
    "require_approval": False,
    "force": False,
    "embed_where_prompting": False,
    "max_failures": "10%",
    "connections_per_task": None,
    "max_requests_per_minute": None,
    "roll_back": False,
    "roll_back_run": None,
}


def snowflake_airflow_connection(conn_id: str = "snowflake_pat", **fields: Any) -> AirflowConnection:
    """The Airflow connection of a Snowflake user; ``extra`` may be a dict or a text."""
    usual = {"conn_type": "snowflake", "login": "ETL_USER", "password": "new-token", "extra": {"account": "acme-prod"}}
    values = usual | fields
    if not isinstance(values["extra"], str | None):
        values["extra"] = json.dumps(values["extra"])
    return AirflowConnection(conn_id=conn_id, **values)


def snowflake_credential(
    conn_id: str = "snowflake_pat", login: str = "ETL_USER", token: str = "new-token", **extra: Any
) -> SnowflakeCredential:
    """What is read from such a connection."""
    fields = {"login": login, "password": token, "extra": {"account": "acme-prod"} | extra}
    return credentials.from_airflow_connection(snowflake_airflow_connection(conn_id, **fields))


def credentials_of(site: Site) -> list[SnowflakeCredential]:
    """The credentials of a sandbox site, read from the connections that a person would make for them."""
    return [_of_sandbox(credential) for credential in site.credentials.values()]


def _of_sandbox(credential: SandboxCredential) -> SnowflakeCredential:
    fields = stage.snowflake_connection(credential)
    del fields["conn_type"]
    conn = snowflake_airflow_connection(stage.snowflake_conn_id(credential), **fields)
    return credentials.from_airflow_connection(conn)


def content(name: str = "Orders", **fields: Any) -> Content:
    """A data source of the project Sales."""
    return Content(
        **{"type": ContentType.DATASOURCE, "id": f"id of {name}", "project": "Sales", **fields, "name": name}
    )


def connection(luid: str = "c1", **fields: Any) -> Connection:
    """A Snowflake connection with user and password."""
    values: dict[str, Any] = {
        "type": "snowflake",
        "server_address": ADDRESS,
        "username": "ETL_USER",
        "embed_password": True,
    }
    return Connection(id=luid, **values | fields)


def inventory(*items: Item, conn_id: str = "tableau_default") -> SiteInventory:
    """What was found on a site."""
    return SiteInventory(conn_id, "acme", Inventory(items, {}))


def item(*connections: Connection, **fields: Any) -> Item:
    """An item with these connections."""
    return Item(content(**fields), connections)


def target(number: int = 1, **fields: Any) -> ConnectionRecord:
    """A connection that a credential claims; each number is an item of its own."""
    values: dict[str, Any] = {
        "tableau_conn_id": "tableau_default",
        "site": "acme",
        "content_type": ContentType.DATASOURCE,
        "content_id": f"item-{number:05}",
        "content_name": f"Orders {number}",
        "project": "Sales",
        "owner": "ann",
        "connection_id": f"connection-{number:05}",
        "server_address": ADDRESS,
        "server_port": "",
        "username": "ETL_USER",
        "snowflake_conn_id": "snowflake_pat",
    }
    return ConnectionRecord(**values | fields)


def targets(count: int, **fields: Any) -> list[ConnectionRecord]:
    """So many targets."""
    return [target(number, **fields) for number in range(1, count + 1)]


def targets_of(records: Iterable[ConnectionRecord]) -> list[ConnectionRecord]:
    """Those that a credential claims."""
    return [record for record in records if record.is_target]


def rotation_report(*records: ConnectionRecord, **fields: Any) -> Report:
    """The report of a run whose connections came to this."""
    values: dict[str, Any] = {
        "run_id": "manual__1",
        "dry_run": False,
        "problems": (),
        "notes": (),
        "content": 7,
        "traffic": {"requests": 12, "sign_ins": 1, "throttled": 2},
        "seconds": 61.5,
    }
    return Report(**values | fields, records=records)


def rotation_params(conf: dict[str, Any] | None = None, **params: Any) -> RotationParams:
    """Params as a run gets them: the defaults of the contract, with these changed."""
    return RotationParams.parse(DEFAULTS | params, conf if conf is not None else params)


def names(records: Sequence[ConnectionRecord]) -> list[str]:
    """The names of their content."""
    return [record.content_name for record in records]
