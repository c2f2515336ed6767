"""What runs leave for the page: called by the last task of each, once its report is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from credential_rotation.fleet.files import FleetFiles
from credential_rotation.fleet.learning import Learning
from credential_rotation.fleet.model import RunBrief, TokenBrief
from credential_rotation.fleet.site_state import Doings, TokenInForce
from credential_rotation.ledgers import Ledgers
from credential_rotation.renewal.report import FAILED, PLANNED, RenewalReport, UserReport
from credential_rotation.run_folder import RunFolder


@dataclass(frozen=True)
class Rotation:
    """A run of the rotation that has its report.

    :param sites: the keys of the sites that the Tableau connections lead to
    :param credentials: by the id of their Airflow connection
    :param is_whole: whether it looked at everything
    """

    run: RunBrief
    folder: RunFolder
    sites: Mapping[str, str]
    credentials: Mapping[str, TokenInForce]
    is_whole: bool


def note_rotation(reports: str, rotation: Rotation) -> None:
    """Add what a run did to what is known of its sites."""
    files, ledgers = FleetFiles(reports), Ledgers(reports, rotation.run.dag_id)
    files.add_run(rotation.run)
    for tableau_conn_id, site_key in rotation.sites.items():
        runs, targets = files.targets(site_key)
        doings = Doings(rotation.run, tableau_conn_id, rotation.is_whole, rotation.credentials, ledgers.read(site_key))
        learning = Learning(files.site(site_key), runs, _rows(rotation.folder, tableau_conn_id), doings)
        files.write_targets(site_key, learning.runs, learning.merged(targets))
        files.write_site(learning.settled())


def _rows(folder: RunFolder, tableau_conn_id: str) -> Iterator[dict[str, Any]]:
    """The lines of the report on one site, one by one: of a large one, all at once would take much room."""
    rows = folder.elements("report.json", "connections")
    return (row for row in rows if row["tableau_conn_id"] == tableau_conn_id)


def note_renewal(reports: str, run: RunBrief, report: RenewalReport) -> None:
    """Add how the tokens stand after a renewal."""
    files = FleetFiles(reports)
    files.add_run(run)
    for user in report.users:
        if user.user:  # else nobody has seen this one: its Airflow connection can't be used, say
            files.write_token(user.snowflake_conn_id, _brief(user, files.token(user.snowflake_conn_id), run))


def _brief(user: UserReport, before: TokenBrief | None, run: RunBrief) -> TokenBrief:
    outcome, reason = user.outcome, user.reason
    if before is not None and before.outcome == FAILED and run.dry_run and outcome == PLANNED:
        outcome, reason = before.outcome, before.reason  # a dry run mends nothing
    if user.expires_at is None and before is not None:
        # That Snowflake could not be asked is no reason to forget when the token dies.
        return replace(before, outcome=outcome, reason=reason)
    return TokenBrief(
        token_name=user.token_name,
        expires_at=user.expires_at,
        days_left=user.days_left,
        renew_from=user.next_due,
        renewed_at=user.renewed_at,
        seen_at=run.ended_at,
        outcome=outcome,
        reason=reason,
    )
