"""One outcome for every connection, and a verdict that tells the truth."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.rotation.proof import Proving
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.report import CANARY_FAILED, NO_WORD, NOT_REACHED, Report, settle
from tests.builders import rotation_report, target, targets

PROVING = Proving(updated_at="2026-05-02T08:00:00Z", since=1777708800.0, job_id="job-1", is_our_job=True)


def excluded(number: int, reason: Exclusion, **fields: Any) -> ConnectionRecord:
    return target(number, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=reason, **fields)


def report(*records: ConnectionRecord, **fields: Any) -> Report:
    return rotation_report(*records, **{"seconds": 3.14159} | fields)


class TestSettling:
    """Every connection of the plan comes to one outcome."""

    def test_what_was_decided_before_stays(self) -> None:
        plan = [excluded(1, Exclusion.OAUTH), target(2, outcome=Outcome.PLANNED), target(3, outcome=Outcome.GONE)]
        assert settle(plan, []) == plan

    def test_what_a_task_says_counts(self) -> None:
        updated = target(1, outcome=Outcome.UPDATED, attempts=1)
        failed = target(2, outcome=Outcome.FAILED, reason="No.", attempts=5)
        assert settle(targets(2), [failed, updated]) == [updated, failed]

    def test_a_target_whose_task_was_killed_has_failed_since_nobody_knows(self) -> None:
        [record] = settle(targets(1), [], attempted=[target(1).key])
        assert (record.outcome, record.reason) == (Outcome.FAILED, NO_WORD)

    def test_a_target_that_no_task_got_was_not_attempted(self) -> None:
        [record] = settle(targets(1), [])
        assert (record.outcome, record.reason) == (Outcome.NOT_ATTEMPTED, NOT_REACHED)

    def test_after_a_failed_canary_the_rest_of_its_credential_was_not_attempted_and_says_why(self) -> None:
        plan = [*targets(2), target(3, snowflake_conn_id="other")]
        canary = target(1, canary=True, outcome=Outcome.FAILED, reason="No.")
        _, second, third = settle(plan, [canary])
        assert (second.outcome, second.reason) == (Outcome.NOT_ATTEMPTED, CANARY_FAILED)
        assert (third.outcome, third.reason) == (Outcome.NOT_ATTEMPTED, NOT_REACHED)

    def test_a_deleted_canary_is_no_failure(self) -> None:
        _, second = settle(targets(2), [target(1, canary=True, outcome=Outcome.GONE)])
        assert second.reason == NOT_REACHED

    def test_the_canary_that_took_the_place_of_a_deleted_one_counts(self) -> None:
        gone = target(1, canary=True, outcome=Outcome.GONE)
        failed = target(2, canary=True, outcome=Outcome.FAILED, reason="No.")
        updated = target(2, canary=True, outcome=Outcome.UPDATED)
        for order in ([gone, failed], [failed, gone]):
            assert settle(targets(3), order)[2].reason == CANARY_FAILED
        for order in ([gone, updated], [updated, gone]):
            assert settle(targets(3), order)[2].reason == NOT_REACHED

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.ROLLED_BACK, None])
    def test_after_a_canary_that_was_put_back_or_left_unproved_the_rest_says_why(self, outcome: Outcome | None) -> None:
        canary = target(1, canary=True, outcome=outcome, reason="it did not connect", proving=PROVING)
        _, second = settle(targets(2), [canary])
        assert (second.outcome, second.reason) == (Outcome.NOT_ATTEMPTED, CANARY_FAILED)

    def test_after_a_roll_back_that_was_asked_for_the_rest_may_follow(self) -> None:
        canary = target(1, canary=True, outcome=Outcome.ROLLED_BACK)
        assert settle(targets(2), [canary])[1].reason == NOT_REACHED

    def test_a_token_that_snowflake_refused_is_why_nothing_was_attempted(self) -> None:
        why = "Snowflake refuses the token of 'snowflake_pat', user ETL_USER: Programmatic access token is invalid."
        canary = target(1, canary=True, outcome=Outcome.NOT_ATTEMPTED, reason=why)
        plan = [*targets(3), target(4, snowflake_conn_id="other")]
        settled = settle(plan, [canary], not_reached="the run was stopped")
        assert {(record.outcome, record.reason) for record in settled[:3]} == {(Outcome.NOT_ATTEMPTED, why)}
        assert settled[3].reason == "the run was stopped"

    def test_a_deleted_canary_does_not_hide_that_snowflake_refused_the_token(self) -> None:
        refused = target(2, canary=True, outcome=Outcome.NOT_ATTEMPTED, reason="Snowflake refuses the token.")
        gone = target(1, canary=True, outcome=Outcome.GONE)
        for order in ([gone, refused], [refused, gone]):
            assert settle(targets(3), order)[2].reason == "Snowflake refuses the token."

    def test_what_is_saved_and_was_never_proved_has_failed_and_says_so(self) -> None:
        saved = target(1, attempts=1, touched=True, proving=PROVING)
        [record] = settle(targets(1), [saved], attempted=[saved.key])
        assert (record.outcome, record.attempts) == (Outcome.FAILED, 1)
        assert "its update is saved, but the run ended before it was shown that it connects" in str(record.reason)
        assert report(record).state == "failed"

    @pytest.mark.parametrize("proving", [None, PROVING])
    def test_what_was_being_put_back_has_failed_and_says_so_in_capital_letters(self, proving: Proving | None) -> None:
        undoing = target(1, canary=True, attempts=2, touched=True, undoing="it did not connect.", proving=proving)
        [record] = settle(targets(1), [undoing])
        assert record.outcome is Outcome.FAILED
        assert str(record.reason).startswith("SALES › ORDERS 1 NOW HOLDS A TOKEN THAT DID NOT CONNECT: it did not conn")
        assert "The run ended before it was seen that the secret before it is back" in str(record.reason)
        made = report(record)
        assert record.reason in made.verdict()
        assert str(record.reason) in made.as_table()
        assert [row["reason"] for row in made.rows()] == [record.reason]

    def test_a_canary_whose_task_was_killed_is_why_the_rest_was_not_attempted(self) -> None:
        first, second = settle(targets(2), [], attempted=[target(1).key])
        assert (first.outcome, second.outcome) == (Outcome.FAILED, Outcome.NOT_ATTEMPTED)

    def test_what_a_person_did_not_approve_says_who(self) -> None:
        plan = targets(2)
        canary = target(1, canary=True, outcome=Outcome.UPDATED)
        _, second = settle(plan, [canary], not_reached="not approved (by Ann, today)")
        assert (second.outcome, second.reason) == (Outcome.NOT_ATTEMPTED, "not approved (by Ann, today)")


class TestState:
    """Green only if every target was updated."""

    @pytest.mark.parametrize("outcome", [Outcome.UPDATED, Outcome.UNCHANGED, Outcome.PLANNED, Outcome.GONE])
    def test_green(self, outcome: Outcome) -> None:
        assert report(target(1, outcome=outcome), excluded(2, Exclusion.OAUTH)).state == "success"

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.NOT_ATTEMPTED, Outcome.ROLLED_BACK])
    def test_red(self, outcome: Outcome) -> None:
        made = report(target(1, outcome=Outcome.UPDATED), target(2, outcome=outcome, reason="No."))
        assert made.state == "failed"
        assert made.verdict() == f"1 {outcome} (first: Sales › Orders 2 · ETL_USER: No.)"

    def test_a_roll_back_is_green_where_it_was_asked_for(self) -> None:
        assert report(target(1, outcome=Outcome.ROLLED_BACK)).state == "success"
        assert report(target(1, outcome=Outcome.ROLLED_BACK, reason="it did not connect")).state == "failed"

    def test_an_item_that_could_not_be_read_is_red(self) -> None:
        unread = target(1, snowflake_conn_id=None, connection_id=None, outcome=Outcome.FAILED, reason="403")
        assert report(unread).state == "failed"

    def test_a_problem_of_any_task_is_red_whatever_the_connections_say(self) -> None:
        made = report(target(1, outcome=Outcome.UPDATED), problems=("discover: refused.", "report: odd."))
        assert made.state == "failed"
        assert made.verdict() == "discover: refused. report: odd."

    def test_nothing_at_all_is_green(self) -> None:
        assert report().state == "success"


class TestCounts:
    """The summary."""

    def test_it_has_the_names_of_the_contract(self) -> None:
        assert list(report().summary) == [
            "content", "connections", "targets", "updated", "unchanged", "planned", "failed", "gone", "not_attempted",
            "rolled_back", "excluded",
        ]  # fmt: skip

    def test_it_counts_each_connection_once(self) -> None:
        records = [
            *targets(3, outcome=Outcome.UPDATED),
            target(4, outcome=Outcome.FAILED),
            target(5, outcome=Outcome.GONE),
            excluded(6, Exclusion.OAUTH),
            excluded(7, Exclusion.OTHER_USER),
            excluded(8, Exclusion.OTHER_USER),
            target(9, snowflake_conn_id=None, connection_id=None, outcome=Outcome.FAILED),
        ]
        summary = report(*records).summary
        assert (summary["content"], summary["connections"], summary["targets"]) == (7, 8, 5)
        assert (summary["updated"], summary["failed"], summary["gone"], summary["not_attempted"]) == (3, 2, 1, 0)
        assert summary["excluded"] == {"other_user": 2, "oauth": 1}

    def test_the_brief_form_has_everything_but_the_connections_and_timings(self) -> None:
        made = report(target(1, outcome=Outcome.UPDATED), timings={"bucket_seconds": 1})
        assert made.brief() | {"timings": {"bucket_seconds": 1}} == made.head()
        assert not {"connections", "timings"} & set(made.brief())
        assert (made.brief()["requests"], made.brief()["sign_ins"], made.brief()["throttled"]) == (12, 1, 2)
        assert made.brief()["seconds"] == 3.1

    def test_it_says_when_it_was_and_what_was_asked_for(self) -> None:
        berlin = timezone(timedelta(hours=2))
        started_at, ended_at = datetime(2026, 5, 1, 8, tzinfo=UTC), datetime(2026, 5, 1, 10, 0, 7, tzinfo=berlin)
        brief = report(started_at=started_at, ended_at=ended_at, params={"dry_run": True}).brief()
        assert brief["started_at"] == "2026-05-01T08:00:00+00:00"
        assert brief["ended_at"] == "2026-05-01T08:00:07+00:00"
        assert brief["params"] == {"dry_run": True}
        assert report().brief()["started_at"] is None

    def test_a_connection_has_the_names_of_the_contract_and_survives_json(self) -> None:
        [row] = json.loads(json.dumps(list(report(target(1, outcome=Outcome.UPDATED, attempts=1)).rows())))
        assert list(row) == [
            "tableau_conn_id", "site", "content_type", "content_id", "content_name", "project", "owner",
            "connection_id", "server_address", "username", "snowflake_conn_id", "outcome", "proof", "reason",
            "attempts", "canary", "content_url", "seconds", "authentication_type",
        ]  # fmt: skip
        assert row["outcome"] == "updated"

    def test_a_line_leads_to_the_item_and_says_how_long_it_took(self) -> None:
        page = "https://tableau.acme.example/#/site/acme/workbooks/1"
        record = target(1, outcome=Outcome.UPDATED, content_url=page, seconds=1.23456)
        [first, second] = report(record, excluded(2, Exclusion.OAUTH)).rows()
        assert (first["content_url"], first["seconds"]) == (page, 1.235)
        assert (second["content_url"], second["seconds"]) == (None, None)

    def test_a_line_names_the_way_to_sign_in_that_is_not_known(self) -> None:
        [row] = report(excluded(1, Exclusion.OTHER_SIGN_IN, authentication_type="Okta")).rows()
        assert (row["reason"], row["authentication_type"]) == ("other_sign_in", "Okta")


class TestTables:
    """For spreadsheets, and for the task log."""

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝"])
    def test_what_a_spreadsheet_would_take_for_a_formula_is_a_text(self, start: str) -> None:
        name = start + "SUM(A1:A9)"
        text = report(target(1, content_name=name, project=name, owner=name, outcome=Outcome.UPDATED)).as_csv()
        [row] = csv.DictReader(io.StringIO(text, newline=""))
        assert row["content_name"] == row["project"] == row["owner"] == "'" + name

    def test_a_spreadsheet_gets_the_page_of_each_item_after_what_it_had_before(self) -> None:
        page = "https://tableau.acme.example/#/site/acme/workbooks/1"
        text = report(target(1, outcome=Outcome.UPDATED, content_url=page)).as_csv()
        [row] = csv.DictReader(io.StringIO(text, newline=""))
        assert row["content_url"] == page
        assert list(row)[-4:] == ["canary", "content_url", "seconds", "authentication_type"]

    def test_awkward_names_come_back_from_the_csv(self) -> None:
        name = 'a, "b"; c\n<d> 売上 🚀'
        text = report(target(1, content_name=name, outcome=Outcome.UPDATED), target(2, outcome=Outcome.GONE)).as_csv()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [row["content_name"] for row in rows] == [name, "Orders 2"]
        assert [row["outcome"] for row in rows] == ["updated", "gone"]

    def test_the_log_shows_the_counts_the_notes_and_what_went_wrong(self) -> None:
        made = report(
            target(1, outcome=Outcome.UPDATED),
            target(2, outcome=Outcome.FAILED, reason="No."),
            excluded(3, Exclusion.OAUTH),
            notes=("No flows were looked at.",),
        )
        lines = [line.strip() for line in made.as_table().splitlines()]
        assert "updated  1" in lines
        assert "oauth  1  excluded" in lines
        assert "Note: No flows were looked at." in lines
        assert "failed: Sales › Orders 2 · ETL_USER · No." in lines
        assert not any(line.startswith("planned") for line in lines)

    def test_the_log_does_not_show_thousands_of_failures(self) -> None:
        table = report(*targets(2000, outcome=Outcome.FAILED, reason="No.")).as_table()
        assert len(table.splitlines()) < 100
        assert "... and 1950 more, see the report" in table
