"""Sessions: what X-Tableau-Auth refers to, and everything that ends one."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sandbox.tableau.clock import Clock

if TYPE_CHECKING:
    from sandbox.tableau.content import User
    from sandbox.tableau.site import Site


@dataclass(eq=False)
class Session:
    """One live session."""

    token: str
    site: Site
    user: User
    pat: str | None
    last_used: datetime


class Sessions:
    """All live sessions, by token."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._live: dict[str, Session] = {}
        self._lock = threading.Lock()
        self.started = 0

    def __len__(self) -> int:
        return len(self._live)

    def start(self, site: Site, user: User, pat: str | None = None) -> Session:
        """Start a session; one by the same Tableau PAT ends the earlier one (KB, TSC #717), a password does not."""
        token = f"{secrets.token_urlsafe(16)}|{secrets.token_urlsafe(24)}|{site.id}"
        session = Session(token, site, user, pat, self._clock.now())
        with self._lock:
            if pat is not None:
                self._live = {key: each for key, each in self._live.items() if each.pat != pat}
            self._live[token] = session
            self.started += 1
        return session

    def use(self, token: str, idle_minutes: float) -> Session | None:
        """The live session of this token, which counts as used from now on; None if it ended or idled too long."""
        now = self._clock.now()
        with self._lock:
            session = self._live.get(token)
            if session is None:
                return None
            if now - session.last_used > timedelta(minutes=idle_minutes):
                del self._live[token]
                return None
            session.last_used = now
            return session

    def end(self, token: str) -> None:
        """End one session: for everyone who shares it."""
        with self._lock:
            self._live.pop(token, None)

    def end_all(self) -> int:
        """End every session and say how many there were."""
        with self._lock:
            ended = len(self._live)
            self._live.clear()
        return ended

    def tokens(self) -> list[str]:
        """The tokens of the live sessions, oldest first."""
        return list(self._live)
