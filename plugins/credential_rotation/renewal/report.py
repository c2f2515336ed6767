"""The report of a renewal: how the token of each user stands, and what was done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from credential_rotation.renewal.decision import Decision
from credential_rotation.renewal.tokens import shown

RENEWED, PLANNED, NOTHING_TO_DO, FAILED = "renewed", "planned", "nothing_to_do", "failed"


@dataclass(frozen=True)
class UserReport:
    """One user's token.

    :param expires_at: of the token in force; ISO 8601, UTC
    :param previous_ends_at: when the first of its previous secrets that still work ends; None where none does
    :param is_current: whether what Tableau is to embed is the token in force; None where that can't be told
    :param days_left: until the first secret ends that Tableau may hold: the previous one, until the new one has arrived
    :param may_hold_previous: how many connections may still hold a previous secret, of how many targets; None where
        that is not known
    :param alarm: what a person has to know whatever the outcome is; the run is red for it
    :param decision: one of :class:`credential_rotation.renewal.decision.State`
    :param outcome: ``renewed``, ``planned`` (dry run), ``nothing_to_do`` or ``failed``
    :param renewed_at: when it was renewed last by this package
    :param next_due: from when on it will be renewed
    """

    snowflake_conn_id: str
    user: str
    token_name: str | None = None
    expires_at: str | None = None
    days_left: float | None = None
    decision: str | None = None
    outcome: str = NOTHING_TO_DO
    reason: str | None = None
    alarm: str | None = None
    note: str | None = None
    previous_ends_at: str | None = None
    is_current: bool | None = None
    may_hold_previous: int | None = None
    targets: int | None = None
    renewed_at: str | None = None
    next_due: str | None = None

    @property
    def is_due(self) -> bool:
        """Whether a task is to renew it."""
        return self.outcome == PLANNED

    @property
    def token_in_force(self) -> dict[str, Any]:
        """Which token is in force, for whoever is told of it; no secret."""
        return {
            "snowflake_conn_id": self.snowflake_conn_id,
            "user": self.user,
            "pat_name": self.token_name,  # Airflow shows *** for whatever has "token" in its name
            "expires_at": self.expires_at,
        }

    def with_token_of(self, decision: Decision, now: datetime, renew_before_days: float) -> UserReport:
        """With how the token stands."""
        token = decision.token
        found = replace(self, decision=str(decision.state), note=decision.note, alarm=decision.alarm)
        if token is None:
            return found
        previous = decision.previous_ends_at
        return replace(
            found,
            token_name=token.name,
            expires_at=token.expires_at.isoformat(timespec="seconds"),
            previous_ends_at=previous.isoformat(timespec="seconds") if previous else None,
            is_current=decision.is_current,
            days_left=_days(token.expires_at, now),
            next_due=(token.expires_at - timedelta(days=renew_before_days)).isoformat(timespec="seconds"),
        )

    @property
    def ends_at(self) -> str | None:
        """When the first secret ends that Tableau may hold; ISO 8601."""
        return self.expires_at if self.may_hold_previous == 0 else self.previous_ends_at or self.expires_at

    def with_arrival(self, *, has_arrived: bool, holding: tuple[int, int] | None, now: datetime) -> UserReport:
        """With what Tableau may still hold.

        :param has_arrived: whether every connection embeds the token in force
        :param holding: how many connections may hold a previous secret, and how many targets there are
        """
        may_hold, targets = holding or (None, None)
        if not may_hold:
            may_hold = 0 if has_arrived else None  # not every connection is known, or the token would have arrived
        found = replace(self, may_hold_previous=may_hold, targets=targets)
        ends_at = found.ends_at
        return replace(found, days_left=_days(datetime.fromisoformat(ends_at), now)) if ends_at else found

    def deadline(self, now: datetime) -> str | None:
        """Until when connections that may hold a previous secret work, in words; None where none does."""
        if self.previous_ends_at is None or self.may_hold_previous == 0:
            return None
        return deadline_in_words(
            self.may_hold_previous, self.targets, datetime.fromisoformat(self.previous_ends_at), now
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class RenewalReport:
    """What a run of the renewal did.

    :param deadlines: until when connections work that may hold a previous secret
    :param notes: what else a person should know, though it makes no run red
    """

    run_id: str
    dry_run: bool
    problems: tuple[str, ...]
    users: tuple[UserReport, ...]
    deadlines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> list[UserReport]:
        """The users that a person has to look at."""
        return [user for user in self.users if user.outcome == FAILED]

    @property
    def state(self) -> str:
        """``success`` only when nobody has to look at anything."""
        alarms = any(user.alarm for user in self.users)
        return "failed" if self.problems or self.failed or alarms else "success"

    @property
    def summary(self) -> dict[str, int]:
        """The counts."""
        renewed = sum(user.outcome == RENEWED for user in self.users)
        return {"users": len(self.users), "renewed": renewed, "failed": len(self.failed)}

    def as_dict(self) -> dict[str, Any]:
        """For ``report.json``."""
        return {
            "run_id": self.run_id,
            "dry_run": self.dry_run,
            "state": self.state,
            "problems": list(self.problems),
            "notes": [*self.deadlines, *self.notes],
            "users": [user.as_dict() for user in self.users],
        }

    def verdict(self) -> str:
        """What came of a run, in a sentence; of a red one, why it is red."""
        if self.state == "success":
            renewed = [user.snowflake_conn_id for user in self.users if user.outcome == RENEWED]
            return " ".join(
                [
                    f"renewed: {', '.join(renewed) or 'nothing'} of {len(self.users)} tokens.",
                    *self.deadlines,
                    *self.notes,
                ]
            )
        failed = [f"{user.snowflake_conn_id}: {user.reason}" for user in self.failed]
        alarms = [f"{user.snowflake_conn_id}: {user.alarm}" for user in self.users if user.alarm]
        return " ".join([*self.problems, *failed, *alarms, *self.deadlines, *self.notes])

    def as_table(self) -> str:
        """A line for each user, for the task log."""
        return "\n".join(_line(user) for user in self.users)


def _line(user: UserReport) -> str:
    left = f"{user.days_left:.1f} days left" if user.days_left is not None else "no token"
    said: Sequence[str] = [text for text in (user.reason, user.alarm, user.note) if text]
    line = (
        f"{user.snowflake_conn_id} · {user.user} · {user.token_name or '-'}: {user.outcome}, {left} ({user.decision})"
    )
    return ". ".join([line, *said])


def deadline_in_words(may_hold: int | None, targets: int | None, ends_at: datetime, now: datetime) -> str:
    """Until when the connections work that may hold a secret that ends.

    :param may_hold: how many; None where that is not known
    """
    who = f"{may_hold:,} of {targets:,} connections" if may_hold and targets else "Connections in Tableau"
    hours = (ends_at - now) / timedelta(hours=1)
    if hours <= 0:
        return f"{who} may still hold the token that ended at {shown(ends_at)}, and can't connect then."
    left = f"{hours:.0f} h" if hours >= 1 else f"{hours * 60:.0f} min"
    return f"{who} may still hold the token that ends at {shown(ends_at)}, in {left}."


def _days(until: datetime, now: datetime) -> float:
    return round((until - now) / timedelta(days=1), 2)
