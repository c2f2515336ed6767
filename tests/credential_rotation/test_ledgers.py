"""What is known to be embedded, in files: who learns it from what, and what is known after whatever went wrong."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from credential_rotation.fingerprint import Fingerprints
from credential_rotation.journal import Journal
from credential_rotation.ledgers import Ledgers
from credential_rotation.plan_files import Plan, drop_plan, new_plan_id, write_batch, write_plan
from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.ledger import Ledger
from credential_rotation.rotation.outcomes import Exclusion, Outcome, Proof
from credential_rotation.rotation.proof import Proving
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import Folder, RunFolder
from sandbox.leaks import Scanner, traces_of
from tests.builders import target, targets

DAG = "rotate_snowflake_pat_in_tableau"
SITE, OTHER_SITE = "https://tableau.acme.example|acme", "https://tableau.acme.example|beta"
SITES = {"tableau_default": SITE, "tableau_beta": OTHER_SITE}
FINGERPRINTS = Fingerprints(b"a key")
CREDENTIAL = SnowflakeCredential(
    "snowflake_pat", "ETL_USER", "token-of-today", frozenset(), frozenset(), "token-of-yesterday"
)
TODAY, YESTERDAY = (FINGERPRINTS.of(secret) for secret in CREDENTIAL.secrets)
TARGETS = targets(4, embed_password=True, updated_at="2026-11-24T04:00:00Z")


@pytest.fixture(params=["file", "memory"])
def reports(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A local disk, and fsspec's object store in memory."""
    return f"file://{tmp_path}/reports" if request.param == "file" else f"memory://{uuid.uuid4().hex}/reports"


@pytest.fixture
def ledgers(reports: str) -> Ledgers:
    return Ledgers(reports, DAG)


def updated(record: ConnectionRecord, minute: int = 0, **more: Any) -> ConnectionRecord:
    """The record of an update that Tableau had saved in that minute."""
    values: dict[str, Any] = {
        "outcome": Outcome.UPDATED,
        "proof": Proof.SAVED,
        "attempts": record.attempts + 1,
        "touched": True,
        "saved_at": f"2026-11-24T04:{minute:02}:00+00:00",
        "item_updated_at": f"2026-11-24T04:{minute:02}:00Z",
    }
    return replace(record, **values | more)


def failed(record: ConnectionRecord, **more: Any) -> ConnectionRecord:
    values: dict[str, Any] = {"outcome": Outcome.FAILED, "reason": "why", "attempts": record.attempts + 1}
    return replace(record, **values | {"touched": True} | more)


class Runs:
    """Makes the files of runs, as the tasks of a run do."""

    def __init__(self, ledgers: Ledgers) -> None:
        self.ledgers = ledgers

    def folder(self, run_id: str) -> RunFolder:
        return RunFolder(DAG, run_id, self.ledgers.reports)

    def plan(
        self, run_id: str, targets: Sequence[ConnectionRecord], credential: SnowflakeCredential = CREDENTIAL
    ) -> str:
        """What filter_connections does."""
        plan_id = new_plan_id(self.folder(run_id))
        plan = Plan(plan_id, len(targets), (), (), tuple(targets), SITES)
        write_plan(self.folder(run_id), plan, [credential], FINGERPRINTS)
        self.ledgers.open(run_id)
        return plan_id

    def update(
        self, run_id: str, plan_id: str, targets: Sequence[ConnectionRecord], done: Sequence[ConnectionRecord]
    ) -> None:
        """What a mapped task does."""
        journal = self.begin(run_id, plan_id, targets)
        for record in done:
            journal.note(record)
        journal.close()

    def begin(self, run_id: str, plan_id: str, targets: Sequence[ConnectionRecord]) -> Journal:
        """What a mapped task does that is killed, or has not come further yet."""
        folder = self.folder(run_id)
        journal = Journal(folder, plan_id, write_batch(folder, plan_id, targets), targets)
        for each in targets:
            journal.begin(each)
        return journal

    def run(
        self,
        run_id: str,
        done: Sequence[ConnectionRecord],
        targets: Sequence[ConnectionRecord] = TARGETS,
        credential: SnowflakeCredential = CREDENTIAL,
    ) -> None:
        """A run that was killed before its report."""
        self.update(run_id, self.plan(run_id, targets, credential), targets, done)

    def clear(self, run_id: str) -> None:
        """What the first tasks of a run do that a person started again."""
        drop_plan(self.folder(run_id))

    def open(self) -> list[str]:
        return Folder(f"{self.ledgers.reports}/ledger").names("open")


@pytest.fixture
def runs(ledgers: Ledgers) -> Runs:
    return Runs(ledgers)


def known(ledger: Ledger) -> dict[str, str]:
    """Which token each connection holds, by the name of the token."""
    names = {TODAY: "today", YESTERDAY: "yesterday"}
    return {key: names.get(entry["token"], entry["token"]) for key, entry in ledger.as_dict().items()}


def key(record: ConnectionRecord) -> str:
    return f"{record.content_id}/{record.connection_id}"


def changed_at(minute: int) -> list[ConnectionRecord]:
    """The targets as a later run finds them, their items changed in that minute."""
    return [replace(each, updated_at=f"2026-11-24T04:{minute:02}:00Z") for each in TARGETS]


def current(ledgers: Ledgers, records: Sequence[ConnectionRecord] = TARGETS) -> list[bool]:
    """Whether each is known to hold the token of today."""
    ledger = ledgers.read(SITE)
    return [ledger.is_current(record, TODAY, "ETL_USER") for record in records]


def ledger_files(reports: str) -> list[ObjectStoragePath]:
    return [path for path in ObjectStoragePath(f"{reports}/ledger").iterdir() if path.name.endswith(".json")]


# What a run that has ended well, or badly, teaches


def test_nothing_is_known_at_first(ledgers: Ledgers) -> None:
    assert ledgers.read(SITE).as_dict() == {}
    assert ledgers.updated_by("no such run") == {}
    ledgers.learn_from_open_runs()
    ledgers.learn_from("no such run")


def test_what_was_updated_is_known_with_its_token_time_run_and_proof(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0], proof=Proof.REFRESH_JOB), updated(TARGETS[1], 1)], TARGETS[:2])
    ledgers.learn_from("run 1")
    assert ledgers.read(SITE).as_dict() == {
        key(TARGETS[0]): {
            "token": TODAY,
            "username": "ETL_USER",
            "saved_at": "2026-11-24T04:00:00+00:00",
            "run_id": "run 1",
            "proof": "refresh_job",
            "item_updated_at": "2026-11-24T04:00:00Z",
            "content_type": "datasource",
            "snowflake_conn_id": "snowflake_pat",
        },
        key(TARGETS[1]): {
            "token": TODAY,
            "username": "ETL_USER",
            "saved_at": "2026-11-24T04:01:00+00:00",
            "run_id": "run 1",
            "proof": "saved",
            "item_updated_at": "2026-11-24T04:01:00Z",
            "content_type": "datasource",
            "snowflake_conn_id": "snowflake_pat",
        },
    }
    assert current(ledgers, changed_at(1)) == [False, True, False, False]
    assert current(ledgers) == [True, False, False, False]


def test_the_ledger_of_another_dag_s_folder_is_the_same(ledgers: Ledgers, runs: Runs) -> None:
    """It is of a site, not of a DAG."""
    runs.run("run 1", [updated(TARGETS[0])])
    ledgers.learn_from("run 1")
    assert known(replace(ledgers, dag_id="another").read(SITE)) == {key(TARGETS[0]): "today"}


def test_what_was_not_touched_leaves_what_is_known(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(each) for each in TARGETS])
    ledgers.learn_from("run 1")
    excluded = replace(target(9), snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=Exclusion.OAUTH)
    unchanged = replace(TARGETS[0], outcome=Outcome.UNCHANGED)
    plan_id = runs.plan("run 2", [unchanged, *TARGETS[1:], excluded])
    waiting = replace(TARGETS[1], outcome=Outcome.NOT_ATTEMPTED, reason="held up")
    refused = failed(TARGETS[2], touched=False)
    runs.update("run 2", plan_id, TARGETS[1:3], [waiting, refused])
    ledgers.learn_from("run 2")
    assert known(ledgers.read(SITE)) == {key(each): "today" for each in TARGETS}


@pytest.mark.parametrize(
    "record",
    [
        failed(TARGETS[0]),
        failed(TARGETS[0], retriable=True),
        replace(TARGETS[0], outcome=Outcome.GONE),
        replace(TARGETS[0], touched=True, attempts=1, proving=Proving("2026-11-24T05:00:00Z", since=0)),
        replace(TARGETS[0], touched=True, attempts=1, undoing="it did not connect"),
        # Written to in a first try; then its token was changed in Airflow.
        replace(TARGETS[0], touched=True, attempts=1, outcome=Outcome.NOT_ATTEMPTED, reason="the token was changed"),
        updated(TARGETS[0], saved_at=None),
    ],
    ids=["failed", "to be tried again", "gone", "proof not there", "being put back", "given up", "without a time"],
)
def test_of_what_may_hold_something_else_now_nothing_is_known(
    ledgers: Ledgers, runs: Runs, record: ConnectionRecord
) -> None:
    runs.run("run 1", [updated(each) for each in TARGETS])
    ledgers.learn_from("run 1")
    runs.run("run 2", [record], TARGETS[:1])
    ledgers.learn_from("run 2")
    assert known(ledgers.read(SITE)) == {key(each): "today" for each in TARGETS[1:]}


def test_what_was_put_back_holds_the_secret_before(ledgers: Ledgers, runs: Runs) -> None:
    put_back = updated(TARGETS[0], outcome=Outcome.ROLLED_BACK, reason="it did not connect", username="OLD_USER")
    runs.run("run 1", [put_back])
    ledgers.learn_from("run 1")
    assert known(ledgers.read(SITE))[key(TARGETS[0])] == "yesterday"
    assert ledgers.read(SITE).as_dict()[key(TARGETS[0])]["username"] == "OLD_USER"


def test_what_was_put_back_when_nobody_knows_what_that_is_any_more_is_not_known(ledgers: Ledgers, runs: Runs) -> None:
    put_back = updated(TARGETS[0], outcome=Outcome.ROLLED_BACK, reason="it did not connect")
    runs.run("run 1", [put_back], credential=replace(CREDENTIAL, previous=None))
    ledgers.learn_from("run 1")
    assert known(ledgers.read(SITE)) == {}


def test_each_site_has_a_ledger_of_its_own(ledgers: Ledgers, runs: Runs) -> None:
    beta = [replace(each, tableau_conn_id="tableau_beta") for each in targets(8)[4:]]
    runs.run("run 1", [updated(each) for each in (*TARGETS, *beta)], [*TARGETS, *beta])
    ledgers.learn_from("run 1")
    assert known(ledgers.read(SITE)) == {key(each): "today" for each in TARGETS}
    assert known(ledgers.read(OTHER_SITE)) == {key(each): "today" for each in beta}


def test_by_whichever_airflow_connection_a_site_was_reached_it_is_the_same_ledger(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0])])
    ledgers.learn_from("run 1")
    renamed = replace(TARGETS[0], tableau_conn_id="tableau_renamed")
    assert ledgers.read(SITE).is_current(renamed, TODAY, "ETL_USER")


def neighbours(count: int) -> list[ConnectionRecord]:
    """Connections of one item."""
    return [replace(TARGETS[0], connection_id=f"connection-{number}") for number in range(count)]


def test_what_a_narrowed_run_did_not_write_in_an_item_that_it_wrote_to_is_not_current_any_more(
    ledgers: Ledgers, runs: Runs
) -> None:
    one, other, third = neighbours(3)
    elsewhere = TARGETS[1]
    everything = [one, other, third, elsewhere]
    runs.run("run 1", [updated(each) for each in everything], everything)
    ledgers.learn_from("run 1")
    excluded = replace(other, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=Exclusion.FILTERED_OUT)
    runs.run("run 2", [updated(one, 5)], [one, excluded])
    ledgers.learn_from("run 2")
    now = [*(replace(each, updated_at=changed_at(5)[0].updated_at) for each in (one, other, third)), elsewhere]
    assert current(ledgers, now) == [True, False, False, True]
    assert ledgers.read(SITE).runs_of([TODAY])[-1] == "run 2"


def test_of_an_item_that_a_run_wrote_to_in_vain_nothing_is_taken_for_current(ledgers: Ledgers, runs: Runs) -> None:
    one, other = neighbours(2)
    runs.run("run 1", [updated(one), updated(other)], [one, other])
    ledgers.learn_from("run 1")
    assert current(ledgers, [one, other]) == [True, True]
    runs.run("run 2", [failed(one)], [one])
    ledgers.learn_from("run 2")
    changed = [replace(each, updated_at="2026-11-24T05:00:00Z") for each in (one, other)]
    assert current(ledgers, changed) == [False, False]


# Runs that were killed before their report


def test_a_run_that_was_killed_is_learned_from_by_the_next_and_once(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0])], TARGETS[:2])
    runs.run("run 2", [updated(TARGETS[2])], TARGETS[2:])
    assert len(runs.open()) == 2
    assert known(ledgers.read(SITE)) == {}
    ledgers.learn_from_open_runs()
    assert known(ledgers.read(SITE)) == {key(TARGETS[0]): "today", key(TARGETS[2]): "today"}
    assert runs.open() == []


def test_of_what_a_killed_run_had_started_on_without_a_word_nothing_is_known_any_more(
    ledgers: Ledgers, runs: Runs
) -> None:
    runs.run("run 1", [updated(each) for each in TARGETS])
    ledgers.learn_from("run 1")
    plan_id = runs.plan("run 2", TARGETS)
    runs.update("run 2", plan_id, TARGETS[:2], [updated(TARGETS[0], 5)])
    ledgers.learn_from_open_runs()
    # The second may have been written to just before; the others' turn had not come.
    assert current(ledgers, [changed_at(5)[0], *TARGETS[1:]]) == [True, False, True, True]


def test_a_report_leaves_nothing_to_learn(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0])])
    ledgers.learn_from("run 1")
    assert runs.open() == []


def test_a_run_that_is_killed_while_it_learns_is_learned_from_again(
    ledgers: Ledgers, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.run("run 1", [updated(TARGETS[0])])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledgers, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            ledgers.learn_from_open_runs()
    assert len(runs.open()) == 1
    ledgers.learn_from_open_runs()
    assert known(ledgers.read(SITE)) == {key(TARGETS[0]): "today"}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '"x"', '{"run_id": null}', '{"run_id": "no such run"}'])
def test_a_note_of_an_open_run_that_says_nothing_is_taken_away(ledgers: Ledgers, runs: Runs, content: str) -> None:
    Folder(f"{ledgers.reports}/ledger").write_text("open/0123456789abcdef.json", content)
    ledgers.learn_from_open_runs()
    assert runs.open() == []


@pytest.mark.parametrize(
    ("name", "spoilt"),
    [
        ("work/plans/{plan}.json", "[1]"),
        ("work/plans/{plan}.json", '{"credentials": {"snowflake_pat": {"login": "ETL_USER"}}}'),
        (
            "work/plans/{plan}.json",
            '{"credentials": {"snowflake_pat": {"login": "A", "secrets": {"token": "b", "new": "c"}}}}',
        ),
        ("work/{plan}/journals/x.json", '{"records": [{"key": "of another version"}]}'),
        ("work/{plan}/journals/x.json", '{"records": [{"content_type": "dashboard"}]}'),
        ("work/{plan}/journals/x.json", "[1, 2]"),
    ],
)
def test_a_run_whose_files_nobody_understands_does_not_stop_the_next(
    ledgers: Ledgers, runs: Runs, name: str, spoilt: str, caplog: pytest.LogCaptureFixture
) -> None:
    runs.run("run 1", [updated(TARGETS[0])])
    ledgers.learn_from("run 1")
    plan_id = runs.plan("run 2", TARGETS)
    runs.folder("run 2").write_text(name.format(plan=plan_id), spoilt)
    with caplog.at_level(logging.WARNING):
        ledgers.learn_from_open_runs()
    assert "The files of run run 2 can't be read" in caplog.text
    assert runs.open() == []
    assert known(ledgers.read(SITE)) == {key(TARGETS[0]): "today"}


# Tasks that a person cleared


def test_the_tasks_of_an_old_run_do_not_overwrite_what_a_later_one_did(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0], 1)], credential=replace(CREDENTIAL, token="token-of-yesterday"))
    ledgers.learn_from("run 1")
    runs.run("run 2", [updated(TARGETS[0], 2)])
    ledgers.learn_from("run 2")
    runs.clear("run 1")
    ledgers.learn_from("run 1")
    assert known(ledgers.read(SITE)) == {key(TARGETS[0]): "today"}
    assert ledgers.read(SITE).runs_of([TODAY])[-1] == "run 2"


def test_a_roll_back_in_between_is_not_undone_by_an_old_run_either(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0], 1)])
    ledgers.learn_from("run 1")
    rolled_back = updated(TARGETS[0], 2, outcome=Outcome.ROLLED_BACK)
    runs.run("run 2", [rolled_back], credential=CREDENTIAL.reversed())
    ledgers.learn_from("run 2")
    runs.clear("run 1")
    ledgers.learn_from("run 1")
    assert known(ledgers.read(SITE)) == {key(TARGETS[0]): "yesterday"}


def test_clearing_filter_connections_keeps_what_the_plan_before_has_led_to(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0], 1), failed(TARGETS[1])])
    runs.clear("run 1")  # killed before its report, say
    ledgers.learn_from_open_runs()
    assert known(ledgers.read(SITE)) == {key(TARGETS[0]): "today"}
    plan_id = runs.plan("run 1", [replace(TARGETS[0], outcome=Outcome.UNCHANGED), *TARGETS[1:]])
    runs.update("run 1", plan_id, TARGETS[1:], [updated(each, 2) for each in TARGETS[1:]])
    ledgers.learn_from("run 1")
    assert known(ledgers.read(SITE)) == {key(each): "today" for each in TARGETS}


def test_clearing_the_failed_updates_alone_keeps_the_plan_and_adds_to_what_is_known(
    ledgers: Ledgers, runs: Runs
) -> None:
    plan_id = runs.plan("run 1", TARGETS)
    runs.update("run 1", plan_id, TARGETS[:2], [updated(TARGETS[0]), updated(TARGETS[1])])
    runs.update("run 1", plan_id, TARGETS[2:], [failed(TARGETS[2]), failed(TARGETS[3])])
    ledgers.learn_from("run 1")
    assert known(ledgers.read(SITE)) == {key(each): "today" for each in TARGETS[:2]}
    runs.update("run 1", plan_id, TARGETS[2:], [updated(failed(TARGETS[2]), 5), updated(failed(TARGETS[3]), 5)])
    ledgers.learn_from("run 1")
    assert known(ledgers.read(SITE)) == {key(each): "today" for each in TARGETS}


def test_clearing_twice_changes_nothing(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0])])
    runs.clear("run 1")
    ledgers.learn_from("run 1")
    before = ledgers.read(SITE).as_dict(), ledgers.updated_by("run 1")
    runs.clear("run 1")
    ledgers.learn_from("run 1")
    assert (ledgers.read(SITE).as_dict(), ledgers.updated_by("run 1")) == before


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "killed"])
@pytest.mark.parametrize("planned_again", [True, False], ids=["planned again", "not planned again"])
def test_what_a_task_was_writing_while_its_plan_was_dropped_is_known(
    ledgers: Ledgers, runs: Runs, *, planned_again: bool, ended: bool
) -> None:
    """A person clears `discover` alone while a canary writes."""
    before = replace(TARGETS[0], username="OLD_USER")
    runs.run("run 0", [updated(before)], credential=CREDENTIAL.reversed())
    ledgers.learn_from("run 0")
    canary = runs.begin("run 1", runs.plan("run 1", [before]), [before])
    runs.clear("run 1")
    ledgers.learn_from_open_runs()
    if planned_again:
        runs.plan("run 1", TARGETS)
    if ended:
        canary.note(updated(before, 5))
        canary.close()
    ledgers.learn_from("run 1")
    assert ledgers.updated_by("run 1") == {before.key: updated(before, 5) if ended else before}
    assert known(ledgers.read(SITE)) == ({key(before): "today"} if ended else {})


def test_what_two_plans_of_a_run_embedded_is_known_by_the_token_of_each(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0])], TARGETS[:1], CREDENTIAL.reversed())
    runs.clear("run 1")  # the wrong secret was in Airflow
    runs.run("run 1", [updated(TARGETS[1])], TARGETS[1:2])
    ledgers.learn_from("run 1")
    assert known(ledgers.read(SITE)) == {key(TARGETS[0]): "yesterday", key(TARGETS[1]): "today"}
    assert ledgers.embedded_by("run 1") == {"snowflake_pat": TODAY}


def test_what_a_task_of_a_dropped_plan_wrote_last_counts_although_a_later_plan_is_read_after_it(
    ledgers: Ledgers, runs: Runs
) -> None:
    late = runs.begin("run 1", runs.plan("run 1", TARGETS[:1], CREDENTIAL.reversed()), TARGETS[:1])
    runs.clear("run 1")
    runs.run("run 1", [updated(TARGETS[0], 1)])
    late.note(updated(TARGETS[0], 2))
    late.close()
    ledgers.learn_from("run 1")
    assert known(ledgers.read(SITE)) == {key(TARGETS[0]): "yesterday"}


# What a run updated, for a roll-back


def test_what_a_run_updated_is_what_ended_so_or_may_have_been_written(ledgers: Ledgers, runs: Runs) -> None:
    refused = failed(TARGETS[3], touched=False)
    gone = replace(TARGETS[2], outcome=Outcome.GONE)
    runs.run("run 1", [updated(TARGETS[0]), failed(TARGETS[1]), gone, refused])
    updated_by = ledgers.updated_by("run 1")
    assert updated_by == {TARGETS[0].key: updated(TARGETS[0]), TARGETS[1].key: failed(TARGETS[1])}
    assert ledgers.updated_by("run 2") == {}


def test_what_a_run_updated_before_a_person_cleared_its_tasks_counts_as_well(ledgers: Ledgers, runs: Runs) -> None:
    before = replace(TARGETS[0], username="OLD_USER")
    runs.run("run 1", [updated(before), failed(TARGETS[1], touched=False)], TARGETS[:2])
    runs.clear("run 1")
    assert ledgers.updated_by("run 1").keys() == {TARGETS[0].key}
    runs.run("run 1", [updated(TARGETS[1], 3), updated(TARGETS[0], 4)], TARGETS[:2])
    runs.clear("run 1")
    runs.run("run 1", [updated(TARGETS[2], 5)], TARGETS[2:3])
    found = ledgers.updated_by("run 1")
    assert found.keys() == {each.key for each in TARGETS[:3]}
    # As it was before the run, not as the run itself had left it.
    assert found[TARGETS[0].key].username == "OLD_USER"


@pytest.mark.parametrize(
    ("record", "counts"),
    [
        (updated(TARGETS[0]), True),
        (failed(TARGETS[0]), True),
        (failed(TARGETS[0], retriable=True), True),
        (failed(TARGETS[0], touched=False), False),
        (replace(TARGETS[0], touched=True, attempts=1, outcome=Outcome.NOT_ATTEMPTED), True),
        (replace(TARGETS[0], touched=True, attempts=1, outcome=Outcome.GONE), True),
        (replace(TARGETS[0], touched=True, attempts=1, proving=Proving("2026-11-24T05:00:00Z", since=0)), True),
        (replace(TARGETS[0], touched=True, attempts=1, undoing="it did not connect"), True),
        (updated(TARGETS[0], outcome=Outcome.ROLLED_BACK, reason="it did not connect"), False),
        (replace(TARGETS[0], outcome=Outcome.NOT_ATTEMPTED, reason="held up"), False),
    ],
    ids=[
        "updated", "failed", "to be tried again", "refused", "given up", "gone", "proof not there", "being put back",
        "put back", "held up",
    ],
)  # fmt: skip
def test_a_run_updated_whatever_it_touched_and_did_not_put_back(
    ledgers: Ledgers, runs: Runs, record: ConnectionRecord, *, counts: bool
) -> None:
    runs.run("run 1", [record], TARGETS[:1])
    assert ledgers.updated_by("run 1") == ({record.key: record} if counts else {})


def test_what_a_killed_run_had_started_on_without_a_word_may_have_been_updated(ledgers: Ledgers, runs: Runs) -> None:
    plan_id = runs.plan("run 1", TARGETS)
    runs.update("run 1", plan_id, TARGETS[:3], [updated(TARGETS[0]), failed(TARGETS[1], touched=False)])
    assert ledgers.updated_by("run 1") == {TARGETS[0].key: updated(TARGETS[0]), TARGETS[2].key: TARGETS[2]}


def test_which_token_a_run_embedded_is_known_by_its_credential(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0])])
    runs.run("run 2", [updated(TARGETS[0], outcome=Outcome.ROLLED_BACK)], credential=CREDENTIAL.reversed())
    assert ledgers.embedded_by("run 1") == {"snowflake_pat": TODAY}
    assert ledgers.embedded_by("run 2") == {"snowflake_pat": YESTERDAY}
    assert ledgers.embedded_by("no such run") == {}


@pytest.mark.parametrize("spoilt", ["[]", '{"credentials": {"snowflake_pat": {"login": "ETL_USER"}}}', "7"])
def test_of_a_run_whose_files_nobody_understands_no_token_is_known(ledgers: Ledgers, runs: Runs, spoilt: str) -> None:
    plan_id = runs.plan("run 1", TARGETS)
    runs.folder("run 1").write_text(f"work/plans/{plan_id}.json", spoilt)
    assert ledgers.embedded_by("run 1") == {}


def test_of_a_plan_whose_files_nobody_understands_it_is_not_known_what_it_led_to(ledgers: Ledgers, runs: Runs) -> None:
    plan_id = runs.plan("run 1", TARGETS)
    runs.update("run 1", plan_id, TARGETS[:1], [updated(TARGETS[0])])
    runs.folder("run 1").write_text(f"work/{plan_id}/journals/x.json", '{"records": [{"of": "another version"}]}')
    assert ledgers.updated_by("run 1") == {}
    runs.run("run 1", [updated(TARGETS[1])], TARGETS[1:2])
    assert ledgers.updated_by("run 1").keys() == {TARGETS[1].key}


# The files


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "\0" * len(text),
        lambda text: "[]",
        lambda text: "[1]",
        lambda text: "7",
        lambda text: '"text"',
        lambda text: "null",
        lambda text: "{}",
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace('"version": 1', '"version": "1"'),
        lambda text: text.replace('"version": 1,', ""),
        lambda text: text.replace('"connections"', '"entries"'),
        lambda text: json.dumps(json.loads(text) | {"connections": None}),
        lambda text: json.dumps(json.loads(text) | {"connections": [1]}),
        lambda text: json.dumps(json.loads(text) | {"connections": {"a/b": None}}),
        lambda text: text.replace('"token"', '"fingerprint"'),
        lambda text: text.replace('"run_id"', '"run_id": "x", "by"'),
        lambda text: text.replace('"proof": "saved"', '"proof": "promised"'),
        lambda text: text.replace('"ETL_USER"', "null"),
        lambda text: text.replace('"2026-11-24T04:00:00+00:00"', "1795500000"),
    ],
)
def test_a_ledger_that_nobody_understands_is_empty_and_the_next_run_writes_it_anew(
    ledgers: Ledgers, runs: Runs, reports: str, spoil: Any
) -> None:
    runs.run("run 1", [updated(TARGETS[0])])
    ledgers.learn_from("run 1")
    path = ledger_named(reports, "tableau.acme.example-acme-")
    text = path.read_text()
    assert spoil(text) != text
    path.write_text(spoil(text))
    assert ledgers.read(SITE).as_dict() == {}
    assert current(ledgers) == [False] * 4
    runs.run("run 2", [updated(TARGETS[1], 1)])
    ledgers.learn_from("run 2")
    assert known(ledgers.read(SITE)) == {key(TARGETS[1]): "today"}


def test_a_ledger_comes_back_as_it_was(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(each, minute) for minute, each in enumerate(TARGETS)])
    ledgers.learn_from("run 1")
    once = ledgers.read(SITE).as_dict()
    ledgers.write(SITE, ledgers.read(SITE))
    assert ledgers.read(SITE).as_dict() == once


def test_a_process_that_is_killed_while_it_writes_leaves_the_ledger_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers = Ledgers(f"file://{tmp_path}", DAG)
    runs = Runs(ledgers)
    runs.run("run 1", [updated(TARGETS[0])])
    ledgers.learn_from("run 1")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            ledgers.write(SITE, Ledger())
    assert known(ledgers.read(SITE)) == {key(TARGETS[0]): "today"}


ODD_KEYS = [
    "https://tableau.acme.example|acme",
    "https://tableau.acme.example|",
    "https://tableau.acme.example|Acme & Söhne / 漢字",
    "https://tableau.acme.example:8443|acme",
    "http://[::1]:8000|acme",
    "https://tableau.acme.example/a/../../b|..",
    f"https://{'x' * 300}.example|{'y' * 300}",
    "||||",
    "..",
    "",
    "open",
]


def test_each_odd_site_has_a_file_of_its_own_in_the_ledger_s_folder(ledgers: Ledgers, runs: Runs, reports: str) -> None:
    entry = {"username": "A", "saved_at": "2026-11-24T04:00:00+00:00", "run_id": "run 1", "proof": None}
    for number, site in enumerate(ODD_KEYS):
        ledgers.write(site, Ledger.from_dict({"a/b": entry | {"token": str(number)}}))
    assert [known(ledgers.read(site)) for site in ODD_KEYS] == [{"a/b": str(n)} for n in range(len(ODD_KEYS))]
    names = [path.name for path in ObjectStoragePath(f"{reports}/ledger").iterdir()]
    assert len(names) == len(ODD_KEYS)
    assert all(len(name) < 100 and name.isascii() and not name.startswith(".") for name in names)
    # Whose it is can be read in the file and in its name.
    assert json.loads(ledger_named(reports, "tableau.acme.example-acme-").read_text())["site"] == ODD_KEYS[0]
    assert runs.open() == []


def ledger_named(reports: str, begin: str) -> ObjectStoragePath:
    return next(path for path in ledger_files(reports) if path.name.startswith(begin) and len(path.name) < 45)


def test_odd_run_ids_have_notes_of_their_own(ledgers: Ledgers, runs: Runs) -> None:
    for run_id in ("a", "a b", "manual__2026-01-01T00:00:00+00:00", "ü", "x" * 250):
        ledgers.open(run_id)
        ledgers.open(run_id)
    assert len(runs.open()) == 5


# Secrets


def test_no_file_holds_a_secret_or_a_hash_that_anybody_could_make(tmp_path: Path) -> None:
    ledgers = Ledgers(f"file://{tmp_path}", DAG)
    runs = Runs(ledgers)
    put_back = updated(TARGETS[2], outcome=Outcome.ROLLED_BACK, reason="why")
    proving = replace(TARGETS[3], touched=True, proving=Proving("2026-11-24T05:00:00Z", since=0))
    runs.run("run 1", [updated(TARGETS[0]), failed(TARGETS[1]), put_back, proving])
    ledgers.learn_from("run 1")
    ledgers.open("run 1")
    secrets = dict(zip(("today", "yesterday"), CREDENTIAL.secrets, strict=True))
    assert any(tmp_path.rglob("plans/*.json"))
    assert Scanner(traces_of(secrets)).folder(tmp_path) == []
    # It is there, though; and under another key it would be another.
    assert Scanner({"fingerprint": TODAY}).folder(tmp_path / "ledger")
    assert not Scanner({"fingerprint": Fingerprints(b"another key").of("token-of-today")}).folder(tmp_path)


def test_under_another_key_nothing_is_known(ledgers: Ledgers, runs: Runs) -> None:
    runs.run("run 1", [updated(TARGETS[0])])
    ledgers.learn_from("run 1")
    ledger = ledgers.read(SITE)
    assert ledger.is_current(TARGETS[0], TODAY, "ETL_USER")
    assert not ledger.is_current(TARGETS[0], Fingerprints(b"another key").of("token-of-today"), "ETL_USER")
