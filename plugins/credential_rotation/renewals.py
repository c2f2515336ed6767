"""What is known of renewed tokens besides their secrets: when each was renewed, who was told, and where it arrived.

    <reports>/renewals/<connection>.json    written by ``renew_snowflake_pat``
    <reports>/attempts/<connection>.json    written by ``renew_snowflake_pat`` before it rotates
    <reports>/arrivals/<connection>.json    written by ``rotate_snowflake_pat_in_tableau``

Apart from each other, so that no task writes over what another one says. Tokens stand in them as fingerprints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from credential_rotation.file_names import json_file
from credential_rotation.renewal.attempts import Attempt
from credential_rotation.run_folder import Folder

_MOST_ATTEMPTS = 20


@dataclass(frozen=True)
class Renewal:
    """The latest renewal of a credential, and what the runs since then have seen.

    :param renewed_at: ISO 8601, by Snowflake's clock
    :param run_id: the run that did it
    :param announced: the token that the rotation was told of last
    :param token: what Tableau is to embed: what it led to, or what a person has put into the Airflow connection
    :param waiting_since: since when that is not everywhere in Tableau; None where it is, or where it never changed
    :param previous_ends_at: when the first secret ended, or ends, that Tableau may have held since then; ISO 8601
    :param overlap_hours: for how long previous secrets live on, as that renewal wanted it
    :param worked_at: when what Tableau is to embed was last seen to sign in; ISO 8601, by Snowflake's clock
    """

    renewed_at: str | None = None
    run_id: str | None = None
    announced: str | None = None
    token: str | None = None
    waiting_since: str | None = None
    previous_ends_at: str | None = None
    overlap_hours: int | None = None
    worked_at: str | None = None


@dataclass(frozen=True)
class Arrival:
    """The token that a rotation brought to every connection of these Tableau sites."""

    token: str | None = None
    tableau_conn_ids: Sequence[str] = ()

    def is_everywhere(self, token: str, tableau_conn_ids: Sequence[str]) -> bool:
        """Whether it is this token, and none of these sites is without it."""
        return self.token == token and set(tableau_conn_ids) <= set(self.tableau_conn_ids)

    def also(self, other: Arrival) -> Arrival:
        """After a further rotation: of the same token, sites add up."""
        if self.token != other.token:
            return other
        return Arrival(self.token, sorted({*self.tableau_conn_ids, *other.tableau_conn_ids}))


@dataclass(frozen=True)
class Renewals:
    """All of them.

    :param reports: the URL below which reports are
    """

    reports: str

    def renewal(self, conn_id: str) -> Renewal:
        """The latest renewal of a credential; without anything where there was none."""
        return Renewal(**_known(Renewal, self._folder("renewals").read(json_file(conn_id))))

    def renewed(self, conn_id: str, renewal: Renewal) -> None:
        """Keep what is known of a renewal."""
        self._folder("renewals").write(json_file(conn_id), asdict(renewal))

    def of(self, conn_id: str) -> list[Attempt]:
        """The latest rotations that were about to be sent, the oldest first."""
        found = self._folder("attempts").read(json_file(conn_id))
        return [Attempt(**_known(Attempt, each)) for each in found] if isinstance(found, list) else []

    def begin(self, conn_id: str, attempt: Attempt) -> None:
        """Write down that a token is about to be rotated."""
        self._write(conn_id, [*self.of(conn_id), attempt])

    def end(self, conn_id: str, former: str) -> None:
        """Write down what came of it: the former token that it made, or nothing."""
        attempts = self.of(conn_id)  # none, if somebody has emptied the folder
        self._write(conn_id, [*attempts[:-1], *(replace(latest, former=former) for latest in attempts[-1:])])

    def arrival(self, conn_id: str) -> Arrival:
        """Which token of a credential has arrived in Tableau; without anything where that is not known."""
        return Arrival(**_known(Arrival, self._folder("arrivals").read(json_file(conn_id))))

    def arrived(self, conn_id: str, arrival: Arrival) -> None:
        """Keep that a token has arrived."""
        self._folder("arrivals").write(json_file(conn_id), asdict(self.arrival(conn_id).also(arrival)))

    def departed(self, conn_id: str) -> None:
        """Let it not be known any more which token is in Tableau."""
        self._folder("arrivals").remove(json_file(conn_id))

    def _write(self, conn_id: str, attempts: list[Attempt]) -> None:
        self._folder("attempts").write(json_file(conn_id), [asdict(each) for each in attempts[-_MOST_ATTEMPTS:]])

    def _folder(self, name: str) -> Folder:
        return Folder(f"{self.reports}/{name}")


def _known(kind: type[Renewal | Arrival | Attempt], values: Any) -> dict[str, Any]:
    """What a file says, as far as this version understands it."""
    if not isinstance(values, dict):
        return {}
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}
