"""One request as the endpoints see it."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.tableau import bodies
from sandbox.tableau.connections import Connection
from sandbox.tableau.content import Content, ContentType
from sandbox.tableau.errors import forbidden, no_credentials, not_found, session_over
from sandbox.tableau.sessions import Session
from sandbox.tableau.site import Site
from sandbox.tableau.state import TableauState


@dataclass
class Call:
    """A request on its way to an endpoint: what the path, the query and the headers said."""

    state: TableauState
    method: str
    path: str
    version: str
    operation: str
    parameters: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    base_url: str = ""  # of this Tableau, as the client calls it
    session: Session | None = None
    unknown_query: list[str] = field(default_factory=list)

    @property
    def token(self) -> str | None:
        """The value of X-Tableau-Auth."""
        return self.headers.get("x-tableau-auth")

    @property
    def wants_json(self) -> bool:
        """Whether the answer is to be JSON; XML is what comes when nothing is said."""
        return "application/json" in self.headers.get("accept", "").casefold()

    @property
    def content_type(self) -> ContentType:
        """The kind of content that the path names."""
        return ContentType(self.parameters["content_type"])

    def open_session(self) -> Session:
        """Find the session of the request, or refuse it."""
        if self.token is None:
            raise no_credentials()
        session = self.state.sessions.use(self.token, self.state.session_idle_minutes)
        if session is None:
            raise session_over()
        site_id = self.parameters.get("site_id")
        if site_id is not None and site_id != session.site.id:
            raise forbidden("The site in the path is not the one that was signed in to.")
        self.session = session
        return session

    @property
    def live(self) -> Session:
        """The session, which the route has opened."""
        if self.session is None:
            raise session_over()
        return self.session

    @property
    def site(self) -> Site:
        """The site that the session is signed in to."""
        return self.live.site

    def read_body(self, allowed: bodies.Shape) -> bodies.Node:
        """The body, if it holds nothing but what is allowed."""
        return bodies.check(bodies.read(self.body, self.headers.get("content-type", "")), allowed)

    def content(self) -> Content:
        """The content that the path names, if it is there and the user may work with it."""
        luid = self.parameters["content_id"]
        try:
            content = self.site.content(luid)
        except KeyError:
            content = None
        if content is None or content.id != luid or content.content_type is not self.content_type:
            raise not_found(self.content_type.value, luid)
        if self.live.user.name in content.denied_to:
            raise forbidden()
        return content

    def writable_content(self) -> Content:
        """The content, if the user may change it: administrators and owners may."""
        content = self.content()
        if not self.live.user.is_admin and content.owner.id != self.live.user.id:
            raise forbidden()
        return content

    def connection(self, content: Content) -> Connection:
        """The connection of this content that the path names."""
        luid = self.parameters["connection_id"]
        connection = content.connection(luid)
        if connection is None:
            raise not_found("connection", luid)
        return connection
