"""What is known of one Tableau site after all runs so far: its targets, what each embeds, what runs did about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from credential_rotation.fleet.model import RunBrief
from credential_rotation.rotation.ledger import Ledger
from credential_rotation.rotation.outcomes import Exclusion, Outcome

_MOST_EVENTS = 20
# What says nothing that the run before has not said.
_REPEATED = (Outcome.UNCHANGED, Outcome.PLANNED)
_IDENTITY = (
    "content_type",
    "content_id",
    "content_name",
    "content_url",
    "project",
    "owner",
    "connection_id",
    "server_address",
    "username",
    "snowflake_conn_id",
)


@dataclass(frozen=True)
class TokenInForce:
    """A credential's user, and the fingerprint of the token that a run found in force."""

    login: str
    token: str


@dataclass(frozen=True)
class Doings:
    """A run, as far as it is about one site.

    :param is_whole: whether it looked at everything, so that what it has not met is not there any more
    :param credentials: by the id of their Airflow connection
    :param ledger: what is known to be embedded on the site, this run included
    """

    run: RunBrief
    tableau_conn_id: str
    is_whole: bool
    credentials: Mapping[str, TokenInForce]
    ledger: Ledger


@dataclass
class UserState:
    """A credential on the site.

    :param token: the fingerprint of the token in force when a run was about this user last
    :param seen_at: when that was
    :param holding: how many connections embed which token, by its fingerprint; none for those of which nobody knows
    :param ready_since: since when all of them have embedded the token in force
    """

    login: str
    token: str
    seen_at: str
    targets: int = 0
    holding: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    excluded: int = 0
    ready_since: str | None = None


@dataclass
class SiteState:
    """What is known of a site."""

    site_key: str
    site: str = ""
    tableau_conn_id: str = ""
    excluded: dict[str, int] = field(default_factory=dict)
    last_run: RunBrief | None = None
    users: dict[str, UserState] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SiteState:
        """Back from JSON."""
        users = {conn_id: UserState(**each) for conn_id, each in values["users"].items()}
        last_run = RunBrief(**values["last_run"]) if values["last_run"] else None
        return cls(**{**values, "users": users, "last_run": last_run})


@dataclass
class Targets:
    """The targets on a site, each with what runs did about it.

    :param runs: the id and the end of each run that an event names by its number
    :param connections: by ``<content id>/<connection id>``: the columns of a report, the fingerprint of the token that
        is embedded, and events: number of the run, outcome, proof, reason, attempts, canary
    """

    runs: dict[str, tuple[str, str]] = field(default_factory=dict)
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, so that each connection has a line."""
        return {"runs": self.runs, "connections": iter(self.connections.values())}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Targets:
        """Back from JSON."""
        runs = {number: (run_id, at) for number, (run_id, at) in values["runs"].items()}
        return cls(runs, {key_of(each): each for each in values["connections"]})


def key_of(row: Mapping[str, Any]) -> str:
    """Tells a connection from the others of its site, as the ledger does."""
    return f"{row['content_id']}/{row['connection_id']}"


def learn(state: SiteState, targets: Targets, rows: Iterable[Mapping[str, Any]], doings: Doings) -> None:
    """Add what a run did, which may have been told of before: a person cleared tasks of it.

    :param rows: its report's lines on this site
    """
    number = _number_of(targets, doings.run)
    met: set[str] = set()
    some_unread = False
    excluded: Counter[str] = Counter()
    excluded_of_user: Counter[str] = Counter()
    for row in rows:
        state.site = row["site"]
        if _is_target_of_another(row, targets, doings):
            met.add(key_of(row))
        elif row["outcome"] == Outcome.EXCLUDED:
            excluded[row["reason"]] += 1
            if row["reason"] == Exclusion.FILTERED_OUT:
                met.add(key_of(row))
            else:
                excluded_of_user[row["username"].casefold()] += 1
        elif row["snowflake_conn_id"] and row["connection_id"] and row["outcome"] != Outcome.GONE:
            met.add(key_of(row))
            _add_event(targets, row, number)
        if not row["connection_id"]:
            # An item that could not be read may hold anything.
            some_unread = some_unread or row["outcome"] == Outcome.FAILED
        elif key_of(row) not in met:
            targets.connections.pop(key_of(row), None)
    if doings.is_whole and not some_unread:
        _drop_what_is_gone(targets, met, doings.credentials)
    for key, connection in targets.connections.items():
        connection["token"] = doings.ledger.token_in(key)
    _forget_runs(targets)
    state.tableau_conn_id, state.last_run = doings.tableau_conn_id, doings.run
    if doings.is_whole or not state.excluded:
        state.excluded = dict(excluded.most_common())
    _count(state, targets, doings, excluded_of_user)


def _is_target_of_another(row: Mapping[str, Any], targets: Targets, doings: Doings) -> bool:
    """Whether a connection is excluded because this run was not about the user whose target it is known to be."""
    if row["outcome"] != Outcome.EXCLUDED or row["reason"] not in (Exclusion.OTHER_USER, Exclusion.OTHER_ACCOUNT):
        return False
    known = targets.connections.get(key_of(row))
    return known is not None and known["snowflake_conn_id"] not in doings.credentials


def _number_of(targets: Targets, run: RunBrief) -> str:
    """The number of a run; one that is told of again keeps it, and what it has said before is taken back."""
    known = next((number for number, (run_id, _) in targets.runs.items() if run_id == run.run_id), None)
    number = known or str(max(map(int, targets.runs), default=0) + 1)
    targets.runs[number] = (run.run_id, run.ended_at)
    if known:
        for connection in targets.connections.values():
            connection["events"] = [event for event in connection["events"] if event[0] != number]
    return number


def _add_event(targets: Targets, row: Mapping[str, Any], number: str) -> None:
    connection = targets.connections.setdefault(key_of(row), {"events": []})
    connection |= {name: row.get(name) for name in _IDENTITY}
    events = connection["events"]
    if events and events[-1][1] == row["outcome"] and row["outcome"] in _REPEATED:
        events.pop()
    events.append([number, row["outcome"], row["proof"], row["reason"], row["attempts"], row["canary"]])
    del events[:-_MOST_EVENTS]


def _drop_what_is_gone(targets: Targets, met: set[str], credentials: Mapping[str, TokenInForce]) -> None:
    for key, connection in list(targets.connections.items()):
        if key not in met and connection["snowflake_conn_id"] in credentials:
            del targets.connections[key]


def _forget_runs(targets: Targets) -> None:
    """Forget runs of which no connection says anything any more."""
    named = {event[0] for connection in targets.connections.values() for event in connection["events"]}
    targets.runs = {number: run for number, run in targets.runs.items() if number in named}


def _count(state: SiteState, targets: Targets, doings: Doings, excluded_of_user: Mapping[str, int]) -> None:
    for conn_id, credential in doings.credentials.items():
        before = state.users.get(conn_id)
        now = UserState(credential.login, credential.token, doings.run.ended_at)
        if before is not None:
            now = replace(before, login=now.login, token=now.token, seen_at=now.seen_at)
        if doings.is_whole or before is None:
            now.excluded = excluded_of_user.get(credential.login.casefold(), 0)
        state.users[conn_id] = now
    for conn_id, user in state.users.items():
        theirs = [each for each in targets.connections.values() if each["snowflake_conn_id"] == conn_id]
        user.targets = len(theirs)
        user.holding = dict(Counter(each["token"] or "" for each in theirs))
        user.failed = sum(_has_failed(each) for each in theirs)
        if user.failed or user.holding.get(user.token, 0) < user.targets:
            user.ready_since = None
        else:
            user.ready_since = user.ready_since or doings.run.ended_at


def _has_failed(connection: Mapping[str, Any]) -> bool:
    """Whether what was done last went wrong; a roll-back that nobody asked for has a reason."""
    if not connection["events"]:
        return False
    _, outcome, _, reason, *_ = connection["events"][-1]
    return outcome == Outcome.FAILED or (outcome == Outcome.ROLLED_BACK and reason is not None)
