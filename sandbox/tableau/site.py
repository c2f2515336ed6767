"""One Tableau site and the factories that fill it: small exact sites for tests, large ones for the demo."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from sandbox.tableau.clock import Clock
from sandbox.tableau.connections import Auth, Connection
from sandbox.tableau.content import Content, ContentType, Project, User, View

FIRST_OF_MAY = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class ExpectedTarget:
    """A connection which a rotation must find, with the credential that must find it."""

    credential: str
    content_type: str
    content_id: str
    content_name: str
    connection_id: str


@dataclass(frozen=True)
class SandboxCredential:
    """A Snowflake user of the sandbox and what an Airflow connection for it would hold."""

    name: str
    account: str
    login: str
    secret: str  # embedded today
    new_secret: str  # the token that a rotation brings
    tableau_usernames: tuple[str, ...] = ()
    server_addresses: tuple[str, ...] = ()


@dataclass(eq=False)
class Site:
    """What one site holds. Lists are plain: tests may append, remove and change."""

    id: str
    content_url: str
    name: str
    random: Random
    clock: Clock
    users: list[User] = field(default_factory=list)
    projects: list[Project] = field(default_factory=list)
    contents: list[Content] = field(default_factory=list)
    credentials: dict[str, SandboxCredential] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index: dict[str, Content] = {}

    # -- reading ---------------------------------------------------------------------------------------------------

    def of_type(self, content_type: ContentType) -> list[Content]:
        """All content of one type, in the order in which it was made."""
        return [content for content in self.contents if content.content_type is content_type]

    def content(self, id_or_name: str) -> Content:
        """The content with this LUID or this name; KeyError if there is none."""
        if len(self._index) != len(self.contents):  # tests append to the list and remove from it as they like
            self._index = {content.id: content for content in self.contents}
        found = self._index.get(id_or_name) or next((each for each in self.contents if each.name == id_or_name), None)
        if found is None:
            raise KeyError(id_or_name)
        return found

    def connections(self) -> Iterator[tuple[Content, Connection]]:
        """Every connection of the site with the content that holds it."""
        for content in self.contents:
            for connection in content.connections:
                yield content, connection

    def connection(self, connection_id: str) -> Connection:
        """The connection with this LUID; KeyError if there is none."""
        for _, connection in self.connections():
            if connection.id == connection_id:
                return connection
        raise KeyError(connection_id)

    def user(self, name: str) -> User:
        """The user of that name; KeyError if there is none."""
        for user in self.users:
            if user.name == name:
                return user
        raise KeyError(name)

    def expected_targets(self, *credentials: str) -> list[ExpectedTarget]:
        """What a rotation of these credentials (none named: all) must update, from the labels given when built."""
        return [
            ExpectedTarget(connection.target_of, content.content_type.value, content.id, content.name, connection.id)
            for content, connection in self.connections()
            if connection.target_of is not None and (not credentials or connection.target_of in credentials)
        ]

    def expected_exclusions(self) -> dict[str, str]:
        """Connection LUID to the reason why it is nobody's target, from the labels given when built."""
        return {each.id: each.why for _, each in self.connections() if each.target_of is None}

    # -- building --------------------------------------------------------------------------------------------------

    def luid(self) -> str:
        """The next seeded LUID."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def add_user(self, name: str, site_role: str = "Creator") -> User:
        """Add a user, or return the one of that name."""
        for user in self.users:
            if user.name == name:
                return user
        user = User(self.luid(), name, site_role, full_name=name.partition("@")[0].replace(".", " ").title())
        self.users.append(user)
        return user

    def add_project(self, name: str, parent: Project | None = None) -> Project:
        """Add a project, or return the one of that name with that parent (the top level, if none is named)."""
        parent_id = parent.id if parent else None
        for project in self.projects:
            if (project.name, project.parent_id) == (name, parent_id):
                return project
        project = Project(self.luid(), name, parent_id)
        self.projects.append(project)
        return project

    def add_datasource(
        self,
        name: str = "Orders",
        *,
        project: str | Project = "Default",
        owner: str = "Ann",
        tags: Iterable[str] = (),
        connections: Iterable[Connection] = (),
        type: str = "",  # noqa: A002 - Tableau's own word for it
        has_extracts: bool = False,
    ) -> Content:
        """Add a published data source; `type` is what listings say (default: the first connection's)."""
        content = self._add(
            ContentType.DATASOURCE, name, project=project, owner=owner, tags=tags, connections=connections
        )
        content.type = type or (content.connections[0].type if content.connections else "")
        content.has_extracts = has_extracts
        return content

    def add_workbook(
        self,
        name: str = "Sales overview",
        *,
        project: str | Project = "Default",
        owner: str = "Ann",
        tags: Iterable[str] = (),
        connections: Iterable[Connection] = (),
        views: Iterable[str] = ("Sheet 1",),
        has_extracts: bool = False,
    ) -> Content:
        """Add a workbook with views."""
        content = self._add(
            ContentType.WORKBOOK, name, project=project, owner=owner, tags=tags, connections=connections
        )
        content.views = [View(self.luid(), view) for view in views]
        content.has_extracts = has_extracts
        return content

    def add_flow(
        self,
        name: str = "Nightly load",
        *,
        project: str | Project = "Default",
        owner: str = "Ann",
        tags: Iterable[str] = (),
        connections: Iterable[Connection] = (),
    ) -> Content:
        """Add a Prep flow."""
        return self._add(ContentType.FLOW, name, project=project, owner=owner, tags=tags, connections=connections)

    def add_virtual_connection(
        self,
        name: str = "Warehouse",
        *,
        project: str | Project = "Default",
        owner: str = "Ann",
        tags: Iterable[str] = (),
        connections: Iterable[Connection] = (),
    ) -> Content:
        """Add a virtual connection."""
        return self._add(
            ContentType.VIRTUAL_CONNECTION, name, project=project, owner=owner, tags=tags, connections=connections
        )

    def add_connection(self, content: Content, connection: Connection) -> Connection:
        """Add a connection to content, and give it its LUID."""
        connection.id = connection.id or self.luid()
        content.connections.append(connection)
        return connection

    def remove(self, content: Content) -> None:
        """Delete content, as a person would between our listing and our update."""
        self.contents.remove(content)

    def edit_by_hand(
        self, content: Content, connection: Connection, *, password: str | None = None, username: str | None = None
    ) -> None:
        """Change what is embedded, as a person does in Tableau's own pages; None leaves it as it is."""
        if connection.auth is not Auth.USERNAME_PASSWORD:
            raise ValueError(f"a connection that signs in by {connection.auth} has no password to change")
        if password is not None:
            connection.embedded, connection.password = True, password
        if username is not None:
            connection.username = username
        content.updated_at = self.clock.now()

    def republish(self, content: Content, password: str, *, user: str | None = None, new_ids: bool = False) -> None:
        """Publish again from a desktop: every password connection holds what the author typed there.

        With `new_ids` every connection of it gets a new LUID, as publishing again may do.
        """
        for connection in content.connections:
            if new_ids:
                connection.id = self.luid()
            if connection.auth is Auth.USERNAME_PASSWORD and connection.embedded:
                connection.password = password
                connection.username = user or connection.username
        content.updated_at = self.clock.now()

    def _add(
        self,
        content_type: ContentType,
        name: str,
        *,
        project: str | Project,
        owner: str,
        tags: Iterable[str],
        connections: Iterable[Connection],
    ) -> Content:
        content = Content(
            content_type,
            id=self.luid(),
            name=name,
            project=project if isinstance(project, Project) else self.add_project(project),
            owner=self.add_user(owner),
            created_at=FIRST_OF_MAY,
            updated_at=FIRST_OF_MAY,
            tags=list(tags),
            content_url="".join(letter for letter in name if letter.isalnum()),
        )
        for connection in connections:
            self.add_connection(content, connection)
        self.contents.append(content)
        return content
