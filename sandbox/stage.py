"""What the demo and the end-to-end tests have in common: Airflow connections to a sandbox Tableau, and params."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from sandbox.snowflake import SnowflakeServer
from sandbox.snowflake.believable import ADMIN_ROLE, ADMIN_USER
from sandbox.tableau import (
    TABLEAU_PAT_NAME,
    TABLEAU_PAT_SECRET,
    Fault,
    HtmlPage,
    ResetAfter,
    SandboxCredential,
    ServerError,
    SessionLost,
    Site,
    TableauServer,
    Throttle,
)

DAG_ID = "rotate_snowflake_pat_in_tableau"
RENEWAL_DAG_ID = "renew_snowflake_pat"
TABLEAU_CONN_ID = "tableau_default"

ENVIRONMENT = {
    # The sandbox's Snowflake lives in the sandbox's Tableau; Airflow has nothing to sign in to.
    "CREDENTIAL_ROTATION_SNOWFLAKE_CHECK": "off",
}


def airflow_connections(port: int, site: Site) -> dict[str, dict[str, object]]:
    """The connections a person would make: one to Tableau, and for each Snowflake user one with its new token."""
    connections: dict[str, dict[str, object]] = {TABLEAU_CONN_ID: tableau_connection(port, site)}
    for credential in site.credentials.values():
        connections[snowflake_conn_id(credential)] = snowflake_connection(credential)
    return connections


def tableau_connection(port: int, site: Site) -> dict[str, object]:
    """Signs in with a Tableau PAT: the kind of sign-in whose second session ends the first."""
    return {
        "conn_type": "tableau",
        "host": "127.0.0.1",
        "schema": "http",
        "port": port,
        "login": TABLEAU_PAT_NAME,
        "password": TABLEAU_PAT_SECRET,
        "extra": {"site": site.content_url, "auth": "pat"},
    }


def snowflake_connection(credential: SandboxCredential, **where: object) -> dict[str, object]:
    """Holds the token that is to be embedded, and the secret that is embedded now.

    :param where: `host` and `port` of a sandbox Snowflake, where there is one
    """
    extra: dict[str, object] = {"account": credential.account, "previous_password": credential.secret, **where}
    if credential.tableau_usernames:
        extra["tableau_usernames"] = list(credential.tableau_usernames)
    if credential.server_addresses:
        extra["server_addresses"] = list(credential.server_addresses)
    return {"conn_type": "snowflake", "login": credential.login, "password": credential.new_secret, "extra": extra}


def renewal_connections(
    tableau_port: int, snowflake_port: int, site: Site, private_key: str
) -> dict[str, dict[str, object]]:
    """The connections for both DAGs: each Snowflake user with the token that is embedded now, and the administrators.

    :param private_key: of the administrator of each account, PEM
    """
    where = {"host": "127.0.0.1", "port": snowflake_port}
    key = base64.b64encode(private_key.encode()).decode()
    connections: dict[str, dict[str, object]] = {TABLEAU_CONN_ID: tableau_connection(tableau_port, site)}
    for credential in site.credentials.values():
        fields = snowflake_connection(credential)
        admin = _admin_conn_id(credential.account)
        extra: dict[str, object] = {"account": credential.account, "admin_conn_id": admin, **where}
        if credential.tableau_usernames:
            extra["tableau_usernames"] = list(credential.tableau_usernames)
        if credential.server_addresses:
            extra["server_addresses"] = list(credential.server_addresses)
        connections[snowflake_conn_id(credential)] = fields | {"password": credential.secret, "extra": extra}
        signed_in_by_key = {"account": credential.account, "role": ADMIN_ROLE, "private_key_content": key, **where}
        connections[admin] = {"conn_type": "snowflake", "login": ADMIN_USER, "extra": signed_in_by_key}
    return connections


def renewal_environment(site: Site, snowflake: SnowflakeServer) -> dict[str, str]:
    """The settings for both DAGs beside a sandbox Snowflake."""
    conn_ids = ",".join(snowflake_conn_id(credential) for credential in site.credentials.values())
    return snowflake.environment | {"CREDENTIAL_ROTATION_SNOWFLAKE_CONN_IDS": conn_ids}


def _admin_conn_id(account: str) -> str:
    return f"admin_of_{account.replace('-', '_')}"


def snowflake_conn_id(credential: SandboxCredential) -> str:
    """The Airflow connection of a Snowflake user of the sandbox."""
    return f"snowflake_{credential.name}"


def conf(credentials: Iterable[SandboxCredential], **params: object) -> dict[str, object]:
    """The params of a run that rotates these."""
    return {"snowflake_conn_ids": [snowflake_conn_id(credential) for credential in credentials], **params}


def conf_examples(site: Site) -> Mapping[str, dict[str, object]]:
    """What to type into the trigger form, or into `airflow dags trigger --conf`, one after the other."""
    everyone = list(site.credentials.values())
    project = _project_with_most_targets(site)
    return {
        "look, change nothing": conf(everyone, dry_run=True),
        "one project": conf(everyone, projects=[project]),
        "with a person's approval after the first connection": conf(everyone, require_approval=True),
        "all": conf(everyone),
    }


def script_faults(tableau: TableauServer) -> None:
    """Let Tableau be unwell while it is updated: most is over after a quick try, two of these cost a task's retry."""
    targets = [target for target in tableau.state.site.expected_targets() if target.content_type == "workbook"]
    scripts: list[list[Fault]] = [
        [ServerError(500)] * 4,  # as often as there are quick tries
        [Throttle(retry_after="21")],  # longer than a worker should sleep
        [Throttle(retry_after="1")],
        [HtmlPage(503)],
        [SessionLost()],
        [ResetAfter()],
    ]
    for target, faults in zip(targets, scripts, strict=False):
        tableau.faults.script("update_connection", faults, {"connection_id": target.connection_id})


def _project_with_most_targets(site: Site) -> str:
    names = [site.content(target.content_id).project.name for target in site.expected_targets()]
    return max(sorted(set(names)), key=names.count)
