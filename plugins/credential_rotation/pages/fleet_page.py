"""What the fleet page says: how each Snowflake user stands on each site, with what to look at first."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from textwrap import shorten
from typing import Any

from credential_rotation.announcements import ROTATION
from credential_rotation.fleet.model import Condition, ConditionKind, Fleet, FleetRow, RunBrief, TokenBrief
from credential_rotation.fleet.reading import DAG_IDS
from credential_rotation.pages.times import at, lasting, relative
from credential_rotation.pages.wording import Look, counted
from credential_rotation.rotation.outcomes import EXCLUSION_MEANS, Exclusion
from credential_rotation.triggering_events import RENEWAL

_SHOWN_RUNS = 15
_LONGEST_REASON = 260

_EXPIRED = Look("!", "Expiring", "bad")
_LOOKS: dict[ConditionKind, Look] = {
    ConditionKind.DEGRADED: Look("✕", "Degraded", "bad"),
    ConditionKind.EXPIRING: Look("!", "Expiring", "warn"),
    ConditionKind.RENEWING: Look("↻", "Renewing", "plan"),
    ConditionKind.READY: Look("✓", "Ready", "good"),
}
# What a person has to look at comes first; with how many users that holds of.
_HEADLINES: dict[Look, tuple[str, str]] = {
    _EXPIRED: ("The token of {} has expired", "The tokens of {} have expired"),
    _LOOKS[ConditionKind.DEGRADED]: ("{} needs a look", "{} need a look"),
    _LOOKS[ConditionKind.EXPIRING]: ("The token of {} is about to expire", "The tokens of {} are about to expire"),
    _LOOKS[ConditionKind.RENEWING]: (
        "The new token of {} is not everywhere",
        "The new tokens of {} are not everywhere",
    ),
    _LOOKS[ConditionKind.READY]: ("All is well with {}", "All is well with {}"),
}
_ORDER = list(_HEADLINES)
_RUN_LOOKS = {
    "queued": Look("◌", "queued", "plan"),
    "running": Look("◐", "running", "plan"),
    "success": Look("✓", "success", "good"),
    "failed": Look("✕", "failed", "bad"),
}
_DAG_NAMES = {ROTATION: "Rotation", RENEWAL: "Renewal"}
# What static/fleet.js shows of runs under way with.
_KNOWN = {
    "rotation": ROTATION,
    "renewal": RENEWAL,
    "names": _DAG_NAMES,
    "looks": {state: asdict(look) for state, look in _RUN_LOOKS.items()},
}


@dataclass(frozen=True)
class Piece:
    """A part of a bar, in percent of its width."""

    start: float
    width: float
    tone: str


@dataclass(frozen=True)
class TokenLook:
    """How long a token lasts, as a bar from its renewal to its end.

    :param left: from now on
    :param window: where it is to be renewed
    """

    brief: TokenBrief
    expires_at: str
    is_expired: bool
    is_due: bool
    left: Piece
    window: Piece | None
    told: str

    @property
    def tone(self) -> str:
        """The colour of its words."""
        return "bad" if self.is_expired else "warn" if self.is_due else "good"


@dataclass(frozen=True)
class Card:
    """A Snowflake user on a site.

    :param bar: its connections, by what they embed
    :param not_current: those that embed an old token, or nobody knows, and did not fail
    :param conf: the params of a run for this user and site, as JSON; it leaves alone what holds the current token
    :param conf_again: the same for one that does not
    """

    row: FleetRow
    conditions: list[tuple[Look, Condition]]
    bar: list[Piece]
    not_current: int
    token: TokenLook | None
    conf: str
    conf_again: str

    @property
    def worst(self) -> int:
        """The place of its worst condition in the order."""
        return min((_ORDER.index(look) for look, _ in self.conditions), default=len(_ORDER) - 1)


@dataclass(frozen=True)
class RunLine:
    """A run in the table."""

    brief: RunBrief
    look: Look
    dag_name: str
    reason: str
    seconds: float | None


@dataclass(frozen=True)
class Headline:
    """How everything stands, in a sentence."""

    look: Look
    words: str
    failures: list[RunLine]


def fleet_values(fleet: Fleet, now: datetime) -> dict[str, Any]:
    """What fleet.html shows."""
    cards = sorted((_card(row, now) for row in fleet.rows), key=lambda card: card.worst)
    lines = [_line(run) for run in fleet.runs]
    return {
        "ago": partial(relative, now=now),
        "in_days": partial(relative, now=now, largest="day"),
        "lasting": partial(lasting, now=now),
        "headline": _headline(cards, lines),
        "cards": cards,
        "runs": lines[:_SHOWN_RUNS],
        "further_runs": lines[_SHOWN_RUNS:],
        "sites": fleet.sites,
        "notes": next((run.notes for run in fleet.runs if run.dag_id == RENEWAL), ()),
        "exclusion_means": _exclusion_means,
        "rotation": ROTATION,
        "renewal": RENEWAL,
        "known": json.dumps(_KNOWN),
    }


def _card(row: FleetRow, now: datetime) -> Card:
    conditions = sorted(((_look(each), each) for each in row.conditions), key=lambda pair: _ORDER.index(pair[0]))
    conf = {"snowflake_conn_ids": [row.snowflake_conn_id], "tableau_conn_ids": [row.tableau_conn_id]}
    return Card(
        row=row,
        conditions=conditions,
        bar=_connections_bar(row),
        not_current=row.old - min(row.failed, row.old),
        token=_token(row.token, now),
        conf=json.dumps(conf),
        conf_again=json.dumps(conf | {"force": True}),
    )


def _look(condition: Condition) -> Look:
    return _EXPIRED if condition.reason == "Expired" else _LOOKS[condition.kind]


def _connections_bar(row: FleetRow) -> list[Piece]:
    failed = min(row.failed, row.old)
    amounts = [(row.current, "good"), (row.old - failed, "warn"), (failed, "bad")]
    pieces, start = [], 0.0
    for amount, tone in amounts:
        width = 100 * amount / max(1, row.targets)
        if amount:
            pieces.append(Piece(round(start, 2), round(width, 2), tone))
        start += width
    return pieces


def _token(token: TokenBrief | None, now: datetime) -> TokenLook | None:
    expires = at(token.expires_at) if token else None
    if token is None or expires is None:
        return None
    window = at(token.renew_from)
    begin = _begin(token, expires, window, now)
    whole = max(timedelta(minutes=1), expires - begin)

    def place(moment: datetime) -> float:
        return round(min(100.0, max(0.0, 100 * ((moment - begin) / whole))), 2)

    is_expired, is_due = expires <= now, window is not None and window <= now
    tone = "bad" if is_expired else "warn" if is_due else "good"
    return TokenLook(
        brief=token,
        expires_at=expires.isoformat(),
        is_expired=is_expired,
        is_due=is_due,
        left=Piece(0.0, 100.0, tone) if is_expired else Piece(place(now), round(100 - place(now), 2), tone),
        window=Piece(place(window), round(100 - place(window), 2), "warn") if window else None,
        told=_told(expires, window, now),
    )


def _begin(token: TokenBrief, expires: datetime, window: datetime | None, now: datetime) -> datetime:
    """From when a bar is drawn: the renewal; where that is not known, so that the window takes a half at most."""
    renewed = at(token.renewed_at)
    if renewed and renewed < expires:
        return min(renewed, now)
    return min(now, window - (expires - window)) if window else min(now, expires - timedelta(days=15))


def _told(expires: datetime, window: datetime | None, now: datetime) -> str:
    """What the bar shows, for those who do not see it."""
    left = (expires - now) / timedelta(days=1)
    words = f"{left:.0f} days left" if left >= 2 else f"{left * 24:.0f} hours left" if left > 0 else "expired"
    if window is None:
        return words
    return f"{words}; renewed in the last {(expires - window) / timedelta(days=1):.0f} days"


def _line(run: RunBrief) -> RunLine:
    started, ended = at(run.started_at), at(run.ended_at)
    return RunLine(
        brief=run,
        look=_RUN_LOOKS.get(run.state, Look("?", run.state, "idle")),
        dag_name=_DAG_NAMES.get(run.dag_id, run.dag_id),
        reason=shorten(run.verdict, _LONGEST_REASON, placeholder=" …"),
        seconds=(ended - started).total_seconds() if started and ended else None,
    )


def _headline(cards: list[Card], lines: list[RunLine]) -> Headline:
    latest = [next((line for line in lines if line.brief.dag_id == dag_id), None) for dag_id in DAG_IDS]
    failures = [line for line in latest if line is not None and line.brief.state == "failed"]
    if not cards:
        symbol, tone = ("✕", "bad") if failures else ("–", "idle")
        return Headline(Look(symbol, "", tone), "No run has found a connection of a Snowflake user yet", failures)
    worst = min(card.worst for card in cards)
    everyone = {card.row.snowflake_conn_id for card in cards}
    concerned = {card.row.snowflake_conn_id for card in cards if card.worst == worst}
    users = counted(len(everyone), "Snowflake user")
    some = users if len(concerned) == len(everyone) else f"{len(concerned)} of {users}"
    of_one, of_many = _HEADLINES[_ORDER[worst]]
    return Headline(_ORDER[worst], (of_one if len(concerned) == 1 else of_many).format(some), failures)


def _exclusion_means(reason: str) -> str:
    try:
        return EXCLUSION_MEANS[Exclusion(reason)]
    except ValueError:
        return reason.replace("_", " ")
