"""The report of a renewal: how the token of each user stands, and what was done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from credential_rotation.renewal.decision import Decision

RENEWED, PLANNED, NOTHING_TO_DO, FAILED = "renewed", "planned", "nothing_to_do", "failed"


@dataclass(frozen=True)
class UserReport:
    """One user's token.

    :param expires_at: of the token in force; ISO 8601, UTC
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
    note: str | None = None
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
        found = replace(self, decision=str(decision.state), note=decision.note)
        if token is None:
            return found
        left = token.expires_at - now
        return replace(
            found,
            token_name=token.name,
            expires_at=token.expires_at.isoformat(timespec="seconds"),
            days_left=round(left / timedelta(days=1), 2),
            next_due=(token.expires_at - timedelta(days=renew_before_days)).isoformat(timespec="seconds"),
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class RenewalReport:
    """What a run of the renewal did."""

    run_id: str
    dry_run: bool
    problems: tuple[str, ...]
    users: tuple[UserReport, ...]

    @property
    def failed(self) -> list[UserReport]:
        """The users that a person has to look at."""
        return [user for user in self.users if user.outcome == FAILED]

    @property
    def state(self) -> str:
        """``success`` only when nobody has to look at anything."""
        return "failed" if self.problems or self.failed else "success"

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
            "users": [user.as_dict() for user in self.users],
        }

    def verdict(self) -> str:
        """What came of a run, in a sentence; of a red one, why it is red."""
        if self.state == "success":
            renewed = [user.snowflake_conn_id for user in self.users if user.outcome == RENEWED]
            return f"renewed: {', '.join(renewed) or 'nothing'} of {len(self.users)} tokens."
        return " ".join([*self.problems, *(f"{user.snowflake_conn_id}: {user.reason}" for user in self.failed)])

    def as_table(self) -> str:
        """A line for each user, for the task log."""
        return "\n".join(_line(user) for user in self.users)


def _line(user: UserReport) -> str:
    left = f"{user.days_left:.1f} days left" if user.days_left is not None else "no token"
    said: Sequence[str] = [text for text in (user.reason, user.note) if text]
    line = (
        f"{user.snowflake_conn_id} · {user.user} · {user.token_name or '-'}: {user.outcome}, {left} ({user.decision})"
    )
    return ". ".join([line, *said])
