"""A Tableau with two sites of the same content, two Snowflake users in it, and what people change there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from sandbox import stage
from sandbox.airflow_settings import connection_environment
from sandbox.tableau import (
    Connection,
    Content,
    SandboxCredential,
    Site,
    TableauServer,
    TableauState,
    postgres_connection,
)
from tests.dags.small_tableau import ACCOUNT, BI, ETL, add_neighbours, embedding

SITES = ("acme", "other")
CREDENTIALS = ("etl", "bi")
# With targets: one each, one with two of the same credential, one with both, and one besides.
ITEMS = ("etl orders", "etl twice", "etl and bi", "bi orders", "bi overview")
# Tableau tells times to the second: what happens within the same one, nobody can tell apart.
_SECONDS_BETWEEN = 2


@dataclass(frozen=True)
class _Untouched:
    """A connection that nobody may change."""

    connection: Connection
    password: str | None
    username: str
    address: str


class TwoSites:
    """What there is besides Airflow: Tableau, Snowflake, and the Airflow connections that lead to them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.state = TableauState()
        account = self.state.accounts.add_account(ACCOUNT)
        self.sites = {name: _filled(self.state.add_site(name)) for name in SITES}
        self.server = TableauServer(self.state)
        self.pointed_to = SITES[0]
        # Of each credential all tokens there were: the last is that of the Airflow connection.
        self.tokens = {each.name: [each.secret, each.new_secret] for each in (ETL, BI)}
        for credential in (ETL, BI):
            account.add_user(credential.login, [*self.tokens[credential.name], _author_s(credential.name)])
        self._neighbours = [
            _Untouched(each, each.password, each.username, each.server_address)
            for site in self.sites.values()
            for _, each in site.connections()
            if each.target_of is None
        ]

    def start(self) -> None:
        """Let Tableau listen, and Airflow know where."""
        self.server.start()
        self.point_to(self.pointed_to)
        for name in CREDENTIALS:
            self._hold(name)

    # -- what people do -----------------------------------------------------------------------------------------------

    def point_to(self, site: str) -> None:
        """Let the Airflow connection of Tableau lead to a site."""
        self.pointed_to = site
        self._set_connection(
            stage.TABLEAU_CONN_ID, stage.tableau_connection(self.server.port, self.sites[self.pointed_to])
        )

    def change_token(self, name: str) -> None:
        """Let Snowflake and the Airflow connection have a new token; the one before still works."""
        number = len(self.tokens[name])
        self.tokens[name].append(f"{name}-token-number-{number}")
        self.state.accounts.accounts[ACCOUNT].user(_credential(name).login).secrets.add(self.tokens[name][-1])
        self._hold(name)

    def republish(self, item: str, *, new_ids: bool, by_author: bool) -> list[Connection]:
        """Publish an item again from a desktop, with the secret of before all tokens or an author's; its targets."""
        site = self.sites[self.pointed_to]
        content = site.content(item)
        for connection in content.connections:
            if new_ids:
                connection.id = site.luid()
            if name := connection.target_of:
                connection.password = _author_s(name) if by_author else self.tokens[name][0]
        content.updated_at = self.now()
        return [each for each in content.connections if each.target_of]

    def let_time_pass(self) -> None:
        """Whatever comes next happens at another second."""
        self.state.clock.advance(seconds=_SECONDS_BETWEEN)

    # -- what is there ------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The time, for Tableau and for Airflow."""
        return self.state.clock.now()

    def targets(self, site: str, *names: str) -> list[tuple[Content, Connection]]:
        """The connections of these credentials."""
        return [(item, each) for item, each in self.sites[site].connections() if each.target_of in names]

    def connection(self, connection_id: str) -> Connection:
        """A connection of either site."""
        found = (each for site in self.sites.values() for _, each in site.connections())
        return next(each for each in found if each.id == connection_id)

    def id_of(self, item: str) -> str:
        """The LUID of an item on the site that Airflow is pointed to."""
        return self.sites[self.pointed_to].content(item).id

    def item_of(self, connection: Connection) -> str:
        """The name of the item with a connection."""
        found = (item for site in self.sites.values() for item in site.contents)
        return next(item.name for item in found if connection in item.connections)

    def writes(self) -> dict[str, int]:
        """How often each connection was written to."""
        return {each.id: len(each.writes) for site in self.sites.values() for _, each in site.connections()}

    def current_tokens(self) -> dict[str, str]:
        """What the Airflow connections hold now."""
        return {name: tokens[-1] for name, tokens in self.tokens.items()}

    def what_else_was_touched(self) -> list[str]:
        """What was written that a rotation must not write."""
        wrong = [
            f"a neighbour was written to: {each.connection.type} of {each.username}"
            for each in self._neighbours
            if each.connection.writes
            or (each.connection.password, each.connection.username, each.connection.server_address)
            != (each.password, each.username, each.address)
        ]
        for site in SITES:
            for item, connection in self.targets(site, *CREDENTIALS):
                wrong += [
                    f"{item.name!r} on {site!r} was written wrongly: {write}"
                    for write in connection.writes
                    if write.get("password") not in self.tokens[str(connection.target_of)]
                    or write.get("userName") != _credential(str(connection.target_of)).login
                    or write.get("serverAddress", connection.server_address) != f"{ACCOUNT}.snowflakecomputing.com"
                ]
        return wrong

    def _hold(self, name: str) -> None:
        credential = replace(_credential(name), secret=self.tokens[name][-2], new_secret=self.tokens[name][-1])
        self._set_connection(stage.snowflake_conn_id(credential), stage.snowflake_connection(credential))

    def _set_connection(self, conn_id: str, fields: dict[str, object]) -> None:
        for name, value in connection_environment({conn_id: fields}).items():
            self._monkeypatch.setenv(name, value)


def _filled(site: Site) -> Site:
    site.credentials |= {"etl": ETL, "bi": BI}
    site.add_datasource("etl orders", connections=[embedding(ETL)])
    site.add_workbook("etl twice", connections=[embedding(ETL), embedding(ETL)])
    site.add_workbook("etl and bi", connections=[embedding(ETL), embedding(BI), postgres_connection()])
    site.add_datasource("bi orders", connections=[embedding(BI)])
    site.add_workbook("bi overview", connections=[embedding(BI)])
    add_neighbours(site)
    return site


def _credential(name: str) -> SandboxCredential:
    return {"etl": ETL, "bi": BI}[name]


def _author_s(name: str) -> str:
    return f"what-ann-typed-for-{name}"
