"""A Tableau site with one of everything, two Snowflake users to rotate, and every kind of neighbour."""

from __future__ import annotations

from xml.sax.saxutils import escape

from sandbox.tableau import Fault, RawAnswer, TableauCode, TableauServer, TableauState
from sandbox.tableau.connections import (
    Connection,
    key_pair_connection,
    oauth_connection,
    postgres_connection,
    published_link,
    snowflake_connection,
)
from sandbox.tableau.site import SandboxCredential
from sandbox.tableau.state import APP_SECRET_VALUE, TABLEAU_PAT_SECRET

ACCOUNT = "acme-prod"

# With characters that URLs, JSON, XML and base64 each write in their own way.
ETL = SandboxCredential(
    "etl",
    ACCOUNT,
    "ETL_USER",
    secret='etl-old/secret+1&"<x>',
    new_secret="etl-NEW/token+2&'<y>~ü",
    tableau_usernames=("ann.lee",),
)
BI = SandboxCredential(
    "bi", ACCOUNT, "BI_USER", secret="bi-old-secret-4711", new_secret="eyJraWQiOiI3In0.bi-new-token.c2lnbmF0dXJl"
)


def build() -> TableauState:
    """The site; each new token signs in to Snowflake, the old secrets still do."""
    state = TableauState()
    site = state.add_site("acme")
    account = state.accounts.add_account(ACCOUNT)
    for credential in (ETL, BI):
        site.credentials[credential.name] = credential
        account.add_user(credential.login, [credential.secret, credential.new_secret])
        for number in range(1, 4):
            site.add_datasource(
                f"{credential.name} orders {number}",
                project="Sales",
                connections=[_target(credential)],
                has_extracts=number == 1,
            )
            site.add_workbook(
                f"{credential.name} overview {number}", connections=[_target(credential), postgres_connection()]
            )
        site.add_flow(f"{credential.name} nightly load", connections=[_target(credential)])
        site.add_virtual_connection(f"{credential.name} warehouse", connections=[_target(credential)])
    account.add_user("ann.lee", ["ann-types-this-one"])
    site.add_workbook("Ann's own", connections=[snowflake_connection("ann.lee", "ann-types-this-one", target_of="etl")])
    site.add_workbook("Linked", connections=[published_link(site.content("bi orders 1"))])
    site.add_datasource("By OAuth", connections=[oauth_connection()])
    site.add_datasource("By key pair", connections=[key_pair_connection()])
    site.add_datasource(
        "Somebody else's", connections=[snowflake_connection("DEV_USER", "dev-secret", why="other_user")]
    )
    site.add_datasource(
        "Elsewhere",
        connections=[
            snowflake_connection("ETL_USER", "test-secret", "acme-test.snowflakecomputing.com", why="other_account")
        ],
    )
    site.add_datasource("Asks people", connections=[snowflake_connection("ETL_USER", embedded=False)])
    return state


def script_echoes(tableau: TableauServer) -> None:
    """Let Tableau quote the token that it was sent in what it says: nothing of that may reach a log or the report."""
    for target in tableau.state.site.expected_targets():
        token = tableau.state.site.credentials[target.credential].new_secret
        if target.content_type == "flow":
            fault: Fault = TableauCode("400033", f"There was a problem with the password {token} of the connection.")
        elif target.content_type == "virtual_connection":
            fault = RawAnswer(500, f"<html><body>cannot set {escape(token)}</body></html>", "text/html")
        else:
            continue
        tableau.faults.script("update_connection", fault, {"connection_id": target.connection_id})


def secrets(state: TableauState) -> dict[str, str]:
    """What must not be readable anywhere, by name."""
    named = {
        "Tableau PAT": TABLEAU_PAT_SECRET,
        "Connected App": APP_SECRET_VALUE,
        "Ann's password": "ann-types-this-one",
    }
    for credential in state.site.credentials.values():
        named[f"old secret of {credential.name}"] = credential.secret
        named[f"new token of {credential.name}"] = credential.new_secret
    return named


def _target(credential: SandboxCredential) -> Connection:
    return snowflake_connection(credential.login, credential.secret, target_of=credential.name)
