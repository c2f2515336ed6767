"""The renewal of one user's token: rotated, kept at once, tried, and only then made current.

It may be killed between any two lines; the next run goes on from what Snowflake shows and what is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from credential_rotation.renewal.decision import Decision, State, Wishes, decide
from credential_rotation.renewal.identifiers import identifier, quoted
from credential_rotation.renewal.tokens import NewSecret, Token
from credential_rotation.rotation.snowflake_words import Refusal, SnowflakeRefused
from credential_rotation.token_stores.kept import KeptToken, KeptTokens, TokenStore

log = logging.getLogger(__name__)

# What says that this very secret is dead, and not that its user, role or network is in a bad state just now.
_DEAD = (Refusal.TOKEN_INVALID, Refusal.TOKEN_EXPIRED, Refusal.WRONG_PASSWORD)


class Administration(Protocol):
    """What is asked of Snowflake: :class:`credential_rotation.hooks.snowflake_admin.SnowflakeAdmin`."""

    def tokens(self, user: str) -> list[Token]:
        """The tokens of a user."""

    def rotate(self, user: str, token: str, overlap_hours: int) -> NewSecret:
        """Rotate a token; its new secret."""

    def remove(self, user: str, token: str) -> None:
        """Remove a token for good."""


@dataclass(frozen=True)
class User:
    """A Snowflake user whose token is renewed.

    :param conn_id: the Airflow connection
    :param login: what it signs in with, and what Tableau embeds
    :param password: what the Airflow connection holds
    :param user_name: what SHOW USERS calls it; None where that is the login, which then is read as SQL reads a name
    :param token_name: the token that is meant; None where the user has just one
    :param admin_conn_id: the Airflow connection of who may rotate it
    """

    conn_id: str
    login: str
    password: str = field(repr=False)
    user_name: str | None = None
    token_name: str | None = None
    admin_conn_id: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.user_name or self.login

    @property
    def identifier(self) -> str:
        """What statements call it."""
        return quoted(self.user_name) if self.user_name else identifier(self.login)

    def is_same_token(self, other: User) -> bool:
        """Whether another may mean the same token, if it is of the same account."""
        if self.login.casefold() != other.login.casefold() and self.name.casefold() != other.name.casefold():
            return False
        names = (self.token_name, other.token_name)
        return None in names or self.token_name.casefold() == other.token_name.casefold()  # type: ignore[union-attr]


@dataclass(frozen=True)
class Renewal:
    """What came of it. ``is_renewed`` when there is a new current token."""

    decision: Decision
    is_renewed: bool = False


class RenewalFailed(Exception):
    """A token was rotated, but can't be used; the text says what the matter is, and how long there is to mend it."""


class Renewer:
    """Renews tokens, one user at a time.

    :param administration: asks Snowflake, in a session of the administrator
    :param store: where tokens are kept
    :param sign_in: signs a user in to Snowflake with a secret, as Tableau will: as a password
    :param now: what time it is for Snowflake
    """

    def __init__(
        self,
        administration: Administration,
        store: TokenStore,
        sign_in: Callable[[User, str], None],
        now: datetime,
    ) -> None:
        self._administration = administration
        self._store = store
        self._sign_in = sign_in
        self._now = now

    def look(self, user: User, wishes: Wishes) -> Decision:
        """What is to be done about a user's token. Changes nothing.

        One that is kept but was not tried yet, because a run was killed, is due: it is to be brought to its end.
        """
        kept = self._store.read(user.conn_id)
        decision = self._decide(user, kept, self._administration.tokens(user.identifier), wishes)
        if kept is not None and kept.pending is not None and decision.token is not None:
            note = "a renewal was begun and did not come to its end; that comes first"
            return replace(decision, state=State.DUE, rotate=True, problem=None, note=note)
        return decision

    def renew(self, user: User, wishes: Wishes) -> Renewal:
        """Do what is due for a user's token.

        :raises RenewalFailed: when there is a new token that can't be used
        """
        kept = self._store.read(user.conn_id)
        tokens = self._administration.tokens(user.identifier)
        if kept is not None and kept.pending is not None:
            renewed = self._go_on(user, kept.pending, tokens)
            if renewed is not None:
                return renewed
            kept = self._store.read(user.conn_id)
        decision = self._decide(user, kept, tokens, wishes)
        if not decision.rotate or decision.token is None:
            return Renewal(decision)
        token = decision.token
        if kept is None or _is_outdated(user, kept):
            # From here on it shows when a rotation is lost: the token in force is another one then.
            adopted = KeptToken(user.password, token.name, token.expires_at.isoformat(), is_renewed=False)
            self._store.adopt(user.conn_id, adopted)
        else:
            # A place that takes nothing just now is found out before a secret depends on it.
            self._store.check(user.conn_id)
        formers = _formers(tokens, token.name)
        new = self._administration.rotate(user.identifier, token.name, decision.overlap_hours)
        pending = KeptToken(new.secret, token.name, formers=[*formers, new.former] if new.former else None)
        self._store.keep_pending(user.conn_id, pending)
        log.info("The token %s of %s is rotated, and its new secret is kept.", token.name, user.name)
        renewed = self._go_on(user, pending, self._administration.tokens(user.identifier))
        if renewed is None:
            raise RenewalFailed(
                f"The token {token.name} that Snowflake has just handed out is dead, or somebody else has rotated it "
                "meanwhile. Run again."
            )
        return replace(renewed, decision=decision)

    def remove_rotated(self, user: User) -> list[str]:
        """Remove what a user's token was before; the names. Only where nothing embeds that any more.

        Nothing is removed where the current token is not the one in force: then it is one of the rotated ones itself.
        """
        kept = self._store.read(user.conn_id)
        if kept is None or kept.pending is not None or _is_outdated(user, kept) or kept.current.expires_at is None:
            return []
        tokens = self._administration.tokens(user.identifier)
        in_force = _in_force(tokens, kept.current.name)
        if in_force is None or not in_force.expires_about(datetime.fromisoformat(kept.current.expires_at)):
            return []
        rotated = [token.name for token in tokens if token.rotated_to == in_force.name and token.is_alive(self._now)]
        for name in rotated:
            self._administration.remove(user.identifier, name)
            log.info("The rotated token %s of %s is removed.", name, user.name)
        return rotated

    def _decide(self, user: User, kept: KeptTokens | None, tokens: Sequence[Token], wishes: Wishes) -> Decision:
        current = kept.current if kept is not None and not _is_outdated(user, kept) else None
        known = datetime.fromisoformat(current.expires_at) if current and current.expires_at else None
        decision = decide(tokens, user.token_name, known, self._now, wishes)
        found = decision.token
        if current is None or found is None or found.name == current.name or (known and found.expires_about(known)):
            return decision
        return Decision(
            State.MISSING,
            problem=f"what is kept of '{user.conn_id}' is the token {current.name}, and extra 'token_name' means "
            f"{found.name}. Mend that extra; or write the secret of {found.name} into the Airflow connection, and "
            "delete what is kept.",
        )

    def _go_on(self, user: User, pending: KeptToken, tokens: Sequence[Token]) -> Renewal | None:
        """Bring a pending token to its end; None when it is dead or not the one in force, and so forgotten.

        One that somebody has rotated works on for a while, and dies without a word.
        """
        in_force = _in_force(tokens, pending.name)
        if in_force is None:
            return self._finish(user, pending, tokens)
        if not self._is_in_force(pending, in_force, tokens):
            log.warning("The token that was kept of %s is not the one in force any more, and forgotten.", user.name)
            self._store.drop_pending(user.conn_id)
            return None
        if pending.expires_at is None:
            # By that it is known again, and never forgotten, though it can't sign in yet.
            pending = replace(pending, expires_at=in_force.expires_at.isoformat())
            self._store.keep_pending(user.conn_id, pending)
        return self._finish(user, pending, tokens)

    def _is_in_force(self, pending: KeptToken, in_force: Token, tokens: Sequence[Token]) -> bool:
        if pending.expires_at is not None:
            return in_force.expires_about(datetime.fromisoformat(pending.expires_at))
        return pending.formers is not None and set(_formers(tokens, pending.name)) <= set(pending.formers)

    def _finish(self, user: User, pending: KeptToken, tokens: Sequence[Token]) -> Renewal | None:
        """Try a pending token once, and make it current; None when it is dead, and forgotten."""
        in_force = _in_force(tokens, pending.name)
        try:
            self._sign_in(user, pending.secret)
        except SnowflakeRefused as refused:
            # A token whose role is gone is called invalid, too; but it is there.
            if in_force is not None or refused.refusal not in _DEAD:
                raise RenewalFailed(f"{refused} {self._time_left(pending, tokens)}") from None
            log.warning("The token that was kept of %s is dead, and forgotten. %s", user.name, refused)
            self._store.drop_pending(user.conn_id)
            return None
        self._store.promote(user.conn_id)
        log.info("The new token %s of %s works, and is the current one from now on.", pending.name, user.name)
        return Renewal(Decision(State.DUE, in_force), is_renewed=True)

    def _time_left(self, pending: KeptToken, tokens: Sequence[Token]) -> str:
        before = [token for token in tokens if token.rotated_to == pending.name and token.is_alive(self._now)]
        if not before:
            return "THE SECRET BEFORE IT, WHICH TABLEAU EMBEDS, IS DEAD."
        # Of several, all but one were lost; which one Tableau embeds can't be seen.
        until = min(token.expires_at for token in before)
        kept = "The new token is kept, and tried again at the next run; what Tableau embeds lives until"
        return f"{kept} {until:%Y-%m-%d %H:%M} UTC."


def _is_outdated(user: User, kept: KeptTokens) -> bool:
    """Whether a person has written another token into the Airflow connection, while that is still what counts."""
    return not kept.current.is_renewed and kept.current.secret != user.password


def _formers(tokens: Sequence[Token], name: str) -> list[str]:
    """The names of what a token was before; Snowflake shows also those that expired lately."""
    return [token.name for token in tokens if token.rotated_to == name]


def _in_force(tokens: Sequence[Token], name: str) -> Token | None:
    return next((token for token in tokens if token.rotated_to is None and token.name == name), None)
