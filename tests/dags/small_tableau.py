"""A small Tableau with three Snowflake users to rotate, and neighbours that nobody may touch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.tableau import (
    Connection,
    Content,
    Fault,
    SandboxCredential,
    Site,
    TableauState,
    oauth_connection,
    other_sign_in_connection,
    postgres_connection,
    published_link,
    snowflake_connection,
)
from sandbox.tableau.answers import Answer
from sandbox.tableau.faults import Exchange

ACCOUNT = "acme-prod"
ETL, BI, MARKETING = (
    SandboxCredential(name, ACCOUNT, f"{name.upper()}_USER", f"{name}-token-of-last-year", f"{name}-token-of-today")
    for name in ("etl", "bi", "marketing")
)


def small_tableau(*credentials: SandboxCredential, neighbours: bool = True) -> TableauState:
    """Of each credential two data sources and a workbook with a neighbour; these, links and OAuth are nobody's."""
    state = TableauState()
    site = state.add_site("acme")
    account = state.accounts.add_account(ACCOUNT)
    for credential in credentials:
        site.credentials[credential.name] = credential
        account.add_user(credential.login, [credential.secret, credential.new_secret])
        for number in (1, 2):
            site.add_datasource(f"{credential.name} orders {number}", connections=[embedding(credential)])
        beside = [postgres_connection()] if neighbours else []
        site.add_workbook(f"{credential.name} overview", connections=[embedding(credential), *beside])
    if neighbours:
        add_neighbours(site)
    return state


def add_neighbours(site: Site) -> None:
    """What a rotation must leave alone."""
    site.add_workbook("Linked", connections=[published_link()])
    site.add_datasource("By OAuth", connections=[oauth_connection()])
    site.add_datasource("By single sign-on", connections=[other_sign_in_connection()])
    site.add_datasource("Somebody else's", connections=[snowflake_connection("DEV_USER", "x", why="other_user")])


def embedding(credential: SandboxCredential) -> Connection:
    """A connection that embeds the credential's old secret."""
    return snowflake_connection(credential.login, credential.secret, target_of=credential.name)


def canary_of(site: Site, credential: SandboxCredential) -> Content:
    """What is validated on: the data source with the smallest LUID."""
    found = [target for target in site.expected_targets(credential.name) if target.content_type == "datasource"]
    return site.content(min(target.content_id for target in found))


@dataclass(frozen=True)
class DeletedJustBefore(Fault):
    """Somebody deletes the item just before this request."""

    word = "deleted"
    site: Site | None = None
    content: Content | None = None

    def play(self, exchange: Exchange) -> Answer:
        """Delete, then go on."""
        assert self.site is not None
        assert self.content is not None
        self.site.remove(self.content)
        return exchange.answer()


@dataclass(frozen=True)
class Meanwhile(Fault):
    """Something happens while this request is on its way."""

    word = "meanwhile"
    happens: Callable[[], object] = lambda: None

    def play(self, exchange: Exchange) -> Answer:
        """Let it happen, then go on."""
        self.happens()
        return exchange.answer()


def published_again_just_before(site: Site, content: Content, *, new_ids: bool = False) -> Meanwhile:
    """An author publishes the item, with its old LUIDs if nothing else is said, five seconds after what was before."""

    def publish() -> None:
        site.clock.advance(seconds=5)
        site.republish(content, "an author's password", new_ids=new_ids)

    return Meanwhile(publish)


@dataclass(frozen=True)
class RevokedJustBefore(Fault):
    """The session ends just before this request, and nobody can sign in any more."""

    word = "revoked"
    state: TableauState | None = None

    def play(self, exchange: Exchange) -> Answer:
        """Revoke, then go on."""
        assert self.state is not None
        self.state.pats.clear()
        exchange.end_session()
        return exchange.answer()
