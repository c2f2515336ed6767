"""What tests of updates share: the token that is embedded, and the targets of the sandbox as a run finds them."""

from __future__ import annotations

from dataclasses import replace

from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.filters import Filters
from credential_rotation.rotation.inventory import take_inventory
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SiteInventory, select
from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import RawAnswer
from tests.builders import snowflake_credential

TOKEN = 'today\'s <token> & "more"'
CREDENTIAL = snowflake_credential(token=TOKEN, tableau_usernames=["jane"], previous_password="before")
ACCEPTED_WITHOUT_EFFECT = RawAnswer(200, '<tsResponse xmlns="http://tableau.com/api"/>', "application/xml")
UPDATE = "update_connection"


def settled(tableau: TableauSite, record: ConnectionRecord) -> ConnectionRecord:
    """A connection after its item was looked at, where it was just written to."""
    if not record.is_unsettled:
        return record
    return replace(record, item_updated_at=tableau.updated_at([record.content]).get(record.content_id, ""))


def find_targets(tableau: TableauSite, credential: SnowflakeCredential = CREDENTIAL) -> list[ConnectionRecord]:
    """As a run finds them."""
    taken = SiteInventory("tableau_default", "acme", take_inventory(tableau, list(ContentType), 4))
    selected = select([taken], [credential], Filters(), embed_where_prompting=True)
    return [record for record in selected if record.is_target]
