"""What holds of a Snowflake user on a site: Ready, Renewing, Degraded, Expiring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from credential_rotation.fleet.model import Condition, ConditionKind, TokenBrief
from credential_rotation.fleet.site_state import UserState
from credential_rotation.renewal.report import FAILED, deadline_in_words
from credential_rotation.renewals import Renewal

_EXPIRED = "Expired"


@dataclass(frozen=True)
class Standing:
    """All that the conditions of a user on a site depend on.

    :param in_force: the fingerprint of the token in force
    """

    user: UserState
    in_force: str
    renewal: Renewal
    token: TokenBrief | None

    @property
    def current(self) -> int:
        """How many connections embed the token in force."""
        return self.user.holding.get(self.in_force, 0) if self.in_force else 0

    def deadline(self, now: datetime) -> str:
        """Until when the connections work that may hold a previous secret; empty where that is not known."""
        ends_at = self.renewal.previous_ends_at
        if not self.old or ends_at is None or self.renewal.token != self.in_force:
            return ""
        return f" {deadline_in_words(self.old, self.user.targets, datetime.fromisoformat(ends_at), now)}"

    @property
    def old(self) -> int:
        """How many are not known to."""
        return self.user.targets - self.current


def conditions_of(standing: Standing, now: datetime) -> tuple[Condition, ...]:
    """The conditions that hold."""
    renewing = _renewing(standing, now)
    # That a renewed token is not everywhere yet is no fault as long as nothing fails.
    degraded = _degraded(standing, now) or (None if renewing else _not_current(standing))
    holding = [condition for condition in (_expiring(standing.token, now), renewing, degraded) if condition]
    if renewing or degraded or any(condition.reason == _EXPIRED for condition in holding):
        return tuple(holding)
    return (_ready(standing.user), *holding)


def _ready(user: UserState) -> Condition:
    if not user.targets:
        return Condition(ConditionKind.READY, "NoTargets", "No connection on this site embeds this user.")
    return Condition(
        ConditionKind.READY, "AllCurrent", "Every connection embeds the token in force.", since=user.ready_since
    )


def _expiring(token: TokenBrief | None, now: datetime) -> Condition | None:
    if token is None or token.expires_at is None:
        return None
    if datetime.fromisoformat(token.expires_at) <= now:
        message = "The token has expired: what embeds it can't connect any more."
        return Condition(ConditionKind.EXPIRING, _EXPIRED, message, since=token.expires_at)
    if token.renew_from is None or datetime.fromisoformat(token.renew_from) > now:
        return None
    if token.outcome == FAILED:
        message = f"The token is due, and could not be renewed: {token.reason}"
        return Condition(ConditionKind.EXPIRING, "RenewalFailed", message, since=token.renew_from)
    message = "The token is due; the next run of renew_snowflake_pat renews it."
    return Condition(ConditionKind.EXPIRING, "RenewalDue", message, since=token.renew_from)


def _renewing(standing: Standing, now: datetime) -> Condition | None:
    renewal, old = standing.renewal, standing.old
    if not old or renewal.token is None or renewal.token != standing.in_force:
        return None
    message = (
        f"The token is renewed; {_connections(old)} {_are(old)} not known to embed it yet.{standing.deadline(now)}"
    )
    return Condition(ConditionKind.RENEWING, "RotationPending", message, since=renewal.renewed_at)


def _degraded(standing: Standing, now: datetime) -> Condition | None:
    user, token = standing.user, standing.token
    if user.failed:
        message = f"{_connections(user.failed)} could not be updated.{standing.deadline(now)}"
        return Condition(ConditionKind.DEGRADED, "ConnectionsFailed", message, since=user.failing_since)
    if user.not_attempted:
        were = "was" if user.not_attempted == 1 else "were"
        message = (
            f"{_connections(user.not_attempted)} {were} not attempted; see the run for why.{standing.deadline(now)}"
        )
        return Condition(ConditionKind.DEGRADED, "NotAttempted", message, since=user.failing_since)
    if token is not None and token.outcome == FAILED:
        message = f"The renewal needs a person: {token.reason}"
        return Condition(ConditionKind.DEGRADED, "RenewalFailed", message, since=token.seen_at)
    return None


def _not_current(standing: Standing) -> Condition | None:
    old = standing.old
    if not old:
        return None
    if set(standing.user.holding) == {""}:
        message = f"{_connections(old)} found; no run has updated {'it' if old == 1 else 'them'} yet."
        return Condition(ConditionKind.DEGRADED, "NeverRotated", message)
    message = f"{_connections(old)} {_are(old)} not known to embed the token in force."
    return Condition(ConditionKind.DEGRADED, "NotCurrent", message)


def _connections(number: int) -> str:
    return f"{number:,} connection{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
