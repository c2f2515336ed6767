"""What a person reads in report.html, however the run went."""

from __future__ import annotations

from typing import Any

import pytest

from credential_rotation.rotation.outcomes import Exclusion, Outcome, Proof
from credential_rotation.rotation.report import CANARY_FAILED
from tests.builders import target, targets
from tests.credential_rotation.pages.run_reports import (
    TIMINGS,
    canary,
    dry_report,
    excluded,
    failed,
    good_report,
    report_page,
    run_report,
    updated,
)
from tests.credential_rotation.pages.seen_page import SeenPage


def page(report: dict[str, Any]) -> SeenPage:
    return SeenPage(report_page(report))


class TestVerdict:
    """The first thing that is read, and what it rests on."""

    def test_a_good_run(self) -> None:
        seen = page(good_report())
        assert "All 3 connections embed the current token" in seen.text
        assert not seen.all("section", **{"aria-labelledby": "causes"})

    def test_a_failed_run_says_how_many_are_not_done(self) -> None:
        seen = page(run_report(canary(1), updated(2), failed(3), target(4, outcome=Outcome.NOT_ATTEMPTED, reason="x")))
        assert "2 of 4 targets are not done" in seen.text
        assert "1 failed, 1 not attempted, 2 updated." in seen.text

    def test_one_is_one(self) -> None:
        assert "1 of 2 targets is not done" in page(run_report(canary(1), failed(2))).text
        assert "1 of 1 target is not done" in page(run_report(failed(1))).text
        assert "The connection embeds the current token" in page(run_report(canary(1))).text

    def test_none(self) -> None:
        assert "None of the 3 targets is done" in page(run_report(*(failed(n) for n in range(3)))).text

    def test_a_dry_run_says_that_nothing_was_written(self) -> None:
        seen = page(dry_report())
        assert "3 connections would be updated" in seen.text
        assert "nothing was written to Tableau" in seen.text
        assert "1 connection holds the current token already" in seen.text
        assert "dry run" in seen.text

    def test_a_dry_run_that_failed_still_says_that_nothing_was_written(self) -> None:
        unread = target(1, snowflake_conn_id=None, connection_id=None, outcome=Outcome.FAILED, reason="403")
        seen = page(run_report(unread, target(2, outcome=Outcome.PLANNED), dry_run=True))
        assert "1 item could not be read" in seen.text
        assert "It was a dry run: nothing was written to Tableau." in seen.text

    def test_what_could_not_be_read_may_embed_the_token_and_the_page_says_so(self) -> None:
        unread = target(1, snowflake_conn_id=None, connection_id=None, outcome=Outcome.FAILED, reason="403")
        seen = page(run_report(unread, canary(2)))
        assert "1 item could not be read" in seen.text
        assert "What can't be read may embed the token, too." in seen.text

    @pytest.mark.parametrize("params", [{"roll_back": True}, None])
    def test_a_roll_back(self, params: dict[str, Any] | None) -> None:
        """With params, and as old reports have it."""
        rolled = targets(3, outcome=Outcome.ROLLED_BACK)
        report = run_report(*rolled, params=params)
        seen = page(report)
        assert "3 connections rolled back" in seen.text
        assert "The secret from before is embedded again." in seen.text
        assert "From found to rolled back" in seen.text

    def test_a_canary_that_was_put_back_is_no_roll_back(self) -> None:
        back = canary(1, outcome=Outcome.ROLLED_BACK, reason="its refresh failed")
        seen = page(run_report(back, *[target(2, outcome=Outcome.NOT_ATTEMPTED, reason=CANARY_FAILED)]))
        assert "None of the 2 targets is done" in seen.text

    def test_a_run_that_never_came_to_a_connection_says_why(self) -> None:
        why = "check_params: there is no Airflow connection 'tableau_defualt'."
        seen = page(run_report(problems=(why,), content=0))
        assert "The run failed before it came to any connection" in seen.text
        assert why in seen.text
        assert "No connection was looked at." in seen.text
        assert not seen.all("ol", class_="flow")

    def test_a_run_whose_targets_are_all_done_may_have_failed(self) -> None:
        seen = page(run_report(canary(1), problems=("report: odd.",)))
        assert "The run failed Of its targets, none failed: 1 updated." in seen.text
        assert "report: odd." in seen.text

    def test_nothing_to_do(self) -> None:
        seen = page(run_report(excluded(1, Exclusion.OAUTH)))
        assert "There is nothing to do 1 connection looked at, and no credential claims any." in seen.text
        assert "There is nothing to do" in page(run_report()).text

    def test_what_was_deleted_is_not_said_to_embed_anything(self) -> None:
        seen = page(run_report(canary(1), updated(2), target(3, outcome=Outcome.GONE)))
        assert "All 2 connections embed the current token" in seen.text
        assert "All targets were deleted meanwhile" in page(run_report(target(1, outcome=Outcome.GONE))).text


class TestCauses:
    """What went wrong, and what to do about it."""

    def test_the_same_reason_is_told_once_however_the_ids_in_it_differ(self) -> None:
        seen = page(run_report(canary(1), *(failed(number) for number in range(2, 14))))
        assert seen.text.count("Tableau answered 403") == 1
        assert "12 ✕ failed Tableau answered 403, code 403004 to PUT /api/3.24/sites/s/datasources/…: F" in seen.text
        assert "Give the Tableau user the right to edit these" in seen.text
        assert "and 7 more · Show all 12" in seen.text

    def test_one_of_its_kind_keeps_its_whole_reason(self) -> None:
        assert "datasources/00000000-0000-4000-8000-000000000002: Forbidden" in page(run_report(failed(2))).text

    def test_reasons_that_name_their_content_are_one(self) -> None:
        reason = "Sales › Orders {}: Tableau accepted the update, yet shows no user afterwards."
        seen = page(run_report(*(failed(number, reason=reason.format(number)) for number in range(1, 4))))
        assert "3 ✕ failed …: Tableau accepted the update, yet shows no user afterwards." in seen.text

    def test_a_name_that_is_a_common_word_leaves_the_others_their_letters(self) -> None:
        seen = page(run_report(*(failed(number, content_name="A", reason="A sad day") for number in range(2))))
        assert "A sad day" in seen.text

    def test_what_failed_comes_before_what_was_not_attempted_and_many_before_few(self) -> None:
        waiting = [target(number, outcome=Outcome.NOT_ATTEMPTED, reason="no turn") for number in range(10, 20)]
        seen = page(
            run_report(*waiting, failed(1, reason="rare"), failed(2, reason="often"), failed(3, reason="often"))
        )
        assert seen.text.index("often") < seen.text.index("rare") < seen.text.index("no turn")

    def test_a_person_gets_to_the_rows_of_a_cause(self) -> None:
        seen = page(run_report(failed(1, reason="other"), *(failed(number) for number in range(2, 5))))
        [link] = [each for each in seen.all("a", href="#connections") if "cause" in (each["data-only"] or "")]
        cause = int((link["data-only"] or "").removeprefix('{"cause": ').removesuffix("}"))
        assert [row["cause"] for row in seen.rows].count(cause) == 3

    def test_hundreds_of_causes_are_not_all_told(self) -> None:
        seen = page(run_report(*(failed(number, reason=f"cause{chr(97 + number)}") for number in range(26))))
        assert "and 6 more causes, in the table below." in seen.text


class TestFlow:
    """From found to updated, in numbers."""

    def test_the_numbers(self) -> None:
        seen = page(good_report())
        assert (
            "7 items on 1 site 5 connections 2 excluded 3 targets of 1 credential 1 canary proved 3 updated"
            in seen.text
        )

    def test_a_dry_run_shows_no_empty_columns(self) -> None:
        heads = [each["data-column"] for each in page(dry_report()).all("th") if "data-column" in each]
        assert heads == ["outcome", "content", "user"]

    def test_a_dry_run_has_no_canary(self) -> None:
        assert "4 targets of 1 credential 3 would be written 1 unchanged" in page(dry_report()).text

    def test_a_failed_canary(self) -> None:
        seen = page(run_report(canary(1, outcome=Outcome.FAILED, reason="No."), canary(2, snowflake_conn_id="bi")))
        assert "2 canaries 1 failed 1 updated 1 not done" in seen.text

    def test_a_deleted_canary_is_none(self) -> None:
        assert "1 canary proved" in page(run_report(canary(1, outcome=Outcome.GONE), canary(2))).text

    def test_the_bar_is_as_wide_as_it_is_and_shows_what_is_rare(self) -> None:
        seen = page(run_report(failed(1), *(updated(number) for number in range(2, 3000))))
        widths = [float((rect["width"] or "").rstrip("%")) for rect in seen.all("rect") if "fill-" in rect["class"]]
        assert sum(widths) == pytest.approx(100, abs=0.01)
        assert min(widths) > 0.5


class TestCredentials:
    """Each credential with its canary, and how that was proved."""

    def test_the_canary_and_its_proof(self) -> None:
        seen = page(run_report(canary(1), updated(2), failed(3)))
        assert (
            "snowflake_pat ETL_USER Orders 1 Sales · data source ✓ updated Tableau refreshed the extract" in seen.text
        )
        assert "3 1 failed, 2 updated Connections" in seen.text

    def test_a_canary_that_failed_says_why(self) -> None:
        seen = page(run_report(canary(1, outcome=Outcome.FAILED, proof=None, reason="its refresh failed (job 7)")))
        assert "✕ failed its refresh failed (job 7)" in seen.text

    def test_a_dry_run_has_none(self) -> None:
        assert "none: a dry run writes nothing" in page(dry_report()).text


class TestTable:
    """Every connection, as table.js gets it."""

    def test_each_connection_is_a_row_with_all_that_the_report_says(self) -> None:
        url = "https://tableau.acme.example/#/site/acme/datasources/17"
        report = run_report(canary(1))
        report["connections"][0] |= {"content_url": url, "seconds": 1.26}
        [row] = page(report).rows
        assert row.pop("url_base") + row.pop("url_tail") == url
        assert row == {
            "outcome": "updated", "proof": "refresh job", "reason": "", "content_name": "Orders 1", "project": "Sales",
            "content_type": "data source", "username": "ETL_USER", "snowflake_conn_id": "snowflake_pat", "owner": "ann",
            "site": "acme", "tableau_conn_id": "tableau_default", "content_id": "item-00001",
            "server_address": report["connections"][0]["server_address"], "connection_id": "connection-00001",
            "authentication_type": "", "attempts": 1, "seconds": 1.3, "canary": 1, "cause": 0,
        }  # fmt: skip

    def test_what_a_person_has_to_look_at_comes_first(self) -> None:
        outcomes = [Outcome.GONE, Outcome.UPDATED, Outcome.NOT_ATTEMPTED, Outcome.PLANNED, Outcome.FAILED]
        records = [target(number, outcome=outcome, reason="x") for number, outcome in enumerate(outcomes)]
        seen = page(run_report(excluded(9, Exclusion.OAUTH), *records))
        assert [row["outcome"] for row in seen.rows] == [
            "failed", "not attempted", "planned", "updated", "gone", "excluded",
        ]  # fmt: skip

    def test_an_excluded_one_says_what_its_reason_means(self) -> None:
        [row] = page(run_report(excluded(1, Exclusion.OTHER_USER))).rows
        assert row["reason"] == "other user: a Snowflake user of none of the credentials"

    def test_a_way_to_sign_in_that_is_not_known_is_named(self) -> None:
        seen = page(run_report(excluded(1, Exclusion.OTHER_SIGN_IN, authentication_type="Okta")))
        assert seen.rows[0]["authentication_type"] == "Okta"
        assert seen.data["details"]["authentication_type"] == "Way to sign in"

    def test_the_links_of_the_excluded_lead_to_their_rows(self) -> None:
        seen = page(good_report())
        [link] = seen.all("a", href="#connections")
        assert link["data-only"] == '{"outcome": "excluded", "reason": "oauth: signs in with OAuth"}'
        assert {row["reason"] for row in seen.rows if row["outcome"] == "excluded"} == {"oauth: signs in with OAuth"}

    def test_an_outcome_of_a_later_version_is_shown_as_it_is(self) -> None:
        report = good_report()
        report["connections"][1] |= {"outcome": "half_done", "proof": "by_hand", "content_type": "lens"}
        report["connections"][3]["reason"] = "too_odd"
        rows = page(report).rows
        assert {"half done"} < {row["outcome"] for row in rows}
        assert {"lens"} < {row["content_type"] for row in rows}

    def test_texts_are_written_once(self) -> None:
        html = report_page(run_report(*targets(50, outcome=Outcome.UPDATED, owner="somebody.with.a.name")))
        assert html.count("somebody.with.a.name") == 1


class TestOldReports:
    """Those of before the page."""

    def test_they_can_be_read(self) -> None:
        report = good_report()
        for key in ("params", "timings", "started_at", "ended_at"):
            report.pop(key, None)
        for row in report["connections"]:
            row.pop("content_url", None)
            row.pop("seconds", None)
        seen = page(report)
        assert "All 3 connections embed the current token" in seen.text
        assert "This run did not note when it asked Tableau what." in seen.text
        assert not seen.all("th", **{"data-column": "seconds"})

    def test_even_next_to_nothing_is_a_page(self) -> None:
        assert "The run failed" in page({}).text


class TestTheRest:
    """Excluded connections, timings, params."""

    def test_excluded_connections_by_reason_with_what_to_do(self) -> None:
        seen = page(
            run_report(canary(1), excluded(2, Exclusion.OTHER_USER), *(excluded(n, Exclusion.OAUTH) for n in (3, 4)))
        )
        assert seen.text.index("2 oauth") < seen.text.index("1 other user")
        assert "name it in tableau_usernames" in seen.text

    def test_when_and_how_long(self) -> None:
        times = {"started_at": "2026-11-24T06:00:02+00:00", "ended_at": "2026-11-24T06:05:00+00:00"}
        seen = page(good_report(**times, timings=TIMINGS))
        assert "24 Nov 2026, 06:00 UTC" in seen.text
        assert "Took 29 s" in seen.text
        assert "Requests to Tableau 87" in seen.text
        assert "Asked to slow down 3" in seen.text

    def test_params_that_differ_from_their_defaults(self) -> None:
        seen = page(good_report(params={"proof": "connects", "ids": ["a"]}))
        assert 'proof "connects" ids ["a"]' in seen.text

    def test_problems_and_notes_are_all_told(self) -> None:
        seen = page(run_report(canary(1), problems=("No.", "And no."), notes=("No flows were looked at.",)))
        for text in ("No.", "And no.", "No flows were looked at."):
            assert text in seen.text

    def test_the_sites(self) -> None:
        seen = page(run_report(canary(1), updated(2, site="", tableau_conn_id="other")))
        assert "acme ( tableau_default )" in seen.text
        assert "Default ( other )" in seen.text

    def test_how_a_canary_is_proved_is_told_in_words_for_each_proof(self) -> None:
        for proof in Proof:
            row = page(run_report(canary(1, proof=proof))).rows[0]
            assert row["proof"] == proof.replace("_", " ")


class TestStructure:
    """What screen readers and browsers rely on."""

    @pytest.mark.parametrize("report", [good_report(), dry_report(), run_report(failed(1)), run_report(), {}])
    def test_one_h1_landmarks_and_nothing_unclosed(self, report: dict[str, Any]) -> None:
        seen = page(report)
        assert len(seen.all("h1")) == len(seen.all("main")) == len(seen.all("footer")) == 1
        assert seen.all("html", lang="en")

    def test_a_table_has_a_caption_scopes_and_buttons_that_sort(self) -> None:
        seen = page(good_report())
        heads = [each for each in seen.all("th") if "data-column" in each]
        assert [each["data-column"] for each in heads] == ["outcome", "content", "user", "proof", "reason", "attempts"]
        assert {(each["scope"], each["aria-sort"]) for each in heads} == {("col", "none")}
        assert len(seen.all("caption")) == len(seen.all("table"))
        assert seen.all("p", role="status")
