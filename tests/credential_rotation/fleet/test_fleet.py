"""What the page in the Airflow UI is told: how each user stands, what holds, and what became of a connection."""

from __future__ import annotations

import json
import tracemalloc
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from credential_rotation.fleet import learning
from credential_rotation.fleet.files import FleetFiles
from credential_rotation.fleet.learning import Learning
from credential_rotation.fleet.model import TokenBrief
from credential_rotation.fleet.reading import read_connection, read_run
from credential_rotation.fleet.site_state import Doings, SiteState, TokenInForce
from credential_rotation.fleet.writing import note_renewal
from credential_rotation.renewal.report import RenewalReport, UserReport
from credential_rotation.renewals import Renewals
from credential_rotation.rotation.ledger import Ledger
from credential_rotation.rotation.outcomes import Exclusion, Outcome, Proof
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import Folder
from tests.builders import target, targets
from tests.credential_rotation.fleet.story import ROTATION, SITE, Story


@pytest.fixture(params=["file", "memory"])
def story(request: pytest.FixtureRequest, tmp_path: Path) -> Story:
    """On a local disk, and on fsspec's object store in memory."""
    return Story(f"file://{tmp_path}/reports" if request.param == "file" else f"memory://{uuid.uuid4().hex}/reports")


def came_to(outcome: Outcome, *records: ConnectionRecord, reason: str | None = None) -> list[ConnectionRecord]:
    """These, after a run that wrote to them."""
    proof = Proof.SAVED if outcome is Outcome.UPDATED else None
    return [
        replace(each, outcome=outcome, proof=proof, reason=reason, attempts=1, touched=outcome is not Outcome.PLANNED)
        for each in records
    ]


def excluded(number: int, reason: Exclusion, **fields: str) -> ConnectionRecord:
    return replace(target(number, **fields), snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=str(reason))


def updated(*records: ConnectionRecord) -> list[ConnectionRecord]:
    return came_to(Outcome.UPDATED, *records)


def test_nothing_is_shown_where_nothing_has_run(story: Story) -> None:
    fleet = story.fleet()
    assert (fleet.rows, fleet.runs, fleet.sites) == ((), (), ())


def test_after_a_dry_run_it_is_known_what_is_there_and_that_nothing_was_done(story: Story) -> None:
    story.rotate(came_to(Outcome.PLANNED, *targets(3)), dry_run=True)
    row = story.row()
    assert (row.targets, row.current, row.old, row.failed) == (3, 0, 3, 0)
    assert story.conditions() == {"Degraded": "NeverRotated"}
    assert (row.user, row.site, row.tableau_conn_id) == ("ETL_USER", "acme", "tableau_default")


def test_a_user_whose_connections_all_embed_the_token_in_force_is_ready_since_that_run(story: Story) -> None:
    story.rotate(updated(*targets(3)))
    ready_at = story.now.isoformat()
    story.rotate(came_to(Outcome.UNCHANGED, *targets(3)))
    row = story.row()
    assert (row.targets, row.current, row.old) == (3, 3, 0)
    (condition,) = row.conditions
    assert (condition.kind, condition.reason, condition.since) == ("Ready", "AllCurrent", ready_at)


def test_a_connection_that_failed_makes_it_degraded_until_it_is_updated(story: Story) -> None:
    story.rotate([*updated(*targets(2)), *came_to(Outcome.FAILED, target(3), reason="not editable")])
    first_red = story.now.isoformat()
    story.rotate([*came_to(Outcome.UNCHANGED, *targets(2)), *came_to(Outcome.FAILED, target(3), reason="again")])
    row = story.row()
    assert (row.current, row.old, row.failed) == (2, 1, 1)
    (condition,) = row.conditions
    assert (condition.kind, condition.reason, condition.since) == ("Degraded", "ConnectionsFailed", first_red)
    story.rotate([*came_to(Outcome.UNCHANGED, *targets(2)), *updated(target(3))])
    assert story.conditions() == {"Ready": "AllCurrent"}


def test_a_roll_back_that_nobody_asked_for_counts_as_failed_and_one_that_was_asked_for_does_not(story: Story) -> None:
    story.rotate(came_to(Outcome.ROLLED_BACK, target(1), reason="the proof failed"))
    assert story.row().failed == 1
    story.rotate(came_to(Outcome.ROLLED_BACK, target(1)))
    assert story.row().failed == 0


def test_a_renewed_token_makes_what_embeds_the_one_before_old_and_is_on_its_way(story: Story) -> None:
    story.rotate(updated(*targets(3)))
    story.renew(token="fingerprint-2")
    row = story.row()
    assert (row.current, row.old) == (0, 3)
    (condition,) = row.conditions
    assert (condition.kind, condition.reason, condition.since) == ("Renewing", "RotationPending", story.now.isoformat())
    story.rotate(updated(*targets(3)))
    assert story.conditions() == {"Ready": "AllCurrent"}
    assert story.row().current == 3


def test_a_token_that_is_due_is_expiring_though_all_is_ready(story: Story) -> None:
    story.rotate(updated(*targets(1)))
    story.renew(days_left=10)
    assert story.conditions() == {"Ready": "AllCurrent"}
    assert story.conditions(days=4) == {"Ready": "AllCurrent", "Expiring": "RenewalDue"}
    assert story.row(days=4).token is not None
    assert story.row(days=4).token.days_left == 6.0  # type: ignore[union-attr]


def test_an_expired_token_is_not_ready_whatever_is_embedded(story: Story) -> None:
    story.rotate(updated(*targets(1)))
    story.renew(days_left=10)
    assert story.conditions(days=11) == {"Expiring": "Expired"}


def test_a_renewal_that_failed_says_why(story: Story) -> None:
    story.rotate(updated(*targets(1)))
    story.renew(days_left=5, reason="the token is disabled in Snowflake")
    assert story.conditions() == {"Expiring": "RenewalFailed", "Degraded": "RenewalFailed"}
    assert all("disabled in Snowflake" in condition.message for condition in story.row().conditions)


def test_when_snowflake_can_not_be_asked_the_expiry_that_was_seen_before_stays(story: Story) -> None:
    story.renew(days_left=10)
    files = FleetFiles(story.reports)
    seen = files.token("snowflake_pat")
    assert seen is not None
    unseen = Story(story.reports)
    unseen.now, unseen._number = story.now, 10
    report_without_token(unseen)
    found = files.token("snowflake_pat")
    assert found is not None
    assert (found.expires_at, found.outcome, found.reason) == (seen.expires_at, "failed", "can't be reached")


def report_without_token(story: Story) -> None:
    user = UserReport("snowflake_pat", "ETL_USER", outcome="failed", reason="can't be reached")
    report = RenewalReport("renewal-x", dry_run=False, problems=(), users=(user,))
    note_renewal(story.reports, story._brief("renew_snowflake_pat", "renewal-x", "failed", "failed"), report)


def test_content_that_a_whole_run_does_not_meet_any_more_is_forgotten(story: Story) -> None:
    story.rotate(updated(*targets(3)))
    story.rotate(came_to(Outcome.UNCHANGED, *targets(2)))
    assert story.row().targets == 2


def test_a_narrowed_run_forgets_nothing_and_one_that_could_not_read_an_item_neither(story: Story) -> None:
    story.rotate(updated(*targets(3)))
    story.rotate([*updated(target(1)), excluded(2, Exclusion.FILTERED_OUT)], is_whole=False)
    assert story.row().targets == 3
    unread = replace(target(4), connection_id=None, snowflake_conn_id=None, outcome=Outcome.FAILED, reason="403")
    story.rotate([*came_to(Outcome.UNCHANGED, *targets(2)), unread])
    assert story.row().targets == 3


def test_what_is_no_target_any_more_or_was_deleted_is_forgotten_at_once(story: Story) -> None:
    story.rotate(updated(*targets(3)))
    gone = came_to(Outcome.GONE, target(1))
    story.rotate([*gone, excluded(2, Exclusion.OAUTH)], is_whole=False)
    assert story.row().targets == 1


def test_a_run_for_one_user_forgets_nothing_of_another(story: Story) -> None:
    others = [replace(each, snowflake_conn_id="snowflake_bi") for each in (target(3), target(4))]
    story.rotate(updated(*targets(2), *others), conn_ids=["snowflake_pat", "snowflake_bi"])
    story.rotate(
        [
            *came_to(Outcome.UNCHANGED, *targets(2)),
            excluded(3, Exclusion.OTHER_USER),
            excluded(4, Exclusion.OTHER_ACCOUNT),
            excluded(5, Exclusion.OTHER_USER),
        ]
    )
    rows = {row.snowflake_conn_id: row for row in story.fleet().rows}
    assert (rows["snowflake_bi"].targets, rows["snowflake_bi"].current) == (2, 2)
    assert story.fleet().sites[0].excluded == {"other_user": 1}
    assert read_connection(story.reports, SITE, others[0].content_id, str(others[0].connection_id)) is not None
    # One that is no target of any user any more is none of the other's, either.
    story.rotate([*came_to(Outcome.UNCHANGED, *targets(2)), excluded(3, Exclusion.OAUTH)])
    rows = {row.snowflake_conn_id: row for row in story.fleet().rows}
    assert rows["snowflake_bi"].targets == 1


def test_excluded_connections_are_counted_by_site_and_those_that_name_the_user_with_the_user(story: Story) -> None:
    records = [
        excluded(1, Exclusion.PASSWORD_NOT_EMBEDDED, username="Jane.Doe"),
        excluded(2, Exclusion.OTHER_USER, username="JANE"),
        excluded(6, Exclusion.OTHER_ACCOUNT, username="etl_user"),
        excluded(3, Exclusion.NOT_SNOWFLAKE, username=""),
        excluded(4, Exclusion.NOT_SNOWFLAKE, username=""),
    ]
    story.rotate([*updated(target(5)), *records])
    fleet = story.fleet()
    assert fleet.rows[0].excluded == 1
    assert fleet.sites[0].excluded == {
        "not_snowflake": 2,
        "password_not_embedded": 1,
        "other_user": 1,
        "other_account": 1,
    }


def test_runs_of_both_dags_are_listed_the_newest_first_and_one_that_was_cleared_once(story: Story) -> None:
    story.rotate(updated(target(1)), run_id="first")
    story.renew()
    story.rotate(came_to(Outcome.FAILED, target(1), reason="no"), run_id="second")
    story.rotate(updated(target(1)), run_id="second")
    runs = [(run.run_id, run.state) for run in story.fleet().runs]
    assert runs == [("second", "success"), ("renewal-2", "success"), ("first", "success")]
    assert story.fleet().runs[0].summary["updated"] == 1


def test_a_connection_has_a_history_the_newest_first_without_what_repeats_itself(story: Story) -> None:
    story.rotate(came_to(Outcome.FAILED, target(1), reason="not editable"), run_id="first")
    story.rotate(updated(target(1)), run_id="second")
    for _ in range(3):
        latest = story.rotate(came_to(Outcome.UNCHANGED, target(1)))
    history = read_connection(story.reports, SITE, "item-00001", "connection-00001")
    assert history is not None
    events = [(event.run_id, event.outcome, event.reason) for event in history.events]
    assert events == [(latest, "unchanged", None), ("second", "updated", None), ("first", "failed", "not editable")]
    assert history.holds_current is True
    assert (history.content_name, history.events[1].proof) == ("Orders 1", "saved")
    story.renew(token="fingerprint-2")
    history = read_connection(story.reports, SITE, "item-00001", "connection-00001")
    assert history is not None
    assert history.holds_current is False


def test_a_history_ends_after_twenty_runs(story: Story) -> None:
    for _ in range(25):
        story.rotate(updated(target(1)))
    history = read_connection(story.reports, SITE, "item-00001", "connection-00001")
    assert history is not None
    assert len(history.events) == 20
    assert [event.run_id for event in history.events[:2]] == ["run-25", "run-24"]


def test_runs_are_forgotten_after_a_while_with_all_that_they_said(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "_MOST_RUNS", 3)
    for _ in range(5):
        story.rotate(updated(target(1)))
    history = read_connection(story.reports, SITE, "item-00001", "connection-00001")
    assert history is not None
    assert [event.run_id for event in history.events] == ["run-5", "run-4", "run-3"]


def test_a_run_whose_tasks_were_cleared_tells_of_each_connection_once(story: Story) -> None:
    story.rotate(came_to(Outcome.FAILED, target(1), reason="no"), run_id="the run")
    story.rotate(updated(target(1)), run_id="the run")
    history = read_connection(story.reports, SITE, "item-00001", "connection-00001")
    assert history is not None
    assert [(event.run_id, event.outcome) for event in history.events] == [("the run", "updated")]


def test_a_connection_that_nobody_knows_has_no_history(story: Story) -> None:
    story.rotate(updated(target(1)))
    assert read_connection(story.reports, SITE, "item-00001", "connection-00002") is None
    assert read_connection(story.reports, "https://elsewhere|", "item-00001", "connection-00001") is None


ODD_RUN_IDS = ["../../ledger", "..", ".", "a/b", "a\\b", "nov::2", "x" * 250, "a\0b", "a\n", "<b>"]


@pytest.mark.parametrize("run_id", [*ODD_RUN_IDS, ""])
def test_a_run_id_leads_nowhere_else(story: Story, run_id: str) -> None:
    for name in ("report.json", "ledger/report.json", f"{ROTATION}/report.json", f"{ROTATION}/a/report.json"):
        Folder(story.reports).write(name, {"run_id": "not a run"})
    assert read_run(story.reports, ROTATION, run_id) is None


def test_each_run_with_an_odd_id_has_a_report_of_its_own(story: Story) -> None:
    for run_id in ODD_RUN_IDS:
        story.rotate(updated(target(1)), run_id=run_id)
    reports = [read_run(story.reports, ROTATION, run_id) for run_id in ODD_RUN_IDS]
    assert [report and report["run_id"] for report in reports] == ODD_RUN_IDS
    assert {run.run_id for run in story.fleet().runs} == set(ODD_RUN_IDS)


def test_the_report_of_a_run_is_read_for_our_dags_only(story: Story) -> None:
    run_id = story.rotate(updated(target(1)), run_id="manual__2026-11-24T04:00:00+00:00")
    report = read_run(story.reports, ROTATION, run_id)
    assert report is not None
    assert report["connections"][0]["content_name"] == "Orders 1"
    assert read_run(story.reports, "some_other_dag", run_id) is None
    assert read_run(story.reports, ROTATION, "another") is None


@pytest.mark.parametrize("text", ["[]", '{"version": 9}', "torn", '{"version": 1, "users": 3}'])
def test_files_of_another_version_count_as_not_there(story: Story, text: str) -> None:
    story.rotate(updated(*targets(2)))
    folder = Folder(f"{story.reports}/fleet")
    for kind in ("sites", "targets", "runs", "tokens"):
        for name in folder.names(kind):
            folder.write_text(name, text)
    assert story.fleet().rows == ()
    story.rotate(came_to(Outcome.UNCHANGED, *targets(2)))
    assert story.row().current == 2


def test_two_sites_and_two_users_have_a_row_each(story: Story) -> None:
    other = replace(target(2), snowflake_conn_id="snowflake_bi")
    story.rotate(updated(target(1), other), conn_ids=["snowflake_pat", "snowflake_bi"])
    assert [(row.snowflake_conn_id, row.targets) for row in story.fleet().rows] == [
        ("snowflake_bi", 1),
        ("snowflake_pat", 1),
    ]


def test_the_token_in_force_is_what_the_latest_of_run_and_renewal_found(story: Story) -> None:
    story.renew(token="fingerprint-2")
    story.token = "fingerprint-3"  # a person wrote another one into the Airflow connection
    story.rotate(updated(target(1)))
    assert story.row().current == 1
    assert Renewals(story.reports).renewal("snowflake_pat").token == "fingerprint-2"


def test_a_large_site_takes_a_line_for_each_connection(tmp_path: Path) -> None:
    story = Story(f"file://{tmp_path}")
    story.rotate(updated(*targets(50)))
    (file,) = (tmp_path / "fleet" / "targets").iterdir()
    lines = [line for line in file.read_text().splitlines() if line.startswith("{") and len(line) > 1]
    assert len(lines) == 50
    assert max(map(len, lines)) < 600
    assert all(json.loads(line.rstrip(","))["events"] for line in lines)


def test_a_dry_run_mends_nothing(story: Story) -> None:
    failed = came_to(Outcome.FAILED, target(1), reason="not editable")
    story.rotate([*failed, *updated(target(2))])
    story.rotate([*came_to(Outcome.PLANNED, target(1)), *came_to(Outcome.UNCHANGED, target(2))], dry_run=True)
    assert (story.row().failed, story.conditions()) == (1, {"Degraded": "ConnectionsFailed"})
    history = read_connection(story.reports, SITE, "item-00001", "connection-00001")
    assert history is not None
    assert [event.outcome for event in history.events] == ["failed"]


def test_a_dry_renewal_mends_nothing_either(story: Story) -> None:
    story.rotate(updated(target(1)))
    story.renew(days_left=5, reason="the role is gone")
    story.renew(days_left=5, dry_run=True)
    assert story.conditions() == {"Expiring": "RenewalFailed", "Degraded": "RenewalFailed"}
    story.renew(days_left=15)
    assert story.conditions() == {"Ready": "AllCurrent"}


def test_a_run_in_which_nobody_s_turn_came_is_no_pending_rotation(story: Story) -> None:
    story.rotate(updated(*targets(2)))
    story.renew(token="fingerprint-2")
    story.rotate(came_to(Outcome.NOT_ATTEMPTED, *targets(2), reason="Snowflake refused the token"))
    red = story.now.isoformat()
    assert story.conditions() == {"Renewing": "RotationPending", "Degraded": "NotAttempted"}
    assert story.row().conditions[-1].since == red
    assert story.row().failed == 0


def test_what_is_said_of_a_user_comes_from_runs_that_were_about_that_user(story: Story) -> None:
    theirs = replace(target(2), snowflake_conn_id="snowflake_bi")
    story.rotate([*updated(target(1)), *updated(theirs)], conn_ids=["snowflake_pat", "snowflake_bi"])
    red = story.rotate(came_to(Outcome.FAILED, target(1), reason="no"), is_whole=False)
    failing_since = story.now.isoformat()
    green = story.rotate(updated(theirs), is_whole=False, conn_ids=["snowflake_bi"])
    rows = {row.snowflake_conn_id: row for row in story.fleet().rows}
    ours, others = rows["snowflake_pat"], rows["snowflake_bi"]
    assert ours.last_run is not None
    assert others.last_run is not None
    assert (ours.last_run.run_id, others.last_run.run_id) == (red, green)
    assert [(each.reason, each.since) for each in ours.conditions] == [("ConnectionsFailed", failing_since)]
    assert [each.reason for each in others.conditions] == ["AllCurrent"]


def test_ready_begins_anew_with_a_new_token(story: Story) -> None:
    story.rotate(updated(target(1)))
    story.renew(token="fingerprint-2")
    story.rotate(updated(target(1)))
    assert story.row().conditions[0].since == story.now.isoformat()


def test_a_connection_of_airflow_s_with_another_name_takes_the_place_of_the_one_before(story: Story) -> None:
    story.rotate(updated(*targets(2)))
    renamed = [replace(each, snowflake_conn_id="snowflake_new") for each in targets(2)]
    story.rotate(updated(*renamed), conn_ids=["snowflake_new"])
    assert [(row.snowflake_conn_id, row.targets) for row in story.fleet().rows] == [("snowflake_new", 2)]


def test_a_name_of_a_connection_leads_to_no_other_file(story: Story) -> None:
    files = FleetFiles(story.reports)
    Folder(story.reports).write("ledger/site.json", {"version": 1})
    files.write_token("../../ledger/site", TokenBrief(token_name="X"))
    assert Folder(story.reports).read("ledger/site.json") == {"version": 1}
    found = files.token("../../ledger/site")
    assert found is not None
    assert found.token_name == "X"


def test_of_a_user_whom_nobody_has_seen_no_token_is_kept(story: Story) -> None:
    user = UserReport("no_such_connection", "", outcome="failed", reason="there is none")
    report = RenewalReport("renewal-x", dry_run=False, problems=(), users=(user,))
    note_renewal(story.reports, story._brief("renew_snowflake_pat", "renewal-x", "failed", "failed"), report)
    assert FleetFiles(story.reports).token("no_such_connection") is None


def test_each_small_file_is_read_once_however_many_sites_a_user_is_on(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.rotate(updated(target(1)))
    for number in range(5):
        story.rotate(updated(target(1)), site=f"https://tableau.acme.example|site-{number}")
    read: list[str] = []
    real = Folder.read
    monkeypatch.setattr(Folder, "read", lambda self, name: read.append(name) or real(self, name))
    assert len(story.fleet().rows) == 6
    assert max(Counter(read).values()) == 1


def test_many_targets_with_long_histories_pass_by_one_at_a_time(tmp_path: Path) -> None:
    story, files, count = Story(f"file://{tmp_path}"), FleetFiles(f"file://{tmp_path}"), 1000
    numbers = [str(number) for number in range(1, 21)]
    history = [[number, "updated", "saved", f"a long reason of run {number}, " * 10, 1, False] for number in numbers]
    rows = json.loads(json.dumps([each.as_dict() for each in updated(*targets(count))]))
    files.write_targets(
        SITE, {number: (number, "") for number in numbers}, iter([{**row, "events": history} for row in rows])
    )
    runs, before = files.targets(SITE)
    brief = story._brief(ROTATION, "one more", "success", "")
    doings = Doings(brief, "tableau_default", True, {"snowflake_pat": TokenInForce("", "", frozenset())}, Ledger())
    learned = Learning(SiteState(SITE), runs, rows, doings)
    tracemalloc.start()
    try:
        assert sum(len(each["events"]) == 20 for each in learned.merged(before)) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000  # the histories take 6 MB as text
    assert learned.settled().users["snowflake_pat"].targets == count
