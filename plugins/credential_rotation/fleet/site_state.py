"""What is known of one Tableau site after all runs so far: its targets, what each embeds, what runs did about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from credential_rotation.fleet.model import RunBrief
from credential_rotation.rotation.ledger import Ledger


@dataclass(frozen=True)
class TokenInForce:
    """A credential, as a run found it.

    :param token: the fingerprint of the token in force
    :param usernames: those that it replaces in Tableau, in lower case
    """

    login: str
    token: str
    usernames: frozenset[str]


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
    :param last_run: that run
    :param holding: how many connections embed which token, by its fingerprint; none for those of which nobody knows
    :param failed: how many could not be updated when that was tried last
    :param not_attempted: how many were to be updated, and nothing was done about them
    :param failing_since: since when there have been such
    :param ready_since: since when all of them have embedded the token in force
    """

    login: str
    token: str
    seen_at: str
    last_run: RunBrief
    targets: int = 0
    holding: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    not_attempted: int = 0
    excluded: int = 0
    failing_since: str | None = None
    ready_since: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> UserState:
        """Back from JSON."""
        return cls(**{**values, "last_run": RunBrief(**values["last_run"])})


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
        users = {conn_id: UserState.from_dict(each) for conn_id, each in values["users"].items()}
        last_run = RunBrief(**values["last_run"]) if values["last_run"] else None
        return cls(**{**values, "users": users, "last_run": last_run})
