"""Sessions: the pair of tokens that a sign-in gives, and what a session remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.snowflake import errors
from sandbox.snowflake.sign_in import Admission
from sandbox.tableau.clock import Clock

SESSION_SECONDS = 3600
MASTER_SECONDS = 4 * 3600


@dataclass(eq=False)
class Session:
    """One signed-in client."""

    id: int
    token: str
    master_token: str
    admission: Admission
    role: str
    expires_at: datetime
    master_expires_at: datetime
    parameters: dict[str, Any] = field(default_factory=dict)
    database: str | None = None
    schema: str | None = None
    warehouse: str | None = None
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)  # first answers by requestId, for replays


class Sessions:
    """All sessions. They outlive the token that opened them, as the real ones do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}  # by session token
        self.opened = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, session_id: int, token: str, master_token: str, admission: Admission) -> Session:
        """Open a session."""
        now = self._clock.now()
        session = Session(
            session_id,
            token,
            master_token,
            admission,
            admission.role,
            now + timedelta(seconds=SESSION_SECONDS),
            now + timedelta(seconds=MASTER_SECONDS),
        )
        self._sessions[token] = session
        self.opened += 1
        return session

    def use(self, token: str | None) -> Session:
        """The live session with this token, or Snowflake's refusal."""
        session = self._sessions.get(token or "")
        if session is None:
            raise errors.session_gone()
        if self._clock.now() >= session.expires_at:
            raise errors.session_expired()
        return session

    def renew(self, master_token: str | None, new_token: str) -> Session:
        """Give a session a new token, in exchange for its master token."""
        found = [session for session in self._sessions.values() if session.master_token == master_token]
        if not found or self._clock.now() >= found[0].master_expires_at:
            raise errors.master_token_expired()
        session = found[0]
        del self._sessions[session.token]
        session.token = new_token
        session.expires_at = self._clock.now() + timedelta(seconds=SESSION_SECONDS)
        self._sessions[new_token] = session
        return session

    def expire(self, token: str) -> None:
        """Let a session's token be over, as if its hour had passed: the driver renews it."""
        if token in self._sessions:
            self._sessions[token].expires_at = self._clock.now()

    def close(self, token: str) -> None:
        """End a session."""
        self._sessions.pop(token, None)

    def close_all(self) -> int:
        """End every session; how many there were."""
        count = len(self._sessions)
        self._sessions.clear()
        return count
