"""What is known to be embedded on a site, so that a run does only what is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.content import ContentType


@dataclass(frozen=True)
class Entry:
    """What a run left in a connection.

    :param token: the fingerprint of the secret
    :param username: the user that was embedded with it
    :param saved_at: when Tableau had answered, by the clock of a worker: tells which of several runs was the latest
    :param run_id: the run that did it
    :param item_updated_at: when the item was last changed as of that update, as Tableau says
    :param content_type: what its item is
    :param snowflake_conn_id: the Airflow connection of its credential
    """

    token: str
    username: str
    saved_at: str
    run_id: str
    proof: Proof | None = None
    item_updated_at: str | None = None
    content_type: ContentType | None = None
    snowflake_conn_id: str | None = None


@dataclass(frozen=True)
class Secrets:
    """Fingerprints of a credential's secrets: the one that a run embeds, and the one that it puts back if need be."""

    token: str
    previous: str | None = None


class Ledger:
    """The entries of one site, by connection."""

    def __init__(self, entries: Mapping[str, Entry] | None = None) -> None:
        self._entries = dict(entries or {})

    def is_current(self, record: ConnectionRecord, token: str, username: str) -> bool:
        """Whether a connection is known to hold a user and token, and nothing happened to its item since then."""
        entry = self._entries.get(record.place)
        if entry is None or entry.token != token or entry.username.casefold() != username.casefold():
            return False
        if record.username.casefold() != username.casefold() or record.embed_password is False:
            return False
        # Without a time, nobody knows whether the item was published again.
        return bool(entry.item_updated_at) and record.updated_at == entry.item_updated_at

    def marked(self, record: ConnectionRecord) -> ConnectionRecord:
        """The record of a connection that is current."""
        entry = self._entries[record.place]
        settled = replace(record, saved_at=entry.saved_at, item_updated_at=entry.item_updated_at)
        return replace(settled, outcome=Outcome.UNCHANGED, proof=entry.proof)

    def learn(self, record: ConnectionRecord, secrets: Secrets, login: str, run_id: str) -> None:
        """Keep what a run says of a connection; where it is not sure, forget what was known."""
        if record.outcome is Outcome.UNCHANGED:
            self._learn_proof(record)
        if record.outcome in (Outcome.EXCLUDED, Outcome.PLANNED, Outcome.UNCHANGED):
            return
        put_back = record.outcome is Outcome.ROLLED_BACK and not record.is_well
        token = secrets.previous if put_back else secrets.token
        username = record.username if put_back else record.new_username or login
        if record.outcome in (Outcome.UPDATED, Outcome.ROLLED_BACK) and token and record.saved_at:
            known = self._entries.get(record.place)
            if known and known.saved_at > record.saved_at:
                return  # Somebody cleared tasks of a run before the latest.
            self._entries[record.place] = Entry(
                token,
                username,
                record.saved_at,
                run_id,
                record.proof,
                record.item_updated_at,
                record.content_type,
                record.snowflake_conn_id,
            )
        elif record.touched or record.outcome is Outcome.GONE or (record.outcome is Outcome.FAILED and record.saved_at):
            self.forget(record.place)

    def _learn_proof(self, record: ConnectionRecord) -> None:
        """Of what was not written, only its proof may be new."""
        known = self._entries.get(record.place)
        if known and record.saved_at == known.saved_at:
            self._entries[record.place] = replace(known, proof=record.proof)

    def forget_what_changed(self, records: Iterable[ConnectionRecord]) -> bool:
        """Forget connections whose item was changed since they were updated; whether there were any.

        Before any of them is updated again: that changes the time of the item, and would hide it from the others.
        """
        known = [record for record in records if record.place in self._entries]
        changed = [each for each in known if not self.is_current(each, **_as_known(self._entries[each.place]))]
        for record in changed:
            self.forget(record.place)
        return bool(changed)

    def forget(self, place: str) -> None:
        """Let nothing be known of a connection."""
        self._entries.pop(place, None)

    def entries(self) -> Iterable[tuple[str, Entry]]:
        """What is known, by the place of each connection."""
        return self._entries.items()

    def tokens_of(self, username: str) -> set[str]:
        """The fingerprints of the secrets that are embedded for a user."""
        return {entry.token for entry in self._entries.values() if entry.username.casefold() == username.casefold()}

    def token_in(self, key: str) -> str | None:
        """The fingerprint of the secret that is known to be in a connection, named as ``<content id>/<its id>``."""
        entry = self._entries.get(key)
        return entry.token if entry else None

    def runs_of(self, tokens: Iterable[str]) -> list[str]:
        """The runs that embedded one of these tokens where it still is, as far as is known; the oldest first."""
        wanted = set(tokens)
        found = [entry for entry in self._entries.values() if entry.token in wanted]
        return list(dict.fromkeys(entry.run_id for entry in sorted(found, key=lambda entry: entry.saved_at)))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {key: asdict(entry) for key, entry in sorted(self._entries.items())}

    @classmethod
    def from_dict(cls, values: Mapping[str, Mapping[str, Any]]) -> Ledger:
        """Back from JSON."""
        return cls({key: _entry(each) for key, each in values.items()})


def _as_known(entry: Entry) -> dict[str, str]:
    return {"token": entry.token, "username": entry.username}


def _entry(values: Mapping[str, Any]) -> Entry:
    kinds: dict[str, type[StrEnum]] = {"proof": Proof, "content_type": ContentType}
    return Entry(**dict(values) | {name: kind(values[name]) for name, kind in kinds.items() if values.get(name)})
