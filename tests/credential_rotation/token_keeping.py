"""A place for tokens that tests look into."""

from __future__ import annotations

from dataclasses import replace

from credential_rotation.token_stores.kept import KeptToken, KeptTokens, StoreUnusable


class MemoryTokenStore:
    """A :class:`credential_rotation.token_stores.kept.TokenStore` in memory, with every state it was in."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptTokens] = {}
        self.states: list[KeptTokens] = []

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
        self._put(conn_id, self.kept[conn_id])

    def _put(self, conn_id: str, kept: KeptTokens) -> None:
        self.kept[conn_id] = kept
        self.states.append(kept)
