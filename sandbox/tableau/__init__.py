"""A Tableau to try the rotation against: a real HTTP server, strict where the real one is, with faults on demand.

`TableauState` is what it holds, `TableauServer` serves it, `build_site` fills it with believable content.
"""

from sandbox.tableau.connections import (
    Auth,
    Connection,
    file_connection,
    key_pair_connection,
    oauth_connection,
    other_database_connection,
    postgres_connection,
    published_link,
    snowflake_connection,
)
from sandbox.tableau.content import Content, ContentType, JobOutcome, UpdateAnswer
from sandbox.tableau.faults import (
    EmptyBody,
    Fault,
    HalfBody,
    HtmlPage,
    OtherFormat,
    Pass,
    RawAnswer,
    Redirect,
    ResetAfter,
    ResetBefore,
    ServerError,
    SessionLost,
    Silence,
    Slow,
    TableauCode,
    Throttle,
)
from sandbox.tableau.server import TableauServer
from sandbox.tableau.site import ExpectedTarget, SandboxCredential, Site
from sandbox.tableau.state import (
    ADMIN_PASSWORD,
    ADMIN_USER,
    APP_CLIENT_ID,
    APP_SECRET_ID,
    APP_SECRET_VALUE,
    TABLEAU_PAT_NAME,
    TABLEAU_PAT_SECRET,
    ConnectedApp,
    TableauPat,
    TableauState,
)
