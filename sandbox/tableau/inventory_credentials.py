"""The Snowflake users of a believable site, and the accounts that know them."""

from __future__ import annotations

from sandbox.snowflake_accounts import SnowflakeAccounts
from sandbox.tableau.site import SandboxCredential

OLD_LOCATOR = "xy12345.eu-central-1.snowflakecomputing.com"
CREDENTIALS = (
    SandboxCredential(
        "etl",
        account="acme-prod",
        login="TABLEAU_ETL",
        secret="etl-token-of-last-year",
        new_secret="etl-token-of-today",
        tableau_usernames=("jane.doe@acme.example",),  # whose own password was embedded until now
        server_addresses=(OLD_LOCATOR,),
    ),
    SandboxCredential(
        "bi",
        account="acme-prod",
        login="TABLEAU_BI",
        secret="bi-token-of-last-year",
        new_secret="bi-token-of-today",
        server_addresses=(OLD_LOCATOR,),
    ),
    SandboxCredential(
        "marketing",
        account="acme-emea",
        login="Marketing_Reader",
        secret="marketing-token-of-last-year",
        new_secret="marketing-token-of-today",
    ),
)


def add_accounts(accounts: SnowflakeAccounts) -> None:
    """The accounts of the credentials and of a partner; the old and the new secrets are valid there."""
    accounts.add_account("acme-prod", OLD_LOCATOR)
    accounts.add_account("acme-emea")
    accounts.add_account("partner-org").add_user("TABLEAU_ETL", ["partner-token"])
    for credential in CREDENTIALS:
        account = accounts.accounts[credential.account]
        account.add_user(credential.login, [credential.secret, credential.new_secret])
        for person in credential.tableau_usernames:
            account.add_user(person, [password_of(person)])
    accounts.accounts["acme-prod"].add_user("ANALYST_7", ["analyst-token"])


def password_of(person: str) -> str:
    """What the person's connections have embedded until now."""
    return f"password of {person}"
