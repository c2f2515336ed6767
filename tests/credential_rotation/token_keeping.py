"""A place for tokens that tests look into."""

from __future__ import annotations

from dataclasses import replace

from credential_rotation.renewal.attempts import Attempt
from credential_rotation.token_stores.kept import KeptToken, KeptTokens, StoreUnusable


class MemoryTokenStore:
    """A :class:`credential_rotation.token_stores.kept.TokenStore` in memory, with every state it was in."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptTokens] = {}
        self.states: list[KeptTokens] = []
        self.refuses = False

    def read(self, conn_id: str) -> KeptTokens | None:
        return self.kept.get(conn_id)

    def adopt(self, conn_id: str, current: KeptToken) -> None:
        self._put(conn_id, KeptTokens(current))

    def keep_pending(self, conn_id: str, pending: KeptToken) -> None:
        self._put(conn_id, replace(self.kept[conn_id], pending=pending))

    def promote(self, conn_id: str) -> None:
        kept = self.kept[conn_id]
        if kept.pending is None:
            raise StoreUnusable(f"There is no pending token of '{conn_id}'.")
        self._put(conn_id, KeptTokens(kept.pending, previous=kept.current))

    def drop_pending(self, conn_id: str) -> None:
        self._put(conn_id, replace(self.kept[conn_id], pending=None))

    def check(self, conn_id: str) -> None:
        if self.refuses or conn_id not in self.kept:
            raise StoreUnusable("Nothing can be written just now.")

    def _put(self, conn_id: str, kept: KeptTokens) -> None:
        if self.refuses:
            raise StoreUnusable("Nothing can be written just now.")
        self.kept[conn_id] = kept
        self.states.append(kept)


class MemoryAttempts:
    """The :class:`credential_rotation.renewal.attempts.Attempts` of tests."""

    def __init__(self) -> None:
        self.made: dict[str, list[Attempt]] = {}

    def of(self, conn_id: str) -> list[Attempt]:
        return self.made.get(conn_id, [])

    def begin(self, conn_id: str, attempt: Attempt) -> None:
        self.made.setdefault(conn_id, []).append(attempt)

    def end(self, conn_id: str, former: str) -> None:
        self.made[conn_id][-1] = replace(self.made[conn_id][-1], former=former)
