"""How what is known of a site is brought up to date with a run.

The targets of a site may be many, each with its history: they pass by one at a time, out of the file before into the
one after. Of the run only what is said of each connection is kept in memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from credential_rotation.fleet.model import RunBrief
from credential_rotation.fleet.site_state import Doings, SiteState, UserState
from credential_rotation.rotation.outcomes import Exclusion, Outcome

Runs = Mapping[str, tuple[str, str]]
"""The id and the end of each run that an event names by its number."""
Target = dict[str, Any]
"""A line of the file: columns of a report, the fingerprint of the token that is embedded, and events."""

_MOST_EVENTS = 20
_MOST_RUNS = 1000
# Their texts are much the same from line to line.
_COMMON = ("content_type", "project", "owner", "server_address", "username", "snowflake_conn_id")
_OWN = ("content_id", "content_name", "content_url", "connection_id")
_NOT_THIS_RUNS = (Exclusion.OTHER_USER, Exclusion.OTHER_ACCOUNT)
_NOT_THE_USERS = (Exclusion.OTHER_ACCOUNT, Exclusion.NOT_SNOWFLAKE)


def key_of(row: Mapping[str, Any]) -> str:
    """Tells a connection from the others of its site, as the ledger does."""
    return f"{row['content_id']}/{row['connection_id']}"


@dataclass
class _Said:
    """What the report of a run says of a site's connections.

    :param targets: each with its event, in which only the number of the run is missing
    :param excluded: the reason of each
    :param some_unread: whether an item could not be read, which may hold anything
    """

    targets: dict[str, Target] = field(default_factory=dict)
    excluded: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    excluded_users: Counter[str] = field(default_factory=Counter)
    some_unread: bool = False
    site: str = ""


class Learning:
    """A run that is added to what is known of a site; or once more, since a person cleared tasks of it.

    First :meth:`merged` is to be used up, then :meth:`settled` to be asked.

    :param state: what is known of the site
    :param runs: those that events name so far
    :param rows: the lines of the run's report on this site
    """

    def __init__(self, state: SiteState, runs: Runs, rows: Iterable[Mapping[str, Any]], doings: Doings) -> None:
        self._state, self._doings = state, doings
        self._said = _read(rows)
        self._number, self.runs = _numbered(runs, doings.run)
        self._is_retold = self._number in runs
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._holding: dict[str, Counter[str]] = defaultdict(Counter)

    def merged(self, before: Iterable[Target]) -> Iterator[Target]:
        """The targets from now on.

        :param before: those that were known, which are changed
        """
        for target in before:
            row = self._said.targets.pop(key_of(target), None)
            if row is None and not self._stays(target):
                continue
            target["events"] = [event for event in target["events"] if event[0] in self.runs]
            if self._is_retold:
                target["events"] = [event for event in target["events"] if event[0] != self._number]
            yield self._passed(target, row)
        for row in self._said.targets.values():
            yield self._passed({"events": []}, row)

    def settled(self) -> SiteState:
        """What is known of the site from now on."""
        state, doings, said = self._state, self._doings, self._said
        state.site = said.site or state.site
        state.tableau_conn_id, state.last_run = doings.tableau_conn_id, doings.run
        if doings.is_whole or not state.excluded:
            state.excluded = dict(Counter(said.excluded.values()).most_common())
        for conn_id in doings.credentials:
            state.users[conn_id] = self._seen(conn_id, state.users.get(conn_id))
        for conn_id, user in list(state.users.items()):
            self._count(conn_id, user)
            if not user.targets and conn_id not in doings.credentials:
                del state.users[conn_id]  # its Airflow connection has got another name, say
        return state

    def _passed(self, target: Target, row: Target | None) -> Target:
        if row is not None:
            event = row.pop("event")
            target |= row
            self._add_event(target["events"], event)
        target["token"] = self._doings.ledger.token_in(key_of(target))
        conn_id = target["snowflake_conn_id"]
        self._holding[conn_id][target["token"] or ""] += 1
        self._counts[conn_id][_standing(target["events"])] += 1
        return target

    def _stays(self, target: Target) -> bool:
        """Whether a target that this run did not have is one all the same."""
        key, theirs = key_of(target), target["snowflake_conn_id"] not in self._doings.credentials
        reason = self._said.excluded.get(key)
        if reason in _NOT_THIS_RUNS and theirs:
            del self._said.excluded[key]
            return True
        if reason is not None:
            return reason == Exclusion.FILTERED_OUT
        if key in self._said.gone:
            return False
        return theirs or not self._doings.is_whole or self._said.some_unread

    def _add_event(self, events: list[list[Any]], event: list[Any]) -> None:
        if self._doings.run.dry_run and events:
            return  # It did nothing, and what was done before still stands.
        if events and events[-1][1] == event[0] == Outcome.UNCHANGED:
            events.pop()
        events.append([self._number, *event])
        del events[:-_MOST_EVENTS]

    def _seen(self, conn_id: str, before: UserState | None) -> UserState:
        credential, run = self._doings.credentials[conn_id], self._doings.run
        now = UserState(credential.login, credential.token, run.ended_at, run)
        if before is not None:
            now.excluded, now.failing_since = before.excluded, before.failing_since
            now.ready_since = before.ready_since if before.token == now.token else None
        if self._doings.is_whole or before is None:
            now.excluded = sum(self._said.excluded_users[name] for name in credential.usernames)
        return now

    def _count(self, conn_id: str, user: UserState) -> None:
        counts, holding = self._counts[conn_id], self._holding[conn_id]
        user.targets, user.holding = holding.total(), dict(holding)
        user.failed, user.not_attempted = counts[Outcome.FAILED], counts[Outcome.NOT_ATTEMPTED]
        ended_at, is_bad = self._doings.run.ended_at, bool(user.failed or user.not_attempted)
        user.failing_since = (user.failing_since or ended_at) if is_bad else None
        is_ready = not is_bad and holding[user.token] == user.targets
        user.ready_since = (user.ready_since or ended_at) if is_ready else None


def _read(rows: Iterable[Mapping[str, Any]]) -> _Said:
    said = _Said()
    for row in rows:
        said.site = row["site"]
        if not row["connection_id"]:
            said.some_unread = said.some_unread or row["outcome"] == Outcome.FAILED
        elif row["outcome"] == Outcome.EXCLUDED:
            said.excluded[key_of(row)] = intern(row["reason"])
            if row["reason"] not in _NOT_THE_USERS:
                said.excluded_users[row["username"].casefold()] += 1
        elif row["outcome"] == Outcome.GONE:
            said.gone.add(key_of(row))
        elif row["snowflake_conn_id"]:
            said.targets[key_of(row)] = _target(row)
    return said


def _target(row: Mapping[str, Any]) -> Target:
    event = [row["outcome"], row["proof"], row["reason"], row["attempts"], row["canary"]]
    return {
        **{name: intern(row[name]) for name in _COMMON},
        **{name: row.get(name) for name in _OWN},
        "event": [intern(each) if isinstance(each, str) else each for each in event],
    }


def _numbered(runs: Runs, run: RunBrief) -> tuple[str, dict[str, tuple[str, str]]]:
    """The number of a run, and all runs with it; one that is told of again keeps its number."""
    known = next((number for number, (run_id, _) in runs.items() if run_id == run.run_id), None)
    number = known or str(max(map(int, runs), default=0) + 1)
    latest = sorted({**runs, number: (run.run_id, run.ended_at)}.items(), key=lambda each: int(each[0]))
    return number, dict(latest[-_MOST_RUNS:])


def _standing(events: list[list[Any]]) -> str:
    """How a connection stands by what was done last; a roll-back that nobody asked for has a reason."""
    if not events:
        return ""
    _, outcome, _, reason, *_ = events[-1]
    if outcome == Outcome.ROLLED_BACK and reason is not None:
        return Outcome.FAILED
    return str(outcome)
