"""How a user's token stands: what Snowflake shows, what is kept, and whether Tableau's secret is let in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from credential_rotation.renewal import refusals
from credential_rotation.renewal.attempts import Attempts, made_by_others
from credential_rotation.renewal.decision import Decision, State, Wishes, decide
from credential_rotation.renewal.standing import InForce, Standing, only_one_may
from credential_rotation.renewal.tokens import NewSecret, Token, formers
from credential_rotation.renewal.user import User
from credential_rotation.rotation.snowflake_words import Refusal, SnowflakeRefused
from credential_rotation.token_stores.kept import KeptToken, TokenStore


class Administration(Protocol):
    """What is asked of Snowflake: :class:`credential_rotation.hooks.snowflake_admin.SnowflakeAdmin`."""

    def tokens(self, user: str) -> list[Token]:
        """The tokens of a user."""

    def rotate(self, user: str, token: str, overlap_hours: int) -> NewSecret:
        """Rotate a token; its new secret."""

    def remove(self, user: str, token: str) -> None:
        """Remove a token for good."""


SignIn = Callable[[User, str], None]
"""Signs a user in to Snowflake with a secret, as Tableau will: as a password."""


class Looker:
    """Looks at tokens, one user at a time.

    :param administration: asks Snowflake, in a session of the administrator
    :param store: where tokens are kept
    :param attempts: where each ROTATE is written down before it is sent
    :param sign_in: None where Airflow must not try secrets
    :param now: what time it is for Snowflake
    """

    def __init__(
        self,
        administration: Administration,
        store: TokenStore,
        attempts: Attempts,
        sign_in: SignIn | None,
        now: datetime,
    ) -> None:
        self._administration = administration
        self._store = store
        self._attempts = attempts
        self._sign_in = sign_in
        self._now = now

    def standing(self, user: User) -> Standing:
        """What is kept, and what Snowflake shows now."""
        return Standing(user, self._store.read(user.conn_id), self._administration.tokens(user.identifier))

    def decide(self, standing: Standing, wishes: Wishes) -> Decision:
        """What is to be done. Changes nothing, and tries no secret."""
        user, current = standing.user, standing.current
        others = self.others(standing, standing.newer)
        why = standing.why_not_in_force(others)
        decision = decide(standing.tokens, user.token_name, standing.in_force, self._now, wishes, why=why)
        found = decision.token
        if found is None:
            return decision
        if current is not None and found.name != current.name:
            return Decision(
                State.MISSING,
                problem=f"what is kept of '{user.conn_id}' is the token {current.name}, and {found.name} is meant now. "
                f"Write the secret of {found.name} into the Airflow connection; or, if it is not meant, fix extra "
                "'token_name'. A token that was renamed counts as another one.",
            )
        if standing.is_contradicted:
            problem = _other_secret(user, found)
            return replace(decision, state=State.REWRITTEN, rotate=False, problem=problem, is_current=None)
        if others and decision.problem is None:
            decision = replace(decision, alarm=_joined(only_one_may(why), decision.alarm))
        if standing.pending is not None:
            note = "a renewal was begun and did not come to its end; that comes first"
            return replace(decision, state=State.DUE, rotate=True, problem=None, note=note)
        return decision

    def others(self, standing: Standing, found: Iterable[Token]) -> list[Token]:
        """Those of former tokens that somebody else made."""
        return made_by_others(found, self._attempts.of(standing.user.conn_id), standing.own_formers)

    def tried(
        self,
        standing: Standing,
        decision: Decision,
        wishes: Wishes,
        when_locked: Callable[[SnowflakeRefused], None] = lambda _: None,
    ) -> Decision:
        """The decision, after a sign-in with the secret that Tableau is to embed.

        :param when_locked: is told when the user is locked out for a while and a renewal is due
        """
        if self._sign_in is None or decision.token is None or decision.state in _UNUSABLE_IN_ANY_CASE:
            return decision
        try:
            self._sign_in(standing.user, standing.secret)
        except SnowflakeRefused as refused:
            if refused.refusal is Refusal.LOCKED and decision.rotate:
                when_locked(refused)
                return decision
            return self._refused(decision, refused, wishes, is_pending=standing.pending is not None)
        return replace(decision, works=True)

    def _refused(self, decision: Decision, refused: SnowflakeRefused, wishes: Wishes, *, is_pending: bool) -> Decision:
        decision = replace(decision, works=False)
        said = f"{refused} {refusals.about_tableau(refused.refusal, _ends_at(decision), self._now)}"
        if is_pending:
            return replace(decision, alarm=_joined(said, decision.alarm))
        if decision.problem:
            return replace(decision, problem=f"{decision.problem} {said}")
        if wishes.force and refused.refusal in refusals.DEAD:
            return decision.noted(f"renewed because of force, though the present secret is refused: {refused}")
        return replace(decision, state=State.REFUSED, rotate=False, problem=f"{said} Nothing was rotated.")

    def adopt(self, standing: Standing, decision: Decision) -> None:
        """Keep what is known of the token that the Airflow connection holds, unless that is kept or does not count.

        From then on, a rotation by somebody else is noticed.
        """
        user, kept, token = standing.user, standing.kept, decision.token
        if not user.password or token is None or (kept is not None and kept.renewed(user.password)):
            return
        if standing.pending is not None:
            return  # It comes first, and may be the only good one.
        if (
            standing.current is not None
            and standing.in_force is not InForce.UNKNOWN
            and (standing.current.works or not decision.works)
        ):
            return
        # While a former secret works, too, the connection may hold either.
        is_known = not standing.living_formers(token.name, self._now)
        newest = [former.name for former in formers(standing.tokens, token.name)][-1:]
        adopted = KeptToken(
            user.password,
            token.name,
            expires_at=token.expires_at.isoformat() if is_known else None,
            former="".join(newest) if is_known else None,
            is_renewed=False,
            works=bool(decision.works),
        )
        if kept is None or kept.current != adopted:
            self._store.adopt(user.conn_id, adopted)


# No sign-in is needed to know it.
_UNUSABLE_IN_ANY_CASE = (State.DISABLED, State.EXPIRED, State.REWRITTEN)


def _other_secret(user: User, token: Token) -> str:
    return (
        f"the password of the Airflow connection '{user.conn_id}' was changed since the renewal, and is not the token "
        f"{token.name} in force, which that renewal made. Empty the password: then the renewed token counts again."
    )


def _ends_at(decision: Decision) -> datetime | None:
    ends = [decision.previous_ends_at, decision.token.expires_at if decision.token else None]
    return min((each for each in ends if each is not None), default=None)


def _joined(*texts: str | None) -> str:
    return " ".join(filter(None, texts))
