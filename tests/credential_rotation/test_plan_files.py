"""The plan comes back as it was, and says when a token is no longer the one that it is for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from credential_rotation.fingerprint import Fingerprints
from credential_rotation.plan_files import (
    Plan,
    PlannedCredential,
    check_token,
    drop_plan,
    find_plan,
    find_sites,
    new_plan_id,
    plans_of,
    read_batch,
    read_plan,
    read_secrets,
    read_sites,
    write_batch,
    write_plan,
)
from credential_rotation.rotation.credentials import SnowflakeCredential, UnusableCredential
from credential_rotation.rotation.ledger import Secrets
from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import FilesNotShared, RunFolder
from sandbox.leaks import Scanner, traces_of
from tests.builders import target, targets

CREDENTIAL = SnowflakeCredential(
    "snowflake_etl", "ETL_USER", "the-token-of-today", frozenset(), frozenset(), "the-token-of-last-year"
)
FINGERPRINTS = Fingerprints(b"a key")
PLAN = Plan(
    plan_id="abc",
    content=3,
    notes=("a note",),
    problems=("a problem",),
    records=(*targets(2), replace(target(9), outcome=Outcome.EXCLUDED, reason=Exclusion.OAUTH)),
    sites={"tableau_default": "https://tableau.acme.example#acme"},
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder("a_dag", "a_run", f"file://{tmp_path}")


def test_a_plan_comes_back_as_it_was(folder: RunFolder) -> None:
    write_plan(folder, PLAN, [CREDENTIAL], FINGERPRINTS)
    assert read_plan(folder) == PLAN


def test_what_is_left_to_do_are_the_targets_without_an_outcome(folder: RunFolder) -> None:
    excluded = replace(PLAN.records[2], snowflake_conn_id=None)
    current = replace(target(3), outcome=Outcome.UNCHANGED)
    write_plan(folder, replace(PLAN, records=(*targets(2), current, excluded)), [CREDENTIAL], FINGERPRINTS)
    assert read_plan(folder).targets == [*targets(2), current]
    assert read_plan(folder).to_update == targets(2)


def test_what_follows_the_canaries_is_what_their_credential_has_left(folder: RunFolder) -> None:
    """Whatever is done is not done again, and whatever a task knows of the others is carried on."""
    canary = replace(target(1), canary=True, outcome=Outcome.UPDATED)
    done, failed = replace(target(2), outcome=Outcome.UPDATED), replace(target(3), outcome=Outcome.FAILED, attempts=2)
    under_way = replace(target(4), touched=True, undoing="it failed")
    gone = replace(target(5), outcome=Outcome.GONE)
    other = target(7, snowflake_conn_id="snowflake_bi")
    excluded = replace(target(8), snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=Exclusion.OAUTH)
    current = replace(target(9), outcome=Outcome.UNCHANGED)
    plan = replace(PLAN, records=(*targets(6), other, excluded, current))
    write_plan(folder, plan, [CREDENTIAL], FINGERPRINTS)
    records = [canary, done, failed, under_way, gone]
    assert read_plan(folder).left(records) == [failed, under_way, target(6)]


@pytest.mark.parametrize(
    "canary",
    [
        replace(target(1), outcome=Outcome.FAILED),
        replace(target(1), outcome=Outcome.GONE),
        replace(target(1), outcome=Outcome.NOT_ATTEMPTED),
        replace(target(1), outcome=Outcome.ROLLED_BACK, reason="it did not connect"),
        target(1),
    ],
    ids=["failed", "gone", "not attempted", "put back", "no outcome yet"],
)
def test_nothing_follows_a_canary_that_shows_nothing(canary: ConnectionRecord) -> None:
    plan = replace(PLAN, records=tuple(targets(3)))
    updated = replace(target(2), outcome=Outcome.UPDATED)
    assert plan.left([replace(canary, canary=True), updated]) == []
    assert plan.left([updated]) == []  # and nothing is validated by what is no canary


@pytest.mark.parametrize("outcome", [Outcome.GONE, Outcome.FAILED])
def test_another_canary_validates_in_its_place_and_no_canary_follows_itself(outcome: Outcome) -> None:
    plan = replace(PLAN, records=tuple(targets(3)))
    first = replace(target(1), canary=True, outcome=outcome)
    passed = replace(target(2), canary=True, outcome=Outcome.UPDATED)
    assert plan.left([first, passed]) == [target(3)]


def test_the_fingerprints_of_both_secrets_are_kept_with_the_user(folder: RunFolder) -> None:
    only_one = replace(CREDENTIAL, conn_id="snowflake_bi", login="BI_USER", previous=None)
    write_plan(folder, PLAN, [CREDENTIAL, only_one], FINGERPRINTS)
    token, previous = (FINGERPRINTS.of(secret) for secret in CREDENTIAL.secrets)
    assert read_secrets(folder, "abc") == {
        "snowflake_etl": PlannedCredential("ETL_USER", Secrets(token, previous)),
        "snowflake_bi": PlannedCredential("BI_USER", Secrets(token)),
    }
    assert read_secrets(folder, "another plan") == {}


def test_a_dropped_plan_is_gone_and_what_needs_one_says_where_it_may_be(folder: RunFolder) -> None:
    write_plan(folder, PLAN, [CREDENTIAL], FINGERPRINTS)
    drop_plan(folder)
    assert find_plan(folder) is None
    with pytest.raises(FilesNotShared, match="CREDENTIAL_ROTATION_REPORTS"):
        read_plan(folder)


def test_what_a_dropped_plan_was_for_stays_known_and_the_next_one_comes_after_it(folder: RunFolder) -> None:
    plan_ids = []
    for _ in range(12):
        plan_ids.append(new_plan_id(folder))
        write_plan(folder, replace(PLAN, plan_id=plan_ids[-1]), [CREDENTIAL], FINGERPRINTS)
        drop_plan(folder)
    assert plans_of(folder) == plan_ids
    assert find_sites(folder) == ("", {})
    assert read_sites(folder, plan_ids[0]) == PLAN.sites
    assert read_secrets(folder, plan_ids[0]).keys() == {"snowflake_etl"}


def test_no_file_of_a_plan_holds_a_secret_or_a_hash_that_anybody_could_make(folder: RunFolder, tmp_path: Path) -> None:
    write_plan(folder, PLAN, [CREDENTIAL], FINGERPRINTS)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    scanner = Scanner(traces_of({"token": str(CREDENTIAL.token), "previous": str(CREDENTIAL.previous)}))
    assert scanner.folder(tmp_path) == []


def test_a_token_that_was_changed_meanwhile_is_refused(folder: RunFolder) -> None:
    write_plan(folder, PLAN, [CREDENTIAL], FINGERPRINTS)
    check_token(folder, "abc", CREDENTIAL, FINGERPRINTS)
    changed = replace(CREDENTIAL, token="another-token")
    with pytest.raises(UnusableCredential, match="'snowflake_etl': the token was changed") as raised:
        check_token(folder, "abc", changed, FINGERPRINTS)
    assert not any(secret in str(raised.value) for secret in changed.secrets)


def test_a_previous_secret_that_was_changed_meanwhile_is_no_matter(folder: RunFolder) -> None:
    write_plan(folder, PLAN, [CREDENTIAL], FINGERPRINTS)
    check_token(folder, "abc", replace(CREDENTIAL, previous=None), FINGERPRINTS)


def test_of_a_credential_that_the_plan_does_not_know_the_files_are_not_shared(folder: RunFolder) -> None:
    write_plan(folder, PLAN, [CREDENTIAL], FINGERPRINTS)
    for plan_id, conn_id in (("abc", "snowflake_bi"), ("another", "snowflake_etl")):
        with pytest.raises(FilesNotShared, match=f"What the plan says of '{conn_id}' is not where"):
            check_token(folder, plan_id, replace(CREDENTIAL, conn_id=conn_id), FINGERPRINTS)


def test_the_same_targets_are_the_same_batch_in_whatever_order(folder: RunFolder) -> None:
    three = targets(3)
    batch = write_batch(folder, "abc", three)
    assert read_batch(folder, "abc", batch) == three
    assert write_batch(folder, "abc", three[::-1]) == batch
    assert write_batch(folder, "abc", three[:2]) != batch


def test_a_batch_that_is_not_there_says_where_it_may_be(folder: RunFolder) -> None:
    with pytest.raises(FilesNotShared, match="shared folder or a bucket"):
        read_batch(folder, "abc", "nowhere")
