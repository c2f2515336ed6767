"""The renewal of one user's token: looked at, rotated, kept immediately, tried, and only then made current.

It may be killed between any two lines; the next run continues from what Snowflake shows and what is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from credential_rotation.renewal import refusals
from credential_rotation.renewal.attempts import Attempt, Attempts
from credential_rotation.renewal.decision import Decision, State, Wishes
from credential_rotation.renewal.looking import Administration, Looker, SignIn
from credential_rotation.renewal.standing import InForce, is_in_force, only_one_may, somebody_else
from credential_rotation.renewal.tokens import SecretLost, Token, UnexpectedAnswer, formers, in_force, shown
from credential_rotation.renewal.user import User
from credential_rotation.rotation.snowflake_words import Refusal, SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.token_stores.kept import KeptToken, StoreUnusable, TokenStore

log = logging.getLogger(__name__)

# The first secret may be lost, or replaced by somebody else in the same moment; more would use up the 15 tokens.
_ROTATIONS_IN_A_RUN = 2
# A new secret exists nowhere else: a store that stumbles once must not lose it.
_KEEPING_TRIES = 3
_KEEPING_WAIT = 2.0


@dataclass(frozen=True)
class Renewal:
    """What came of it. ``is_renewed`` when there is a new current token."""

    decision: Decision
    is_renewed: bool = False


class RenewalFailed(Exception):
    """A token was rotated, but can't be used; the text says what the matter is, and how long there is to fix it.

    :param retry_after: seconds after which another try may help; None where only a person can
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Renewer:
    """Renews tokens, one user at a time.

    :param administration: asks Snowflake, in a session of the administrator
    :param store: where tokens are kept
    :param attempts: where each ROTATE is written down before it is sent
    :param sign_in: signs a user in to Snowflake with a secret, as Tableau will: as a password. None where Airflow must
        not try secrets
    :param now: what time it is for Snowflake
    :param run_id: the run that renews
    :param dry_run: whether looking must leave no trace
    """

    def __init__(
        self,
        administration: Administration,
        store: TokenStore,
        attempts: Attempts,
        sign_in: SignIn | None,
        now: datetime,
        *,
        run_id: str,
        dry_run: bool = False,
    ) -> None:
        self._administration = administration
        self._store = store
        self._attempts = attempts
        self._sign_in = sign_in
        self._now = now
        self._run_id = run_id
        self._dry_run = dry_run
        self._looker = Looker(administration, store, attempts, sign_in, now)

    def see(self, user: User, wishes: Wishes) -> Decision:
        """What is to be done about a user's token. Changes nothing, and tries no secret."""
        return self._looker.decide(self._looker.standing(user), wishes)

    def look(self, user: User, wishes: Wishes) -> Decision:
        """What is to be done about a user's token, after a sign-in with the secret that Tableau is to embed.

        From the first look on, what is known of the token is kept, so that a rotation by somebody else is noticed.
        """
        standing = self._looker.standing(user)
        decision = self._looker.tried(standing, self._looker.decide(standing, wishes), wishes)
        if decision.works is not False and not self._dry_run and not decision.problem:
            self._looker.adopt(standing, decision)
        return decision

    def renew(self, user: User, wishes: Wishes) -> Renewal:
        """Do what is due for a user's token.

        :raises RenewalFailed: when there is a new token that can't be used
        :raises SecretLost: when Snowflake rotated the token, twice, and the secret never arrived
        :raises SnowflakeRefused: when it was not rotated
        """
        standing = self._looker.standing(user)
        known = {token.name for token in standing.tokens}
        if standing.kept is not None and standing.kept.current.run_id == self._run_id:
            wishes = replace(wishes, force=False)  # An earlier try of this run renewed it already.
        if standing.pending is not None:
            if self._finish(user, standing.pending, gives_up=wishes.force):
                return self._renewed(user, known)
            standing = self._looker.standing(user)
        decision = self._looker.decide(standing, wishes)
        if not decision.rotate:
            return Renewal(decision)
        decision = self._looker.tried(standing, decision, wishes, when_locked=_raise)
        if not decision.rotate or decision.token is None:
            return Renewal(decision)
        self._looker.adopt(standing, decision)
        # What a place for tokens does not take is found out before a secret depends on it.
        self._store.check(user.conn_id)
        for rotation in range(_ROTATIONS_IN_A_RUN):
            try:
                pending = self._rotate(user, decision.token.name, decision.overlap_hours)
            except SecretLost as lost:
                if rotation == _ROTATIONS_IN_A_RUN - 1:
                    raise
                log.warning("%s Rotating once more.", lost)
                continue
            if self._finish(user, pending):
                return self._renewed(user, known, decision)
        raise RenewalFailed(
            f"Each time that the token {decision.token.name} of {user.name} was rotated here, somebody else rotated it "
            f"right after. Only one may: see who else does. {self._state_of_the_present_one(user)}"
        )

    def remove_rotated(self, user: User) -> list[str]:
        """Remove what a user's token was before; the names. Only where nothing embeds that any more.

        Nothing is removed where the current token is not the one in force: then it is one of the rotated ones itself.
        """
        standing = self._looker.standing(user)
        current = standing.current
        if current is None or standing.pending is not None or standing.in_force is not InForce.YES:
            return []
        rotated = [token.name for token in standing.living_formers(current.name, self._now)]
        for name in rotated:
            self._administration.remove(user.identifier, name)
            log.info("The rotated token %s of %s is removed.", name, user.name)
        return rotated

    # -- rotating ---------------------------------------------------------------------------------------------------

    def _tokens(self, user: User) -> list[Token]:
        return self._administration.tokens(user.identifier)

    def _rotate(self, user: User, name: str, overlap_hours: int) -> KeptToken:
        """ROTATE, and keep the new secret.

        :raises SecretLost: when Snowflake did it, and the secret did not arrive
        """
        before = [token.name for token in formers(self._tokens(user), name)]
        attempt = Attempt(self._now.isoformat(timespec="seconds"), "".join(before[-1:]))
        self._attempts.begin(user.conn_id, attempt)
        try:
            new = self._administration.rotate(user.identifier, name, overlap_hours)
        except (SnowflakeRefused, SnowflakeUnreachable, UnexpectedAnswer) as problem:
            raise self._after_failure(user, name, before, problem) from None
        renewed_at = self._now.isoformat(timespec="seconds")
        pending = KeptToken(new.secret, name, former=new.former, renewed_at=renewed_at, run_id=self._run_id)
        pending = replace(pending, beside=pending.mark_of(user.password))
        keeping = Retrying(
            retry=retry_if_exception_type(StoreUnusable),
            stop=stop_after_attempt(_KEEPING_TRIES),
            wait=wait_fixed(_KEEPING_WAIT),
            reraise=True,
        )
        keeping(self._store.keep_pending, user.conn_id, pending)
        if not pending.former:
            # Snowflake did not name it; what it left is to be seen.
            made = self._new_formers(user, name, before)
            pending = replace(pending, former=made[-1].name if made else None)
            self._store.keep_pending(user.conn_id, pending)
        self._attempts.end(user.conn_id, pending.former or "")
        log.info("The token %s of %s is rotated, and its new secret is kept.", name, user.name)
        return pending

    def _after_failure(self, user: User, name: str, before: Sequence[str], problem: Exception) -> Exception:
        """What a failed ROTATE amounts to: Snowflake may have done it all the same, and then a clock runs."""
        try:
            made = self._new_formers(user, name, before)
        except (SnowflakeRefused, SnowflakeUnreachable, UnexpectedAnswer) as unseen:
            return SnowflakeUnreachable(
                f"{problem} Whether the token {name} of {user.name} was rotated all the same could not be seen: "
                f"{unseen}"
            )
        if made or not isinstance(problem, SnowflakeUnreachable):  # else it may still take effect
            self._attempts.end(user.conn_id, made[-1].name if made else "")
        if not made:
            return problem
        return SecretLost(
            f"Snowflake rotated the token {name} of {user.name}, though its answer was: {problem} The new secret never "
            f"arrived; what Tableau embeds is {made[-1].name} now, and ends at {shown(made[-1].expires_at)}."
        )

    def _new_formers(self, user: User, name: str, before: Sequence[str]) -> list[Token]:
        return [token for token in formers(self._tokens(user), name) if token.name not in before]

    def _finish(self, user: User, pending: KeptToken, *, gives_up: bool = False) -> bool:
        """Bring a pending token to its end; False when it is dead or not in force, and so forgotten.

        One that somebody has rotated works on for a while, and then dies without a word.

        :param gives_up: whether one that Snowflake calls dead is forgotten even if there is a token of its name
        """
        tokens = self._tokens(user)
        found = in_force(tokens, pending.name)
        if found is not None:
            known = is_in_force(pending, tokens)
            if known is InForce.NO:
                log.warning("The token that was kept of %s is not the one in force any more, and forgotten.", user.name)
                self._store.drop_pending(user.conn_id)
                return False
            if pending.expires_at is None and known is InForce.YES:
                # By that it is known again, and never forgotten, though it can't sign in yet.
                pending = replace(pending, expires_at=found.expires_at.isoformat())
                self._store.keep_pending(user.conn_id, pending)
        if not self._signs_in(user, pending, is_listed=found is not None and not gives_up):
            return False
        kept = self._store.read(user.conn_id)
        if kept is None or kept.pending is None or kept.pending.secret != pending.secret:
            return False  # Another try of this task was faster.
        self._store.promote(user.conn_id)
        log.info("The new token %s of %s works, and is the current one from now on.", pending.name, user.name)
        return is_in_force(pending, self._tokens(user)) is not InForce.NO

    def _signs_in(self, user: User, pending: KeptToken, *, is_listed: bool) -> bool:
        """Try a pending token once; False when it is dead, and forgotten."""
        if self._sign_in is None:
            return True
        try:
            self._sign_in(user, pending.secret)
        except SnowflakeRefused as refused:
            # A token whose role is gone is called invalid, too; but it is there.
            if is_listed or refused.refusal not in refusals.DEAD:
                retry_after = refusals.LOCKED_SECONDS if refused.refusal is Refusal.LOCKED else None
                kept = "The new token is kept, and tried again in the next run; force gives it up."
                raise RenewalFailed(f"{refused} {kept} {self._state_of_the_present_one(user)}", retry_after) from None
            log.warning("The token that was kept of %s is dead, and forgotten. %s", user.name, refused)
            self._store.drop_pending(user.conn_id)
            return False
        return True

    def _state_of_the_present_one(self, user: User) -> str:
        """What becomes of what Tableau embeds, while the new token can't be used: a policy may end both."""
        try:
            standing = self._looker.standing(user)
        except (SnowflakeRefused, SnowflakeUnreachable, UnexpectedAnswer, StoreUnusable) as unseen:
            return f"Until when what Tableau embeds works could not be seen: {unseen}"
        ends_at = self._looker.decide(standing, Wishes()).previous_ends_at
        until = f"What Tableau embeds ends at {shown(ends_at)}." if ends_at else "WHAT TABLEAU EMBEDS HAS ENDED."
        if self._sign_in is None:
            return until
        try:
            self._sign_in(user, standing.secret)
        except SnowflakeRefused as refused:
            return f"So is the previous secret: {refusals.about_tableau(refused.refusal, ends_at, self._now)}"
        except SnowflakeUnreachable:
            return until
        return f"The previous secret still signs in. {until}"

    def _renewed(self, user: User, known: set[str], decision: Decision | None = None) -> Renewal:
        """The result, with an alarm where somebody else rotated meanwhile."""
        standing = self._looker.standing(user)
        name = standing.kept.current.name if standing.kept else ""
        came = [token for token in formers(standing.tokens, name) if token.name not in known]
        found = decision or Decision(State.DUE, in_force(standing.tokens, name))
        if others := self._looker.others(standing, came):
            alarm = only_one_may(somebody_else(user, name, others))
            found = replace(found, alarm=f"{alarm} {found.alarm}" if found.alarm else alarm)
        return Renewal(found, is_renewed=True)


def _raise(refused: SnowflakeRefused) -> None:
    raise refused
