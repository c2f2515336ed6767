"""A site for measuring: many plain items, made in no time."""

from __future__ import annotations

from sandbox.tableau.connections import other_database_connection, snowflake_connection
from sandbox.tableau.inventory_credentials import CREDENTIALS, add_accounts
from sandbox.tableau.inventory_words import OWNERS, PROJECTS
from sandbox.tableau.state import TableauState


def make_large_site(
    items: int = 8000, *, targets_every: int = 4, seed: int = 7, content_url: str = "acme"
) -> TableauState:
    """A Tableau with many small items, half data sources and half workbooks: every so many'th is a target of `etl`."""
    state = TableauState(seed=seed)
    site = state.add_site(content_url)
    add_accounts(state.accounts)
    credential = CREDENTIALS[0]
    site.credentials = {credential.name: credential}
    for number in range(items):
        if number % targets_every == 0:
            connection = snowflake_connection(credential.login, credential.secret, target_of=credential.name)
        else:
            connection = other_database_connection("postgres")
        add = site.add_datasource if number % 2 == 0 else site.add_workbook
        add(
            f"Item {number:05}",
            project=PROJECTS[number % len(PROJECTS)],
            owner=OWNERS[number % len(OWNERS)],
            connections=[connection],
        )
    return state
