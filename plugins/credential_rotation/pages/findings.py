"""What a report says of its connections as a whole, found in one pass: causes, canaries, credentials."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from credential_rotation.pages.advice import advice_for
from credential_rotation.pages.wording import LOOKS, Look, look, type_words, web_address
from credential_rotation.rotation.outcomes import GREEN, PROOF_MEANS, Outcome, Proof

_SHOWN_EXAMPLES = 5
_SHOWN_NAMES = 4
# What differs from one connection to the next, though the cause is the same.
_VARIES = re.compile(
    r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"  # LUIDs
    r"|\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?"  # times
    r"|\b\d+(?:\.\d+)?(?= (?:s|seconds|minutes)\b)"  # durations
    r"|(?<=\(job )[^)]+",
    re.IGNORECASE,
)
_ELLIPSIS = "…"


@dataclass(frozen=True)
class Named:
    """A connection, as far as a person needs it to recognise it."""

    content_name: str
    project: str
    content_type: str
    username: str
    url: str | None
    look: Look
    reason: str
    proof: str
    proof_means: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Named:
        """The connection of a row."""
        proof = str(row.get("proof") or "")
        return cls(
            content_name=str(row.get("content_name") or ""),
            project=str(row.get("project") or ""),
            content_type=type_words(row.get("content_type")),
            username=str(row.get("username") or ""),
            url=web_address(row.get("content_url")),
            look=look(row.get("outcome"), well=is_well(row)),
            reason=str(row.get("reason") or ""),
            proof=proof,
            # How one that failed was to be proved is in its reason.
            proof_means=PROOF_MEANS[Proof(proof)] if proof in list(Proof) and is_well(row) else "",
        )


@dataclass
class Cause:
    """Connections that are not as they should be, for the same reason."""

    number: int
    outcome: str
    look: Look
    reason: str
    advice: str | None
    count: int = 0
    examples: list[Named] = field(default_factory=list)


@dataclass
class Credential:
    """What became of the connections of a Snowflake user."""

    conn_id: str
    outcomes: Counter[str] = field(default_factory=Counter)
    usernames: Counter[str] = field(default_factory=Counter)
    canaries: list[Named] = field(default_factory=list)

    @property
    def targets(self) -> int:
        """How many it has."""
        return self.outcomes.total()

    @property
    def counts(self) -> list[tuple[Look, int]]:
        """How many came to which outcome, what a person has to look at first."""
        return [(LOOKS[outcome], self.outcomes[outcome]) for outcome in LOOKS if self.outcomes[outcome]]

    @property
    def shown_usernames(self) -> list[str]:
        """The user names in Tableau that it was embedded for, the most frequent first."""
        return [name for name, _ in self.usernames.most_common(_SHOWN_NAMES)]


class Findings:
    """Takes the connections one by one, and lets go of each."""

    def __init__(self) -> None:
        self.connections = 0
        self.targets: Counter[str] = Counter()
        self.not_done: Counter[str] = Counter()
        self.unread = 0
        self.canaries = 0
        self.canaries_well = 0
        self.excluded: Counter[str] = Counter()
        self.sites: dict[tuple[str, str], int] = {}
        self._causes: dict[tuple[str, str], Cause] = {}
        self._credentials: dict[str, Credential] = {}

    def add(self, row: Mapping[str, Any]) -> int:
        """Take one; the number of its cause, 0 where all is well."""
        outcome = str(row.get("outcome"))
        site = (str(row.get("tableau_conn_id")), str(row.get("site") or ""))
        self.sites[site] = self.sites.get(site, 0) + 1
        self.connections += row.get("connection_id") is not None
        if outcome == Outcome.EXCLUDED:
            self.excluded[str(row.get("reason"))] += 1
            return 0
        well = is_well(row)
        if (conn_id := row.get("snowflake_conn_id")) is not None:
            self.targets[outcome] += 1
            self._credential(str(conn_id), row, outcome)
            self.not_done[outcome] += not well
        else:
            self.unread += not well
        return 0 if well else self._cause(row, outcome)

    @property
    def causes(self) -> list[Cause]:
        """What a person has to look at first, and what concerns most connections."""
        order = {str(outcome): place for place, outcome in enumerate(LOOKS)}
        return sorted(self._causes.values(), key=lambda cause: (order.get(cause.outcome, len(order)), -cause.count))

    @property
    def credentials(self) -> list[Credential]:
        """Each with at least one target."""
        return [credential for _, credential in sorted(self._credentials.items())]

    def _credential(self, conn_id: str, row: Mapping[str, Any], outcome: str) -> None:
        credential = self._credentials.setdefault(conn_id, Credential(conn_id))
        credential.outcomes[outcome] += 1
        credential.usernames[str(row.get("username") or "")] += 1
        if row.get("canary"):
            credential.canaries.append(Named.of(row))
            # One that was deleted meanwhile shows nothing: another took its place.
            if outcome != Outcome.GONE:
                self.canaries += 1
                self.canaries_well += is_well(row)

    def _cause(self, row: Mapping[str, Any], outcome: str) -> int:
        reason = str(row.get("reason") or "no reason is given")
        pattern = _without_what_varies(reason, row)
        cause = self._causes.get((outcome, pattern))
        if cause is None:
            cause = Cause(len(self._causes) + 1, outcome, look(outcome, well=False), reason, advice_for(reason))
            self._causes[outcome, pattern] = cause
        elif reason != cause.reason:
            cause.reason = pattern
        cause.count += 1
        if len(cause.examples) < _SHOWN_EXAMPLES:
            cause.examples.append(Named.of(row))
        return cause.number


def is_well(row: Mapping[str, Any]) -> bool:
    """Whether a connection is as the run was asked to leave it, as :class:`ConnectionRecord` has it."""
    outcome = row.get("outcome")
    return outcome in GREEN or (outcome == Outcome.ROLLED_BACK and row.get("reason") is None)


def _without_what_varies(reason: str, row: Mapping[str, Any]) -> str:
    for name in _names(row):
        # Asked first, since each is another pattern to compile.
        if name in reason:
            reason = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _ELLIPSIS, reason)
    return _VARIES.sub(_ELLIPSIS, reason)


def _names(row: Mapping[str, Any]) -> Iterator[str]:
    name, project = str(row.get("content_name") or ""), str(row.get("project") or "")
    title = f"{project} › {name}" if project else name
    for text in (title, title.upper(), name):
        if text:
            yield text
    for key in ("content_id", "connection_id"):
        if row.get(key):
            yield str(row[key])
