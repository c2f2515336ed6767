"""What the page in the Airflow UI shows, as values. Times are ISO 8601, UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class ConditionKind(StrEnum):
    """What may hold of a Snowflake user on a site; the words are those of cert-manager, which admins know."""

    READY = "Ready"
    RENEWING = "Renewing"
    DEGRADED = "Degraded"
    EXPIRING = "Expiring"


@dataclass(frozen=True)
class Condition:
    """One that holds.

    :param reason: one word, for machines: ``AllCurrent``
    :param message: the same for people
    :param since: since when it holds, where that is known
    """

    kind: ConditionKind
    reason: str
    message: str
    since: str | None = None


@dataclass(frozen=True)
class RunBrief:
    """A run of either DAG, in brief.

    :param notes: what a person should know, though it makes no run red
    """

    dag_id: str
    run_id: str
    state: str
    dry_run: bool
    started_at: str | None
    ended_at: str
    verdict: str
    summary: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class TokenBrief:
    """A user's token, as the latest look at Snowflake found it.

    :param renew_from: from when on it is to be renewed
    :param seen_at: when that look was
    :param outcome: what the renewal did about it
    """

    token_name: str | None = None
    expires_at: str | None = None
    days_left: float | None = None
    renew_from: str | None = None
    renewed_at: str | None = None
    seen_at: str | None = None
    outcome: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class FleetRow:
    """A Snowflake user on a Tableau site.

    :param current: how many connections are known to embed the token in force
    :param old: how many are not: they embed another one, or nobody knows
    :param failed: how many the latest run that was about them could not update
    :param excluded: how many name the user and are no targets: their author wants people to be asked, say
    """

    snowflake_conn_id: str
    user: str
    tableau_conn_id: str
    site: str
    site_key: str
    targets: int
    current: int
    old: int
    failed: int
    excluded: int
    token: TokenBrief | None
    conditions: tuple[Condition, ...]
    last_run: RunBrief | None


@dataclass(frozen=True)
class SiteBrief:
    """A Tableau site: why connections on it are no targets, and the latest run that looked at it."""

    site_key: str
    site: str
    tableau_conn_id: str
    excluded: Mapping[str, int]
    last_run: RunBrief | None


@dataclass(frozen=True)
class Fleet:
    """All there is; runs begin with the newest."""

    rows: tuple[FleetRow, ...]
    runs: tuple[RunBrief, ...]
    sites: tuple[SiteBrief, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ConnectionEvent:
    """What a run did about a connection."""

    run_id: str
    at: str
    outcome: str
    proof: str | None
    reason: str | None
    attempts: int
    canary: bool


@dataclass(frozen=True)
class ConnectionHistory:
    """A connection, and what runs did about it; the newest first.

    :param holds_current: whether it is known to embed the token in force; None where that is not known
    """

    site_key: str
    site: str
    tableau_conn_id: str
    content_type: str
    content_id: str
    content_name: str
    content_url: str | None
    project: str
    owner: str
    connection_id: str
    server_address: str
    username: str
    snowflake_conn_id: str
    holds_current: bool | None
    events: Sequence[ConnectionEvent]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
