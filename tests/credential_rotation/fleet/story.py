"""Runs, one after the other, as they leave their files for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from credential_rotation.fleet.model import Fleet, FleetRow, RunBrief
from credential_rotation.fleet.reading import read_fleet
from credential_rotation.fleet.site_state import TokenInForce
from credential_rotation.fleet.writing import Rotation, note_renewal, note_rotation
from credential_rotation.ledgers import Ledgers
from credential_rotation.renewal.report import FAILED, NOTHING_TO_DO, PLANNED, RENEWED, RenewalReport, UserReport
from credential_rotation.renewals import Renewal, Renewals
from credential_rotation.rotation.ledger import Secrets
from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.report import Report
from credential_rotation.run_folder import RunFolder

ROTATION, RENEWAL = "rotate_snowflake_pat_in_tableau", "renew_snowflake_pat"
SITE = "https://tableau.acme.example|acme"
BEGAN = datetime(2026, 11, 1, 4, tzinfo=UTC)


class Story:
    """Plays runs at noon, a day each."""

    def __init__(self, reports: str) -> None:
        self.reports = reports
        self.now = BEGAN
        self.token = "fingerprint-1"
        self._number = 0

    def rotate(
        self,
        records: Sequence[ConnectionRecord],
        *,
        dry_run: bool = False,
        is_whole: bool = True,
        run_id: str | None = None,
        problems: Sequence[str] = (),
        conn_ids: Sequence[str] = ("snowflake_pat",),
        site: str = SITE,
    ) -> str:
        """A run that came to these outcomes."""
        self.now += timedelta(days=1)
        self._number += 1
        run_id = run_id or f"run-{self._number}"
        saved_at = self.now.isoformat()
        records = [replace(each, saved_at=saved_at) if each.outcome is Outcome.UPDATED else each for each in records]
        report = Report(run_id, dry_run, tuple(problems), (), len(records), tuple(records), {}, 1.0)
        folder = RunFolder(ROTATION, run_id, self.reports)
        folder.write("report.json", {**report.brief(), "connections": report.rows()})
        ledgers = Ledgers(self.reports, ROTATION)
        ledger = ledgers.read(site)
        for record in records:
            if record.is_target and record.outcome is not None:
                ledger.learn(record, Secrets(self.token), record.username, run_id)
        ledgers.write(site, ledger)
        run = self._brief(ROTATION, run_id, report.state, report.verdict(), dry_run=dry_run, summary=report.summary)
        credential = TokenInForce("ETL_USER", self.token, frozenset({"etl_user", "jane.doe"}))
        credentials = dict.fromkeys(conn_ids, credential)
        note_rotation(self.reports, Rotation(run, folder, {"tableau_default": site}, credentials, is_whole))
        return run_id

    def renew(
        self, *, token: str | None = None, days_left: float = 15.0, reason: str | None = None, dry_run: bool = False
    ) -> None:
        """A run of the renewal, which found a token that lives for so long; with a token, after it had made it."""
        self.now += timedelta(days=1)
        self._number += 1
        expires = self.now + timedelta(days=days_left)
        outcome = FAILED if reason else RENEWED if token else PLANNED if dry_run else NOTHING_TO_DO
        renewed_at = None
        if token:
            self.token, renewed_at = token, self.now.isoformat()
            Renewals(self.reports).renewed("snowflake_pat", Renewal(renewed_at, "renewal", token, token))
        user = UserReport(
            "snowflake_pat",
            "ETL_USER",
            token_name="TABLEAU",
            expires_at=expires.isoformat(),
            days_left=days_left,
            outcome=outcome,
            reason=reason,
            renewed_at=renewed_at,
            next_due=(expires - timedelta(days=7)).isoformat(),
        )
        report = RenewalReport(f"renewal-{self._number}", dry_run=dry_run, problems=(), users=(user,))
        run = self._brief(RENEWAL, report.run_id, report.state, report.verdict(), dry_run=dry_run)
        note_renewal(self.reports, run, report)

    def fleet(self, **later: float) -> Fleet:
        """What is shown now, or later."""
        return read_fleet(self.reports, self.now + timedelta(**later))

    def row(self, **later: float) -> FleetRow:
        """The only user on the only site."""
        (row,) = self.fleet(**later).rows
        return row

    def conditions(self, **later: float) -> dict[str, str]:
        """What holds, with the reason."""
        return {str(each.kind): each.reason for each in self.row(**later).conditions}

    def _brief(self, dag_id: str, run_id: str, state: str, verdict: str, **more: Any) -> RunBrief:
        began = (self.now - timedelta(minutes=1)).isoformat()
        values: dict[str, Any] = {"dry_run": False, "summary": {}} | more
        return RunBrief(
            dag_id, run_id, state, started_at=began, ended_at=self.now.isoformat(), verdict=verdict, **values
        )
