"""What is known of one connection: from the inventory to the last line of the report it is this one value."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from credential_rotation.rotation.outcomes import GREEN, Outcome, Proof
from credential_rotation.rotation.proof import Proving
from credential_rotation.rotation.snowflake_words import refusal_in
from credential_rotation.tableau.content import Connection, Content, ContentType


@dataclass(frozen=True)
class ConnectionRecord:
    """A connection and what became of it.

    ``outcome`` is None while it is a target whose turn has not come, or whose proof is not there yet. ``attempts``
    counts the updates that were sent. ``retriable`` marks an outcome that another try of the task may change.

    :param new_username: the user to embed; None for the credential's login
    :param authentication_type: how it signs in, in Tableau's word; empty where Tableau does not say
    :param updated_at: when the item was last changed or published, as Tableau says
    :param connections_in_item: how many connections its item has, itself included
    :param held_current: whether it is known to have held the token that is to be embedded before the run
    :param held: the fingerprint of the token that it is known to have held before the run; None where that is not known
    :param touched: whether Tableau may hold something else than before
    :param saved_at: when Tableau had answered the update, by this machine's clock
    :param item_updated_at: when its item was last changed as of that update, as Tableau says; None until that is seen,
        and empty where Tableau does not say it
    :param proving: how far its proof is, until that is there
    :param undoing: why what was embedded before is being put back
    :param content_url: the page on which a person sees its item
    :param seconds: how long its update and proof took so far
    """

    tableau_conn_id: str
    site: str
    content_type: ContentType
    content_id: str
    content_name: str
    project: str
    owner: str
    connection_id: str | None
    server_address: str
    server_port: str
    username: str
    snowflake_conn_id: str | None = None
    outcome: Outcome | None = None
    proof: Proof | None = None
    reason: str | None = None
    attempts: int = 0
    canary: bool = False
    retriable: bool = False
    new_username: str | None = None
    embed_password: bool | None = None
    authentication_type: str = ""
    updated_at: str = ""
    has_extracts: bool | None = None
    size: int | None = None
    connected_workbooks: int | None = None
    connections_in_item: int | None = None
    held_current: bool = False
    held: str | None = None
    touched: bool = False
    saved_at: str | None = None
    item_updated_at: str | None = None
    proving: Proving | None = None
    undoing: str | None = None
    content_url: str | None = None
    seconds: float | None = None

    @property
    def key(self) -> str:
        """Tells this connection from all others."""
        return f"{self.tableau_conn_id}/{self.content_id}/{self.connection_id}"

    @property
    def place(self) -> str:
        """Tells this connection from the others of its site, by whichever Airflow connection that was read."""
        return f"{self.content_id}/{self.connection_id}"

    @property
    def is_well(self) -> bool:
        """Whether it is as the run was asked to leave it. A roll-back that nobody asked for has a reason."""
        return self.outcome in GREEN or (self.outcome is Outcome.ROLLED_BACK and self.reason is None)

    @property
    def is_validated(self) -> bool:
        """Whether it shows, as a canary, that the rest may follow. One that was deleted shows nothing."""
        return self.is_well and self.outcome not in (Outcome.GONE, Outcome.PLANNED)

    @property
    def is_refused_by_snowflake(self) -> bool:
        """Whether it failed since Snowflake does not accept what was embedded."""
        return self.outcome is Outcome.FAILED and not self.retriable and refusal_in(self.reason or "") is not None

    @property
    def is_settled(self) -> bool:
        """Whether its update was accepted, and seen to be the latest change of its item."""
        return self.saved_at is not None and self.item_updated_at is not None

    @property
    def is_unsettled(self) -> bool:
        """Whether its update was accepted, and its item has not been looked at since."""
        return self.saved_at is not None and self.item_updated_at is None and self.outcome is None

    @property
    def holds_what_was_embedded(self) -> bool:
        """Whether it ended with what the run was to embed."""
        return self.outcome is Outcome.UPDATED or (self.outcome is Outcome.ROLLED_BACK and self.is_well)

    @property
    def updated_in_tableau(self) -> str:
        """When its update was saved, as Tableau says; empty where its item does not show that."""
        return "" if self.item_updated_at in (None, self.updated_at) else str(self.item_updated_at)

    def to_be_written(self) -> ConnectionRecord:
        """The same connection before its next update, whatever came of the one before."""
        return replace(self, saved_at=None, item_updated_at=None, proving=None)

    @property
    def is_under_way(self) -> bool:
        """Whether something was begun with it that is to be brought to its end."""
        settled = self.is_settled and self.outcome is None
        return settled or self.proving is not None or self.undoing is not None

    @property
    def can_go_on(self) -> bool:
        """Whether the next try of its task takes it up: a failure that is final is for a person to look at first."""
        return self.outcome is None or self.undoing is not None or (not self.is_well and self.retriable)

    @property
    def is_target(self) -> bool:
        """Whether a credential claims it."""
        return self.snowflake_conn_id is not None

    @property
    def title(self) -> str:
        """For people: "Sales › Orders"."""
        return f"{self.project} › {self.content_name}" if self.project else self.content_name

    @property
    def content(self) -> Content:
        """The item, as far as an update needs it."""
        return Content(
            self.content_type,
            self.content_id,
            self.content_name,
            self.project,
            updated_at=self.updated_at,
            has_extracts=self.has_extracts,
            connection_count=self.connections_in_item,
        )

    @property
    def connection(self) -> Connection:
        """The connection as it was read."""
        return Connection(
            self.connection_id or "",
            server_address=self.server_address,
            server_port=self.server_port,
            username=self.username,
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def brief(self) -> dict[str, Any]:
        """For JSON, without what still has its default."""
        return {name: value for name, value in asdict(self).items() if value != _DEFAULTS.get(name)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ConnectionRecord:
        """Back from JSON."""
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        known["content_type"] = ContentType(known["content_type"])
        for name, kind in (("outcome", Outcome), ("proof", Proof)):
            known[name] = kind(known[name]) if known.get(name) else None
        if proving := known.get("proving"):
            ruled_out = tuple(Proof(each) for each in proving["ruled_out"])
            known["proving"] = Proving(**(proving | {"ruled_out": ruled_out}))
        return cls(**known)


KILLED = "a try of its task was killed while it may have been written to, so Tableau may hold the new token"


def may_hold_the_token(record: ConnectionRecord) -> ConnectionRecord:
    """A connection of which nobody knows what came of its latest update: its task was killed."""
    known = replace(record, touched=True)
    if record.outcome in (None, Outcome.NOT_ATTEMPTED):
        return replace(known, reason=record.reason if record.is_under_way else KILLED, outcome=None)
    return known


def with_their_items(left: Collection[ConnectionRecord], latest: Iterable[ConnectionRecord]) -> list[ConnectionRecord]:
    """What is left to do, and of the same items what is done already, which is to be done once more.

    An update changes the time of the whole item. It would hide that somebody published it again since another of its
    connections was updated, so an item is updated as a whole.

    :param latest: what is known of all connections, in the order of the result
    """
    keys, items = {each.key for each in left}, {each.content_id for each in left}
    return [
        each if each.key in keys else replace(each.to_be_written(), outcome=None)
        for each in latest
        if each.key in keys or (each.content_id in items and each.holds_what_was_embedded)
    ]


_DEFAULTS = {field.name: field.default for field in fields(ConnectionRecord)}
