"""The last step: one outcome for every connection, and a verdict that tells the truth."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from credential_rotation.rotation.one_connection import why_unfinished
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.spreadsheet_cells import harmless_cell

NO_WORD = "its task ended without reporting a result (killed?), so Tableau may hold the old or the new token; run again"
NOT_REACHED = "the run ended before its turn came"
HALF_CLEARED = "a task was cleared, and not what follows it: clear filter_connections and everything downstream"
CANARY_FAILED = "the connection on which this credential was validated failed"

# The order and the names are part of the contract.
_COLUMNS = [
    "tableau_conn_id",
    "site",
    "content_type",
    "content_id",
    "content_name",
    "project",
    "owner",
    "connection_id",
    "server_address",
    "username",
    "snowflake_conn_id",
    "outcome",
    "proof",
    "reason",
    "attempts",
    "canary",
    "content_url",
    "seconds",
    "authentication_type",
]


@dataclass(frozen=True)
class Report:
    """What a run did.

    :param params: those that differ from their defaults
    :param timings: see :func:`credential_rotation.rotation.timings.timings`
    :param deadlines: until when connections work that may still hold a previous token
    :param not_looked_at: what could not be listed, so that it is not known whether there is any
    """

    run_id: str
    dry_run: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    content: int
    records: tuple[ConnectionRecord, ...]
    traffic: Mapping[str, int]
    seconds: float
    started_at: datetime | None = None
    ended_at: datetime | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)
    deadlines: tuple[str, ...] = ()
    not_looked_at: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """``success`` only when every target is as it should be and nothing else went wrong."""
        return "failed" if self.problems or self.not_green else "success"

    @property
    def not_green(self) -> list[ConnectionRecord]:
        """The targets that were not updated, and the items that could not be read."""
        return [record for record in self.records if not record.is_well and record.outcome is not Outcome.EXCLUDED]

    @property
    def summary(self) -> dict[str, Any]:
        """The counts."""
        outcomes = Counter(record.outcome for record in self.records)
        counted = {str(outcome): outcomes[outcome] for outcome in Outcome if outcome is not Outcome.EXCLUDED}
        excluded = Counter(record.reason for record in self.records if record.outcome is Outcome.EXCLUDED)
        return {
            "content": self.content,
            "connections": sum(record.connection_id is not None for record in self.records),
            "targets": sum(record.is_target for record in self.records),
            **counted,
            "excluded": {str(reason): number for reason, number in sorted(excluded.items(), key=lambda pair: -pair[1])},
        }

    def brief(self) -> dict[str, Any]:
        """What fits into an XCom: the counts, and what went wrong."""
        return {
            "run_id": self.run_id,
            "dry_run": self.dry_run,
            "state": self.state,
            "summary": self.summary,
            "sign_ins": self.traffic.get("sign_ins", 0),
            "requests": self.traffic.get("requests", 0),
            "throttled": self.traffic.get("throttled", 0),
            "seconds": round(self.seconds, 1),
            "started_at": _iso(self.started_at),
            "ended_at": _iso(self.ended_at),
            "params": dict(self.params),
            "problems": list(self.problems),
            "notes": [*self.notes, *self.deadlines],
            "not_looked_at": list(self.not_looked_at),
        }

    def head(self) -> dict[str, Any]:
        """``report.json`` but for the connections, which are its last entry."""
        return {**self.brief(), "timings": dict(self.timings)}

    def rows(self) -> Iterator[dict[str, Any]]:
        """What became of each connection."""
        return (_row(record) for record in self.records)

    def as_csv(self) -> str:
        """The connections, for ``report.csv``. What a spreadsheet would take for a formula is made text."""
        out = io.StringIO()
        writer = csv.DictWriter(out, _COLUMNS)
        writer.writeheader()
        writer.writerows({name: harmless_cell(value) for name, value in row.items()} for row in self.rows())
        return out.getvalue()

    def as_table(self) -> str:
        """The counts and what went wrong, for the task log."""
        summary = self.summary
        lines = [f"{name:>24}  {number}" for name, number in summary.items() if name != "excluded" and number]
        lines += [f"{reason:>24}  {number}  excluded" for reason, number in summary["excluded"].items()]
        lines += [f"Note: {note}" for note in (*self.notes, *self.deadlines, *self.not_looked_at)]
        shown = self.not_green[:_SHOWN_FAILURES]
        lines += [f"{record.outcome}: {record.title} · {record.username} · {record.reason}" for record in shown]
        if len(self.not_green) > len(shown):
            lines.append(f"... and {len(self.not_green) - len(shown)} more, see the report")
        return "\n".join(lines)

    def verdict(self) -> str:
        """What came of a run, in a sentence; of a red one, why it is red, and until when what it left works."""
        return " ".join([self._what_came_of_it(), *self.not_looked_at, *self.deadlines])

    def _what_came_of_it(self) -> str:
        if self.state == "success":
            told = [f"{number} {name}" for name, number in self.summary.items() if name in _GOOD and number]
            return f"{', '.join(told) or 'nothing to do'} of {self.summary['targets']} targets."
        if self.problems:
            return " ".join(self.problems)
        counts = Counter(str(record.outcome) for record in self.not_green)
        listed = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
        first = self.not_green[0]
        return f"{listed} (first: {first.title} · {first.username}: {first.reason})"


_SHOWN_FAILURES = 50
_GOOD = ("updated", "unchanged", "planned", "gone", "rolled_back")


def settle(
    plan: Iterable[ConnectionRecord],
    done: Iterable[ConnectionRecord],
    *,
    attempted: Iterable[str] = (),
    not_reached: str = "",
) -> list[ConnectionRecord]:
    """Every connection of the plan with the outcome that it came to.

    :param plan: what ``filter_connections`` decided
    :param done: outcomes that the tasks left behind
    :param attempted: keys of targets that were handed to a task, whether or not it said what became of them
    :param not_reached: why targets were not handed to a task, where that is known: nobody approved, say
    """
    outcomes = {record.key: record for record in done}
    started = set(attempted)
    # One that was deleted shows nothing: another takes its place, or else the run ends before that.
    canaries = [record for record in outcomes.values() if record.canary and record.outcome is not Outcome.GONE]
    passed = {record.snowflake_conn_id for record in canaries if record.is_validated}
    failed_canaries = {
        record.snowflake_conn_id: _why_not_the_rest(record)
        for record in canaries
        if record.snowflake_conn_id not in passed
    }
    settled = []
    for record in plan:
        if record.outcome is not None:
            settled.append(record)
        elif record.key in outcomes:
            settled.append(_settled(outcomes[record.key]))
        elif record.key in started:
            settled.append(replace(record, outcome=Outcome.FAILED, reason=NO_WORD, touched=True))
        else:
            reason = failed_canaries.get(record.snowflake_conn_id) or not_reached or NOT_REACHED
            settled.append(replace(record, outcome=Outcome.NOT_ATTEMPTED, reason=reason))
    return settled


def _why_not_the_rest(canary: ConnectionRecord) -> str:
    # A token that Snowflake refuses was not even tried in Tableau.
    return canary.reason or CANARY_FAILED if canary.outcome is Outcome.NOT_ATTEMPTED else CANARY_FAILED


def _settled(record: ConnectionRecord) -> ConnectionRecord:
    if record.outcome is not None:
        return record
    return replace(record, outcome=Outcome.FAILED, reason=why_unfinished(record))


def _row(record: ConnectionRecord) -> dict[str, Any]:
    values = record.as_dict()
    seconds = None if record.seconds is None else round(record.seconds, 3)
    return {name: values[name] for name in _COLUMNS} | {"seconds": seconds}


def _iso(when: datetime | None) -> str | None:
    return when.astimezone(UTC).isoformat(timespec="seconds") if when else None
