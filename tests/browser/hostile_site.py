"""A small believable site, and on it what somebody has given names that are markup."""

from __future__ import annotations

from sandbox.tableau import TableauState, build_site
from sandbox.tableau.connections import snowflake_connection

MARK = "hacked"
NAME = f"<img src=x onerror=\"window.{MARK}='content'\">"
PROJECT = f"</script><script>window.{MARK}='project'</script>"
OWNER = f"'\"><svg onload=window.{MARK}='owner'>"
USER = f"<b onmouseover=window.{MARK}='user'>ANALYST</b>"


def build() -> TableauState:
    state = build_site(seed=7, data_sources=24, workbooks=16, flows=6, virtual_connections=2)
    site = state.site
    credential = next(iter(site.credentials.values()))
    address = f"{credential.account}.snowflakecomputing.com"
    embedded = snowflake_connection(credential.login, credential.secret, address, target_of=credential.name)
    site.add_datasource(NAME, project=PROJECT, owner=OWNER, connections=[embedded])
    somebody_else = snowflake_connection(USER, "analyst-token", address, why="other_user")
    site.add_datasource(NAME, project=PROJECT, owner=OWNER, connections=[somebody_else])
    return state
