"""The second step: which connections are targets of which credential, and why the others are none."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from credential_rotation.rotation import addresses
from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.filters import Filters
from credential_rotation.rotation.inventory import Inventory, Item
from credential_rotation.rotation.outcomes import NO_CREDENTIAL, Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.content import Connection

log = logging.getLogger(__name__)

_SHOWN = 10
_LINKS = frozenset({"sqlproxy", "tableau-server-site"})
# What an extract may call itself, though the connection below it is to Snowflake; and what says nothing at all.
_ADDRESS_DECIDES = frozenset({"hyper", "dataengine", ""})
# Tableau's words for user and password, in lower case and without separators. Its files say "username-password" or, in
# older versions, "Username Password"; its Connector SDK has "auth-user-pass", which it calls "UsernameAndPassword"
# (https://tableau.github.io/connector-plugin-sdk/docs/ui).
USER_AND_PASSWORD = frozenset({"usernamepassword", "authuserpass", "usernameandpassword"})


class SelectionError(ValueError):
    """The inventory and what was asked for do not fit together; nothing was written."""


@dataclass(frozen=True)
class SiteInventory:
    """An inventory, and where it was taken: ``site_key`` tells the site, however it is signed in to."""

    tableau_conn_id: str
    site: str
    inventory: Inventory
    site_key: str = ""


def select(
    inventories: Sequence[SiteInventory],
    credentials: Sequence[SnowflakeCredential],
    filters: Filters,
    *,
    embed_where_prompting: bool = False,
) -> list[ConnectionRecord]:
    """One record for every connection of the inventories: a target of a credential, or excluded with the reason.

    What could not be read is a failure, what vanished while it was read is gone; both have no ``connection_id``.

    :raises SelectionError: two credentials claim one connection, a LUID in ``ids`` is unknown or no credential is for
        it, or two Tableau connections lead to the same site
    """
    records: list[ConnectionRecord] = []
    conflicts: list[str] = []
    for site in inventories:
        for item in site.inventory.items:
            if not item.connections:
                records += _of_unread(site, item, filters)
            for connection in item.connections:
                record = _record(site, item, connection)
                claims, reason = _claims(connection, credentials, embed_where_prompting=embed_where_prompting)
                if claims and not filters.take(item.content, connection.id):
                    reason = Exclusion.FILTERED_OUT
                elif len(claims) > 1:
                    conflicts.append(f"{record.title} (user {record.username}): {', '.join(sorted(claims))}")
                records.append(
                    replace(record, outcome=Outcome.EXCLUDED, reason=reason)
                    if reason
                    else replace(record, snowflake_conn_id=claims[0])
                )
    _refuse_conflicts(conflicts)
    _refuse_the_same_site_twice(records)
    _refuse_useless_ids(records, filters.ids)
    return records


def _claims(
    connection: Connection, credentials: Sequence[SnowflakeCredential], *, embed_where_prompting: bool
) -> tuple[list[str], Exclusion | None]:
    """The credentials that claim a connection, or why it is none's."""
    reason = _not_with_user_and_password(connection)
    if reason:
        return [], reason
    if not connection.server_address:
        return [], Exclusion.NO_SERVER_ADDRESS
    of_account = [credential for credential in credentials if credential.is_for_account(connection.server_address)]
    if not of_account:
        return [], Exclusion.OTHER_ACCOUNT
    if not connection.username:
        return [], Exclusion.NO_USERNAME
    claims = [credential.conn_id for credential in of_account if credential.is_for_user(connection.username)]
    if not claims:
        return [], Exclusion.OTHER_USER
    if connection.embed_password is False and not embed_where_prompting:
        return [], Exclusion.PASSWORD_NOT_EMBEDDED
    return claims, None


def _not_with_user_and_password(connection: Connection) -> Exclusion | None:
    kind = connection.type.lower()
    if kind in _LINKS:
        return Exclusion.PUBLISHED_DATA_SOURCE
    if kind != "snowflake" and not (kind in _ADDRESS_DECIDES and addresses.is_snowflake(connection.server_address)):
        return Exclusion.NOT_SNOWFLAKE
    said = connection.authentication_type.strip()
    sign_in = re.sub(r"[\W_]+", "", said).casefold()
    if connection.oauth_keychain or "oauth" in sign_in:
        return Exclusion.OAUTH
    if "keypair" in sign_in:
        return Exclusion.KEY_PAIR
    # Tableau often does not say; that is taken to mean user and password (docs/limits.md). Anything else is left alone,
    # because an update would overwrite it.
    return Exclusion.OTHER_SIGN_IN if said and sign_in not in USER_AND_PASSWORD else None


def _record(site: SiteInventory, item: Item, connection: Connection | None) -> ConnectionRecord:
    content = item.content
    return ConnectionRecord(
        tableau_conn_id=site.tableau_conn_id,
        site=site.site,
        content_type=content.type,
        content_id=content.id,
        content_name=content.name,
        project=content.project,
        owner=content.owner,
        connection_id=connection.id if connection else None,
        server_address=connection.server_address if connection else "",
        server_port=connection.server_port if connection else "",
        username=connection.username if connection else "",
        authentication_type=connection.authentication_type if connection else "",
        embed_password=connection.embed_password if connection else None,
        updated_at=content.updated_at,
        has_extracts=content.has_extracts,
        size=content.size,
        connected_workbooks=content.connected_workbooks,
        connections_in_item=len(item.connections) or None,
        content_url=content.url,
    )


def _of_unread(site: SiteInventory, item: Item, filters: Filters) -> list[ConnectionRecord]:
    record = _record(site, item, None)
    if item.gone:
        return [replace(record, outcome=Outcome.GONE, reason="deleted while the site was read")]
    if not item.unreadable:
        return []
    if not filters.take(item.content, item.content.id):
        return [replace(record, outcome=Outcome.EXCLUDED, reason=Exclusion.FILTERED_OUT)]
    return [replace(record, outcome=Outcome.FAILED, reason=item.unreadable)]


def _refuse_conflicts(conflicts: list[str]) -> None:
    if conflicts:
        raise SelectionError(
            "More than one credential claims the same connection, so it is not clear which token to embed. Make their "
            f"login and tableau_usernames differ, or leave one out of snowflake_conn_ids. {_listed(conflicts)}"
        )


def _refuse_the_same_site_twice(records: Iterable[ConnectionRecord]) -> None:
    seen: dict[str, str] = {}
    for record in records:
        first = seen.setdefault(record.content_id, record.tableau_conn_id)
        if first != record.tableau_conn_id:
            raise SelectionError(
                f"The Airflow connections '{first}' and '{record.tableau_conn_id}' lead to the same Tableau site; "
                "leave one of them out of tableau_conn_ids."
            )


def _refuse_useless_ids(records: Sequence[ConnectionRecord], ids: Collection[str]) -> None:
    """Who names an item by its LUID means it: that it is not there, or has no credential, must not pass in silence."""
    by_id: dict[str, list[ConnectionRecord]] = {}
    for record in records:
        for luid in {record.content_id, record.connection_id} - {None}:
            by_id.setdefault(str(luid).casefold(), []).append(record)
    unknown = [luid for luid in ids if luid.casefold() not in by_id]
    if unknown:
        raise SelectionError(
            f"ids: no content and no connection has {_listed(unknown)} (among the content types that were looked at)"
            f"{_nearest(unknown[0], by_id)}."
        )
    orphans = []
    for luid in ids:
        named = by_id[luid.casefold()]
        lacking = [record for record in named if record.reason in NO_CREDENTIAL]
        if lacking and not any(record.is_target for record in named):
            orphans += [f"{record.title}: {record.username} at {record.server_address}" for record in lacking]
    if orphans:
        raise SelectionError(
            "ids: there is no credential for the user of what was asked for. Add an Airflow connection with that login "
            f"(or name it in tableau_usernames) to snowflake_conn_ids. {_listed(orphans)}"
        )


def _nearest(luid: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(luid.casefold(), list(known), n=1, cutoff=0.85)
    return f"; did you mean {near[0]}" if near else ""


def _listed(things: Sequence[str]) -> str:
    more = f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else ""
    return "; ".join(things[:_SHOWN]) + more
