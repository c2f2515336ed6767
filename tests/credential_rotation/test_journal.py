"""What a mapped task has done: kept so that a retry does only the rest, and the report sees what a killed task did."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from credential_rotation import journal as journal_module
from credential_rotation.failure_marks import FailureMarks
from credential_rotation.journal import Journal, read_journal, read_journals
from credential_rotation.rotation.outcomes import Outcome, Proof
from credential_rotation.rotation.proof import Proving
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import RunFolder
from credential_rotation.tableau.content import ContentType

PLAN = "plan-1"


def target(number: int) -> ConnectionRecord:
    return ConnectionRecord(
        tableau_conn_id="tableau_default",
        site="acme",
        content_type=ContentType.WORKBOOK,
        content_id=f"workbook-{number}",
        content_name=f"Umsätze {number}",
        project="Sales",
        owner="Ann",
        connection_id=f"connection-{number}",
        server_address="acme.snowflakecomputing.com",
        server_port="",
        username="SVC",
        snowflake_conn_id="snowflake_pat",
    )


TARGETS = [target(number) for number in range(4)]


def updated(record: ConnectionRecord) -> ConnectionRecord:
    return replace(record, outcome=Outcome.UPDATED, proof=Proof.SAVED, attempts=record.attempts + 1)


def failed(record: ConnectionRecord, *, retriable: bool = False) -> ConnectionRecord:
    attempts = record.attempts + 1
    return replace(record, outcome=Outcome.FAILED, reason="why", retriable=retriable, attempts=attempts)


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> RunFolder:
    root = str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"
    return RunFolder("a_dag", "a run", root)


NOW = "20261124T040000"


def start(folder: RunFolder, task: str = "update-0", targets: Sequence[ConnectionRecord] = TARGETS) -> Journal:
    return Journal(folder, PLAN, task, targets, FailureMarks(folder, PLAN, NOW))


def failures(folder: RunFolder) -> tuple[int, int]:
    count = FailureMarks(folder, PLAN, NOW).count()
    return count.final, count.passing


def test_at_first_everything_is_left_and_nothing_was_written_to(folder: RunFolder) -> None:
    journal = start(folder)
    assert journal.left() == TARGETS
    assert journal.records() == []
    assert read_journals(folder, PLAN) == ([], [])


MANY = [target(number) for number in range(journal_module._NAMED_AHEAD * 2 + 5)]


def keys(records: Sequence[ConnectionRecord]) -> list[str]:
    return [record.key for record in records]


@pytest.mark.parametrize("begun", [0, 1, 2, 31, 32, 33, 40, len(MANY)])
def test_what_a_kill_leaves_is_known_to_be_perhaps_written(folder: RunFolder, begun: int) -> None:
    """Without a word and without a save: what was begun is named, and little besides."""
    journal = start(folder, targets=MANY)
    for each in MANY[:begun]:
        journal.begin(each)
    named, records = read_journals(folder, PLAN)
    assert records == []
    assert set(named) >= set(keys(MANY[:begun]))
    assert len(named) <= begun + journal_module._NAMED_AHEAD
    left = start(folder, targets=MANY).left()
    assert keys(left) == keys(MANY)
    assert {each.key for each in left if each.touched} == set(named)
    assert all("was killed" in str(each.reason) for each in left if each.touched)


def test_a_record_from_before_the_latest_update_says_nothing_of_it(folder: RunFolder) -> None:
    first = start(folder)
    first.begin(TARGETS[0])
    first.note(failed(TARGETS[0], retriable=True))
    first.close()
    start(folder).begin(TARGETS[0])
    begun, [record] = read_journals(folder, PLAN)
    assert (record.key in begun, record.touched) == (True, True)
    assert start(folder).left()[0].touched


def test_what_was_named_ahead_and_not_begun_is_as_it_was_when_the_task_ends(folder: RunFolder) -> None:
    journal = start(folder)
    journal.begin(TARGETS[0])
    journal.note(updated(TARGETS[0]))
    journal.close()
    assert read_journals(folder, PLAN) == ([TARGETS[0].key], [updated(TARGETS[0])])
    assert start(folder).left() == TARGETS[1:]


def test_a_retry_does_only_the_rest_and_knows_the_earlier_tries(folder: RunFolder) -> None:
    journal = start(folder)
    journal.note(updated(TARGETS[0]))
    journal.note(failed(TARGETS[1], retriable=True))
    journal.note(replace(TARGETS[2], outcome=Outcome.GONE))
    journal.close()
    assert start(folder).left() == [failed(TARGETS[1], retriable=True), TARGETS[3]]
    assert start(folder).left()[0].attempts == 1


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("retriable", [False, True])
def test_a_task_that_goes_on_takes_up_what_another_try_may_mend(
    folder: RunFolder, outcome: Outcome, *, retriable: bool
) -> None:
    journal = start(folder, targets=TARGETS[:1])
    journal.note(replace(TARGETS[0], outcome=outcome, retriable=retriable))
    journal.close()
    left = retriable and outcome in (Outcome.FAILED, Outcome.NOT_ATTEMPTED, Outcome.EXCLUDED)
    assert [each.outcome for each in start(folder, targets=TARGETS[:1]).left()] == ([outcome] if left else [])


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_task_that_a_person_cleared_takes_up_all_that_is_not_as_it_should_be(
    folder: RunFolder, outcome: Outcome
) -> None:
    journal = start(folder, targets=TARGETS[:1])
    journal.note(replace(TARGETS[0], outcome=outcome))
    journal.finish()
    done = outcome in (Outcome.UPDATED, Outcome.UNCHANGED, Outcome.PLANNED, Outcome.GONE, Outcome.ROLLED_BACK)
    assert [each.outcome for each in start(folder, targets=TARGETS[:1]).left()] == ([] if done else [outcome])


def test_what_was_put_back_since_it_did_not_connect_is_left_and_what_a_roll_back_put_back_is_not(
    folder: RunFolder,
) -> None:
    journal = start(folder, targets=TARGETS[:2])
    put_back = replace(TARGETS[0], outcome=Outcome.ROLLED_BACK, reason="it did not connect")
    journal.note(put_back)
    journal.note(replace(TARGETS[1], outcome=Outcome.ROLLED_BACK))
    journal.finish()
    assert start(folder, targets=TARGETS[:2]).left() == [put_back]


def test_a_record_comes_back_as_it_was(folder: RunFolder) -> None:
    record = failed(replace(TARGETS[0], canary=True), retriable=True)
    journal = start(folder)
    journal.note(record)
    journal.close()
    assert start(folder).records() == [record]
    assert read_journals(folder, PLAN)[1] == [record]


@pytest.mark.parametrize("undoing", [None, "its refresh failed"])
def test_how_far_a_proof_is_comes_back_as_it_was(folder: RunFolder, undoing: str | None) -> None:
    proving = Proving(
        updated_at="2026-11-24T04:00:00Z",
        since=1.5,
        ruled_out=(Proof.QUERY,),
        job_id="job-1",
        is_our_job=True,
        unwell=1,
    )
    record = replace(TARGETS[0], attempts=1, touched=True, proving=proving, undoing=undoing)
    journal = start(folder)
    journal.note(record)
    journal.close()
    assert start(folder).left() == [record, *TARGETS[1:]]


def test_of_a_single_connection_each_step_is_in_the_file_at_once(folder: RunFolder) -> None:
    journal = start(folder, targets=TARGETS[:1])
    saved = replace(TARGETS[0], attempts=1, touched=True, proving=Proving("2026-11-24T04:00:00Z", since=1.5))
    journal.note(saved)  # never closed
    assert start(folder, targets=TARGETS[:1]).left() == [saved]


def test_a_killed_task_leaves_what_it_did_until_seconds_ago(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_SECONDS_BETWEEN_SAVES", 0.0)
    start(folder).note(updated(TARGETS[0]))  # never closed
    assert start(folder).left() == TARGETS[1:]


def test_a_torn_journal_is_begun_anew(folder: RunFolder) -> None:
    journal = start(folder)
    journal.note(updated(TARGETS[0]))
    journal.close()
    folder.write_text(f"work/{PLAN}/journals/update-0.json", '{"started": ["tab')
    assert read_journals(folder, PLAN) == ([], [])
    assert start(folder).left() == TARGETS


def test_another_task_and_another_plan_have_journals_of_their_own(folder: RunFolder) -> None:
    one, other = start(folder, "update-0", TARGETS[:2]), start(folder, "update-1", TARGETS[2:])
    one.note(updated(TARGETS[0]))
    one.close()
    other.begin(TARGETS[2])
    assert other.left() == TARGETS[2:]
    assert Journal(folder, "plan-2", "update-0", TARGETS).left() == TARGETS
    started, records = read_journals(folder, PLAN)
    assert started == [TARGETS[0].key, TARGETS[2].key, TARGETS[3].key]
    assert records == [updated(TARGETS[0])]


def test_what_became_of_targets_stays_when_it_is_the_turn_of_others(folder: RunFolder) -> None:
    journal = start(folder, targets=TARGETS[:2])
    journal.begin(TARGETS[1])
    journal.note(updated(TARGETS[0]))  # never closed
    journal.close()
    others = start(folder, targets=TARGETS[2:])
    assert (others.records(), others.left()) == ([updated(TARGETS[0])], TARGETS[2:])
    others.note(updated(TARGETS[2]))
    others.close()
    assert read_journal(folder, PLAN, "update-0") == [updated(TARGETS[0]), updated(TARGETS[2])]
    assert read_journals(folder, PLAN)[0] == keys(TARGETS[:3])


def test_of_a_canary_each_step_is_in_the_file_at_once_however_many_there_are(folder: RunFolder) -> None:
    canaries = [replace(each, canary=True) for each in TARGETS[:2]]
    saved = replace(canaries[0], attempts=1, touched=True, proving=Proving("2026-11-24T04:00:00Z", since=1.5))
    start(folder, targets=canaries).note(saved)  # never closed
    assert start(folder, targets=canaries).left() == [saved, canaries[1]]


def test_many_threads_may_note(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_SECONDS_BETWEEN_SAVES", 0.0)
    targets = [target(number) for number in range(60)]
    journal = start(folder, targets=targets)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(journal.note, [(failed if n % 3 == 0 else updated)(each) for n, each in enumerate(targets)]))
    journal.finish()
    assert start(folder, targets=targets).left() == [failed(each) for each in targets[::3]]
    assert failures(folder) == (20, 0)


def test_failures_are_counted_over_all_tasks_by_kind(folder: RunFolder) -> None:
    start(folder, "update-0", TARGETS[:2]).note(failed(TARGETS[0]))
    start(folder, "update-1", TARGETS[2:]).note(failed(TARGETS[2], retriable=True))
    assert failures(folder) == (1, 1)
    assert FailureMarks(folder, "plan-2", NOW).count().final == 0


def test_a_failure_that_was_mended_counts_no_more(folder: RunFolder) -> None:
    journal = start(folder)
    journal.note(failed(TARGETS[0], retriable=True))
    journal.note(failed(TARGETS[0]))
    assert failures(folder) == (1, 0)
    journal.close()
    start(folder).note(updated(TARGETS[0]))
    assert failures(folder) == (0, 0)


def test_a_failure_that_a_killed_task_marked_can_be_mended_by_its_retry(folder: RunFolder) -> None:
    start(folder).note(failed(TARGETS[0]))  # killed at once: never closed
    assert failures(folder) == (1, 0)
    start(folder).note(updated(TARGETS[0]))
    assert failures(folder) == (0, 0)


def killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("retriable", [False, True])
def test_a_task_that_is_killed_before_it_marks_a_failure_counts_right_after_its_retry(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, *, retriable: bool
) -> None:
    journal = start(folder)
    with monkeypatch.context() as patch:
        patch.setattr(FailureMarks, "update", killed)
        with pytest.raises(KeyboardInterrupt):
            journal.note(failed(TARGETS[0], retriable=retriable))
    assert failures(folder) == (0, 0)
    retry = start(folder)
    assert failures(folder) == ((0, 1) if retriable else (1, 0))
    retry.note(updated(TARGETS[0]))
    assert failures(folder) == (0, 0)


def test_a_task_of_one_connection_that_is_killed_before_it_takes_a_mark_away_does_it_in_its_retry(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = start(folder, targets=TARGETS[:1])
    journal.note(failed(TARGETS[0], retriable=True))
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            journal.note(updated(TARGETS[0]))  # in the file already, as each step of a single connection
    assert failures(folder) == (0, 1)
    assert start(folder, targets=TARGETS[:1]).left() == []
    assert failures(folder) == (0, 0)


def test_a_task_that_is_killed_before_it_takes_a_mark_away_does_it_in_its_retry(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_SECONDS_BETWEEN_SAVES", 0.0)
    before = start(folder)
    before.note(failed(TARGETS[0]))
    before.finish()
    journal = start(folder)  # a person cleared it
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            journal.note(updated(TARGETS[0]))
    retry = start(folder)
    assert failures(folder) == (1, 0)
    assert failed(TARGETS[0]) in retry.left()
    for each in retry.left():
        retry.note(updated(each))
    assert failures(folder) == (0, 0)


def test_what_has_failed_for_good_waits_for_a_person_however_often_the_task_goes_on(folder: RunFolder) -> None:
    start(folder).note(failed(TARGETS[0]))  # killed at once: never closed
    for _ in range(5):
        assert start(folder).left() == TARGETS[1:]
    assert failures(folder) == (1, 0)


def test_what_is_being_put_back_is_gone_on_with_though_its_failure_is_final(folder: RunFolder) -> None:
    undoing = replace(failed(TARGETS[0]), undoing="its refresh failed", touched=True)
    start(folder, targets=TARGETS[:1]).note(undoing)
    assert start(folder, targets=TARGETS[:1]).left() == [undoing]


@pytest.mark.parametrize("ending", [Journal.close, Journal.finish])
def test_a_task_of_a_run_that_was_started_again_takes_up_what_failed_for_good(
    folder: RunFolder, ending: Callable[[Journal], None]
) -> None:
    journal = Journal(folder, PLAN, "update-0", TARGETS, generation="before")
    journal.note(failed(TARGETS[0]))
    journal.note(updated(TARGETS[1]))
    ending(journal)
    again = Journal(folder, PLAN, "update-0", TARGETS, generation="again")
    assert again.left() == [failed(TARGETS[0]), *TARGETS[2:]]


def test_what_failed_before_the_run_was_started_again_counts_for_nothing_until_it_fails_again(
    folder: RunFolder,
) -> None:
    start(folder).note(failed(TARGETS[0]))
    for _ in range(2):  # killed before its turn came, and tried again
        again = FailureMarks(folder, PLAN, "again")
        journal = Journal(folder, PLAN, "update-0", TARGETS, again, generation="again")
        assert failed(TARGETS[0]) in journal.left()
        assert again.count().final == 0
    journal.note(failed(failed(TARGETS[0])))
    assert again.count().final == 1


def test_what_a_person_cleared_is_tried_though_the_task_is_killed_before_its_turn_comes(folder: RunFolder) -> None:
    journal = start(folder)
    for each in TARGETS[:2]:
        journal.note(failed(each))
    journal.finish()
    cleared = start(folder)
    cleared.note(failed(failed(TARGETS[0])))  # killed after this: never closed
    assert start(folder).left() == [failed(TARGETS[1]), *TARGETS[2:]]
    assert start(folder).left() == [failed(TARGETS[1]), *TARGETS[2:]]


def test_targets_that_failed_in_a_task_that_dealt_them_out_otherwise_are_tried_once(folder: RunFolder) -> None:
    known = [failed(TARGETS[0]), TARGETS[1]]
    assert start(folder, "update-9", known).left() == known
    again = start(folder, "update-9", known)  # killed before it came to any
    assert again.left() == known
    again.note(failed(known[0]))
    assert start(folder, "update-9", known).left() == [TARGETS[1]]


@pytest.mark.parametrize("file_order", [("a", "b"), ("b", "a")])
def test_with_as_many_attempts_the_record_that_has_an_outcome_is_the_later_one(
    folder: RunFolder, file_order: tuple[str, str]
) -> None:
    proving = replace(TARGETS[0], attempts=1, proving=Proving("2026-11-24T04:00:00Z", since=1.5))
    ended = failed(TARGETS[0])
    for name, record in zip(file_order, (proving, ended), strict=True):
        start(folder, name, TARGETS[:1]).note(record)
    assert read_journals(folder, PLAN)[1] == [ended]
    start(folder, "c", TARGETS[:1]).note(replace(proving, attempts=2))
    assert [record.attempts for record in read_journals(folder, PLAN)[1]] == [2]


def test_no_journal_holds_a_secret() -> None:
    assert not {"password", "token", "secret"} & {name.casefold() for name in TARGETS[0].as_dict()}
