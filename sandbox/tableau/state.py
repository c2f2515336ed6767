"""What a Tableau holds: one plain object that tests read and change."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from random import Random

from sandbox.snowflake_accounts import SnowflakeAccounts, SnowflakeTruth
from sandbox.tableau.clock import Clock
from sandbox.tableau.content import Content, User
from sandbox.tableau.fault_scripts import Faults
from sandbox.tableau.jobs import Job, queue, start
from sandbox.tableau.sessions import Sessions
from sandbox.tableau.site import ExpectedTarget, Site

# The sign-ins that every site made by `add_site` accepts.
ADMIN_USER = "rotation.service"
ADMIN_PASSWORD = "tableau-password"
TABLEAU_PAT_NAME = "rotation"
TABLEAU_PAT_SECRET = "tableau-pat-secret=="
APP_CLIENT_ID = "5d1c5b4e-6f1c-4a3d-9b0e-3c2f1e0d9a8b"
APP_SECRET_ID = "e2a1f7c0-0b2d-4c8f-8a6b-7d5e4f3c2b1a"
APP_SECRET_VALUE = "connected-app-secret-value-of-32-bytes-or-more"


def _operations() -> frozenset[str]:
    from sandbox.tableau.routes import OPERATIONS  # noqa: PLC0415 - the endpoints in there know the state

    return OPERATIONS


@dataclass
class TableauPat:
    """A Tableau personal access token and the user it stands for."""

    name: str
    secret: str
    user: str


@dataclass
class ConnectedApp:
    """A Connected App with direct trust: its users are those that its tokens name."""

    client_id: str
    secret_id: str
    secret_value: str


@dataclass
class Latency:
    """How slow the server is, and how many requests a second it takes before it answers 429."""

    read_seconds: float = 0.0
    write_seconds: float = 0.0
    rate_limit: float | None = None
    retry_after: str | None = "1"  # what a rate-limited answer says; None: no such header


@dataclass
class TableauState:
    """Sites, sign-ins, sessions and jobs, with the settings that say how this Tableau behaves."""

    seed: int = 7
    rest_api_version: str = "3.26"
    product_version: str = "2025.3.0"
    strict_queries: bool = True  # an unknown query parameter is refused; the real one mostly ignores it
    session_idle_minutes: float = 120  # KB 001498381: 240 on Server, 120 on Cloud
    jwt_max_minutes: float = 10
    job_queue_seconds: float = 0.0  # how long a job is pending; it starts at the first look from then on
    job_polls: int = 2  # the poll at which a job is found complete
    gateway_minutes_ahead: float = 0.0  # of the clock that the Date of each answer comes from
    refresh_moves_updated_at: bool = False  # no source says whether it does
    job_seconds: float = 0.0  # and the time it takes at least from its start, on the sandbox's clock
    unfinished_finish_code: int | None = None  # what a job says before its end: nothing, -1 or 0 have all been seen
    cache_minutes: float = 60  # how long a view's data is served from the cache when maxAge is not given
    virtual_connection_shape: str = "connectionId"  # or "id": TSC's two assets disagree
    # Unknown in the real one: what a view or query answers when the database refuses the embedded secret.
    view_failure: tuple[int, str] = (500, "500000")
    query_failure: tuple[int, str] = (500, "500000")
    vizql_enabled: bool = True  # off: 403157, as on sites without VizQL Data Service
    snowflake: SnowflakeTruth = field(default_factory=SnowflakeAccounts)
    sites: list[Site] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=dict)  # user name -> password
    pats: list[TableauPat] = field(default_factory=list)
    apps: list[ConnectedApp] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    latency: Latency = field(default_factory=Latency)
    clock: Clock = field(default_factory=Clock)
    credentials_seen_in_queries: int = 0  # VizQL requests that carried credentials of their own: it proves nothing

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.sessions = Sessions(self.clock)
        self.faults = Faults(_operations)
        self.lock = threading.RLock()  # held while a request has its effect

    @property
    def site(self) -> Site:
        """The first site, for the many tests that have one."""
        return self.sites[0]

    @property
    def accounts(self) -> SnowflakeAccounts:
        """The Snowflake truth, where it is the one in memory."""
        if not isinstance(self.snowflake, SnowflakeAccounts):
            raise TypeError("the Snowflake truth of this state is not the one in memory")
        return self.snowflake

    def add_site(self, content_url: str = "acme", name: str = "") -> Site:
        """Add a site with an administrator who may sign in by password, Tableau PAT and Connected App."""
        rng = Random(f"{self.seed}/{content_url}")
        site = Site(id="", content_url=content_url, name=name or content_url or "Default", random=rng, clock=self.clock)
        site.id = site.luid()
        site.add_user(ADMIN_USER, "SiteAdministratorCreator")
        self.sites.append(site)
        if ADMIN_USER not in self.passwords:
            self.passwords[ADMIN_USER] = ADMIN_PASSWORD
            self.pats.append(TableauPat(TABLEAU_PAT_NAME, TABLEAU_PAT_SECRET, ADMIN_USER))
            self.apps.append(ConnectedApp(APP_CLIENT_ID, APP_SECRET_ID, APP_SECRET_VALUE))
        return site

    def add_sign_in(self, site: Site, name: str, password: str, site_role: str = "Creator") -> User:
        """Add a further user who signs in with a password."""
        self.passwords[name] = password
        return site.add_user(name, site_role)

    def queue_job(self, content: Content, *, started: bool = False, queue_seconds: float | None = None) -> Job:
        """Put a refresh of this content into the queue, as a schedule would; or let it run already.

        A pending one is due after `queue_seconds` (None: `job_queue_seconds`), and starts when it is next looked at.
        """
        with self.lock:
            if not content.has_extracts:
                raise ValueError(f"the {content.content_type.value} {content.name!r} has no extract to refresh")
            site = next(site for site in self.sites if content in site.contents)
            job = queue(self, site, content, queue_seconds=queue_seconds)
            if started:
                start(self, job)
            return job

    def find_site(self, content_url: str) -> Site | None:
        """The site with this content URL, which is compared without regard to case."""
        return next((site for site in self.sites if site.content_url.casefold() == content_url.casefold()), None)

    def expected_targets(self, *credentials: str) -> list[ExpectedTarget]:
        """The expected targets of all sites; see `Site.expected_targets`."""
        return [target for site in self.sites for target in site.expected_targets(*credentials)]
