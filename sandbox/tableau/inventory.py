"""A believable site, with every trap that people have reported, and the truth about each connection beside it.

Each connection is labelled when it is made: `target_of` a credential, or `why` not. Nothing here selects anything, so
`expected_targets` is a second opinion on what a rotation selects.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sandbox.tableau.connections import (
    Connection,
    file_connection,
    key_pair_connection,
    oauth_connection,
    other_database_connection,
    other_sign_in_connection,
    published_link,
    snowflake_connection,
)
from sandbox.tableau.content import Content, ContentType, UpdateAnswer
from sandbox.tableau.inventory_credentials import CREDENTIALS, add_accounts, password_of
from sandbox.tableau.inventory_words import OWNERS, PROJECTS, SUBJECTS, TAGS, TRICKY_NAMES
from sandbox.tableau.site import SandboxCredential, Site
from sandbox.tableau.state import TableauState

# What answers leave out now and then; never what tells a target from another connection.
SOMETIMES_ABSENT = ("embedPassword", "authenticationType", "serverPort", "queryTaggingEnabled")
WAYS_TO_SAY_PASSWORD = (None, None, "username-password", "Username Password", "auth-user-pass")
OTHER_WAYS_TO_SIGN_IN = (
    "AD Service Principal", "snowflake-saml-idp", "workload-identity", "Okta", "external-browser", "auth-none",
)  # fmt: skip
OTHER_DATABASES = (
    ("postgres", "pg.acme.internal", "5432"),
    ("sqlserver", "mssql.acme.internal", "1433"),
    ("redshift", "dwh.abc123.eu-west-1.redshift.amazonaws.com", "5439"),
    ("bigquery", "", ""),
    ("databricks", "adb-12345.7.azuredatabricks.net", "443"),
)


def build_site(
    *,
    seed: int = 7,
    data_sources: int = 80,
    workbooks: int = 50,
    flows: int = 12,
    virtual_connections: int = 3,
    content_url: str = "acme",
) -> TableauState:
    """A Tableau with one believable site, and Snowflake accounts in which the old and the new secrets are valid.

    `state.site.credentials` says what the Airflow connections would be, `state.expected_targets()` what they are for.
    """
    # who reads the finish code before the end takes a refresh that has not begun for one that went well
    state = TableauState(seed=seed, unfinished_finish_code=0)
    site = state.add_site(content_url)
    add_accounts(state.accounts)
    site.credentials = {credential.name: credential for credential in CREDENTIALS}
    builder = _Builder(site, Random(f"inventory {seed}"))
    for number in range(data_sources):
        builder.add_datasource(number)
    for number in range(workbooks):
        builder.add_workbook(number)
    for number in range(flows):
        builder.add_flow(number)
    for number in range(virtual_connections):
        builder.add_virtual_connection(number)
    return state


class _Builder:
    """Makes content one by one; the first of each kind go through all traps in turn, the rest are drawn."""

    def __init__(self, site: Site, random: Random) -> None:
        self.site = site
        self.random = random
        self.traps: tuple[Callable[[], Connection], ...] = (
            self.oauth,
            self.oauth_by_keychain,
            self.key_pair,
            self.other_user,
            self.other_account,
            self.not_embedded,
            self.other_database,
            self.file,
            self.extract_without_address,
            self.other_sign_in,
        )

    # -- content ---------------------------------------------------------------------------------------------------

    def add_datasource(self, number: int) -> None:
        connections = self.connections(number)
        has_extracts = number % 3 == 0
        # an extract of Snowflake is listed as what holds the extract, so a filter on the listed type loses it
        listed = self.random.choice(("hyper", "dataengine")) if has_extracts else connections[0].type
        self.decorate(
            self.site.add_datasource(
                self.name(number, "Data"), **self.where(number), connections=connections, type=listed,
                has_extracts=has_extracts,
            )
        )  # fmt: skip

    def add_workbook(self, number: int) -> None:
        if number % 2 == 0:  # every other one has nothing of its own but links
            datasources = self.site.of_type(ContentType.DATASOURCE)
            connections = [published_link(self.random.choice(datasources) if datasources else None)]
        else:
            connections = self.connections(number // 2)
        if number % 5 == 1:
            connections.append(published_link())
        name = self.name(number, "Dashboard")
        views = [f"Sheet {sheet}" for sheet in range(1, self.random.randint(2, 4))]
        self.decorate(
            self.site.add_workbook(
                name, **self.where(number), connections=connections, views=views, has_extracts=number % 7 == 3
            )
        )

    def add_flow(self, number: int) -> None:
        connections = self.connections(number)
        if number % 4 == 0:
            link = published_link()
            link.type = "tableau-server-site"  # what flows call it
            connections.append(link)
        self.decorate(self.site.add_flow(self.name(number, "Flow"), **self.where(number), connections=connections))

    def add_virtual_connection(self, number: int) -> None:
        connections = [self.target(number + each) for each in range(1 + number % 3)]
        if number % 2 == 1:
            connections.append(self.other_database())
        for connection in connections:
            connection.omits = frozenset()
        name = self.name(number, "Virtual connection")
        self.decorate(self.site.add_virtual_connection(name, **self.where(number), connections=connections))

    def decorate(self, content: Content) -> None:
        content.tags = self.random.sample(TAGS, self.random.randint(0, 2))
        content.update_answer = self.random.choices(list(UpdateAnswer), (85, 10, 5))[0]

    def where(self, number: int) -> dict[str, str]:
        return {"project": PROJECTS[number % len(PROJECTS)], "owner": self.random.choice(OWNERS)}

    def name(self, number: int, kind: str) -> str:
        if number % 6 == 1:
            return f"{TRICKY_NAMES[number // 6 % len(TRICKY_NAMES)]} {number}"
        return f"{SUBJECTS[number % len(SUBJECTS)]} {kind.lower()} {number}"

    # -- connections -----------------------------------------------------------------------------------------------

    def connections(self, number: int) -> list[Connection]:
        if number % 2 == 1 and number // 2 < len(self.traps):
            connections = [self.traps[number // 2]()]
        else:
            connections = [self.draw(number)]
        for extra in range(self.random.choices((0, 1, 2), (70, 20, 10))[0]):
            connections.append(self.draw(number + extra + 1))
        return connections

    def draw(self, number: int) -> Connection:
        return self.target(number) if self.random.random() < 0.65 else self.random.choice(self.traps)()

    def target(self, number: int) -> Connection:
        credential = CREDENTIALS[number % len(CREDENTIALS)]
        user, secret = self.random.choice(
            [(credential.login, credential.secret)] * 4
            + [(person, password_of(person)) for person in credential.tableau_usernames]
        )
        # a few connections call themselves what holds the extract; the address tells what is below
        type_ = self.random.choices(("snowflake", "hyper", "dataengine"), (90, 5, 5))[0]
        connection = snowflake_connection(
            self.random.choice((user, user, user.lower(), user.upper())),
            secret,
            self.address(credential),
            self.random.choice(("", "", "443")),
            authentication_type=self.random.choice(WAYS_TO_SAY_PASSWORD),
            type=type_,
            target_of=credential.name,
        )
        connection.omits = frozenset(name for name in SOMETIMES_ABSENT if self.random.random() < 0.25)
        return connection

    def address(self, credential: SandboxCredential) -> str:
        plain = f"{credential.account}.snowflakecomputing.com"
        return self.random.choice(
            (
                plain,
                plain,
                plain,
                f"{credential.account}.privatelink.snowflakecomputing.com",
                plain.upper(),
                plain.replace("a", "A", 1),
                f"{plain}.",
                f"{plain}:443",
                f"https://{plain}",
                *credential.server_addresses,
            )
        )

    def oauth(self) -> Connection:
        return oauth_connection(CREDENTIALS[0].login, self.address(CREDENTIALS[0]))

    def oauth_by_keychain(self) -> Connection:
        return oauth_connection(
            CREDENTIALS[1].login, self.address(CREDENTIALS[1]), authentication_type=None, managed_keychain=True
        )

    def key_pair(self) -> Connection:
        word = self.random.choice(("auth-keypair", "snowflake-key-pair-jwt"))
        return key_pair_connection(CREDENTIALS[0].login, self.address(CREDENTIALS[0]), authentication_type=word)

    def other_sign_in(self) -> Connection:
        word = self.random.choice(OTHER_WAYS_TO_SIGN_IN)
        return other_sign_in_connection(CREDENTIALS[0].login, self.address(CREDENTIALS[0]), authentication_type=word)

    def other_user(self) -> Connection:
        user, secret = self.random.choice((("ANALYST_7", "analyst-token"), ("TABLEAU_ETL_2", "x"), ("TABLEAU", "x")))
        return snowflake_connection(user, secret, self.address(CREDENTIALS[0]), why="other_user")

    def other_account(self) -> Connection:
        address = self.random.choice(
            ("partner-org.snowflakecomputing.com", "acme-prod.snowflakecomputing.com.attacker.example")
        )
        return snowflake_connection(CREDENTIALS[0].login, "partner-token", address, why="other_account")

    def not_embedded(self) -> Connection:
        return snowflake_connection(CREDENTIALS[0].login, None, self.address(CREDENTIALS[0]), embedded=False)

    def other_database(self) -> Connection:
        type_, address, port = self.random.choice(OTHER_DATABASES)
        user = self.random.choice(("reporting", CREDENTIALS[0].login))  # the same name elsewhere is someone else
        return other_database_connection(type_, user, "not-snowflake", address, port)

    def file(self) -> Connection:
        return file_connection(self.random.choice(("excel-direct", "textscan", "google-sheets")))

    def extract_without_address(self) -> Connection:
        return file_connection(self.random.choice(("hyper", "dataengine")))
