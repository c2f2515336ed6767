"""One Tableau session for many threads, processes and hosts.

Signing in again with the same Tableau PAT ends the session that is in use (server-client-python #717), so everybody
who works for the same Airflow connection must use the same session. The rule is compare-and-refresh: who finds the
session ended asks for another one *naming the session that failed*; if the store holds a different one by now, somebody
was faster and that one is taken. Learned from tableau-migration-sdk's ``AuthenticationTokenProvider``.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from credential_rotation.tableau.errors import SignInRefused
from credential_rotation.tableau.refusals import RefusalMemory
from credential_rotation.tableau.session import SessionSeal, TableauSession

log = logging.getLogger(__name__)

# Hosts can't lock each other out; waiting a moment of random length lets one be first and the others find its session.
_HOST_JITTER_SECONDS = 0.4


class SessionStore(Protocol):
    """Where the sealed session lives, for all processes of all hosts."""

    def read(self) -> str | None:
        """The stored text, or None."""

    def write(self, text: str) -> None:
        """Store a text."""

    def delete(self) -> None:
        """Forget it."""


class SessionSharing:
    """Hands out the one session, and renews it when it has ended.

    :param store: where the session is kept
    :param seal: encrypts it there
    :param sign_in: signs in to Tableau, and returns a new session
    :param keep_secret: is told each session token before it is used, so that no log shows it
    :param lock_file: a file on this host by which its processes wait for one another; None: only threads do
    """

    def __init__(
        self,
        store: SessionStore,
        seal: SessionSeal,
        sign_in: Callable[[], TableauSession],
        keep_secret: Callable[[str], None],
        lock_file: Path | None = None,
    ) -> None:
        self._store = store
        self._seal = seal
        self._sign_in = sign_in
        self._keep_secret = keep_secret
        self._lock_file = lock_file
        self._refusals = RefusalMemory(seal, lock_file.with_suffix(".refused") if lock_file else None)
        self._lock = threading.RLock()
        self._session: TableauSession | None = None

    def current(self) -> TableauSession:
        """The session to use now."""
        return self._session or self.renew(None)

    def renew(self, failed: TableauSession | None) -> TableauSession:
        """Another session than the one that failed: one that somebody signed in to meanwhile, or a new one."""
        with self._lock:
            if self._session and not _same(self._session, failed):
                return self._session
            with _locked(self._lock_file):
                self._session = self._stored_other_than(failed) or self._renew_as_first(failed)
            return self._session

    def stored(self) -> TableauSession | None:
        """The session in the store, if it is one of this sign-in."""
        text = self._store.read()
        session = self._seal.open(text) if text else None
        if session:
            self._keep_secret(session.token)
        return session

    def forget(self, session: TableauSession) -> None:
        """Take a session out of the store, unless another one has taken its place."""
        with self._lock, _locked(self._lock_file):
            self._session = None
            if _same(self.stored(), session):
                self._store.delete()

    def _stored_other_than(self, failed: TableauSession | None) -> TableauSession | None:
        stored = self.stored()
        return None if stored is None or _same(stored, failed) else stored

    def _renew_as_first(self, failed: TableauSession | None) -> TableauSession:
        time.sleep(random.uniform(0, _HOST_JITTER_SECONDS))
        if faster := self._stored_other_than(failed):
            return faster
        self._refusals.raise_if_recent()
        try:
            session = self._sign_in()
        except SignInRefused as error:
            self._refusals.remember(error)
            raise
        self._keep_secret(session.token)
        self._store.write(self._seal.seal(session))
        return session


def _same(one: TableauSession | None, other: TableauSession | None) -> bool:
    return one is not None and other is not None and one.token == other.token


def host_lock_file(folder: Path, name: str) -> Path | None:
    """A lock file for this name below a folder; None where the folder can't be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning("Processes of this host can't wait for one another when they sign in: %s", error)
        return None
    return folder / (hashlib.sha256(name.encode()).hexdigest()[:16] + ".lock")


@contextmanager
def _locked(file: Path | None) -> Iterator[None]:
    with ExitStack() as opened:
        if file:
            try:
                fcntl.flock(opened.enter_context(file.open("a")), fcntl.LOCK_EX)
            except OSError as error:
                # Another user's file, or a file system without locks: jitter must do, as it does among hosts.
                log.warning("Processes of this host can't wait for one another when they sign in: %s", error)
        yield
