"""Users, projects and the four kinds of content that hold connections."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sandbox.tableau.connections import Connection


class ContentType(StrEnum):
    """The kinds of content, by the names that this project's params use."""

    DATASOURCE = "datasource"
    WORKBOOK = "workbook"
    FLOW = "flow"
    VIRTUAL_CONNECTION = "virtual_connection"

    @property
    def element(self) -> str:
        """Tableau's element name for one."""
        return "virtualConnection" if self is ContentType.VIRTUAL_CONNECTION else self.value

    @property
    def plural(self) -> str:
        """Tableau's element name for a list of them."""
        return f"{self.element}s"


ADMIN_ROLES = frozenset({"ServerAdministrator", "SiteAdministratorCreator", "SiteAdministratorExplorer"})


@dataclass(eq=False)
class User:
    """A user of the site."""

    id: str
    name: str
    site_role: str = "Creator"
    full_name: str = ""

    @property
    def is_admin(self) -> bool:
        """Whether the site role may read and write everything on the site."""
        return self.site_role in ADMIN_ROLES


@dataclass(eq=False)
class Project:
    """A project, possibly inside another."""

    id: str
    name: str
    parent_id: str | None = None


@dataclass(eq=False)
class View:
    """A sheet of a workbook, with the moment its data was last fetched from the database."""

    id: str
    name: str
    fetched_at: datetime | None = None


class UpdateAnswer(StrEnum):
    """What the answer to an update holds; real answers differ (TSC's update_connection copes with each)."""

    ONE = "one"
    ALL = "all"
    NONE = "none"


class JobOutcome(StrEnum):
    """How a refresh ends when it is not to depend on the embedded secrets."""

    SUCCEEDS = "succeeds"
    FAILS = "fails"
    CANCELLED = "cancelled"
    NEVER_ENDS = "never_ends"


@dataclass(eq=False)
class Content:
    """One data source, workbook, flow or virtual connection."""

    content_type: ContentType
    id: str
    name: str
    project: Project
    owner: User
    created_at: datetime
    updated_at: datetime
    connections: list[Connection] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    type: str = ""  # a data source's listed type: an extract of Snowflake may say hyper or dataengine
    has_extracts: bool = False
    content_url: str = ""
    description: str = ""
    size: int = 1  # megabytes, as Tableau counts them
    views: list[View] = field(default_factory=list)
    denied_to: set[str] = field(default_factory=set)  # user names that see it listed and may do nothing more
    update_answer: UpdateAnswer = UpdateAnswer.ONE
    job_outcome: JobOutcome | None = None
    can_be_queried: bool = True  # VizQL Data Service: the API Access capability

    def connection(self, connection_id: str) -> Connection | None:
        """The connection with this LUID, if it has one."""
        return next((each for each in self.connections if each.id == connection_id), None)
