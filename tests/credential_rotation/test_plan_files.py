"""The plan comes back as it was, and says when a token is no longer the one that it is for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from credential_rotation.plan_files import (
    Plan,
    check_token,
    drop_plan,
    find_plan,
    read_batch,
    read_plan,
    write_batch,
    write_plan,
)
from credential_rotation.rotation.credentials import SnowflakeCredential, UnusableCredential
from credential_rotation.rotation.outcomes import Exclusion, Outcome
from credential_rotation.run_folder import FilesNotShared, RunFolder
from tests.builders import target, targets

CREDENTIAL = SnowflakeCredential("snowflake_etl", "ETL_USER", "the-token-of-today", frozenset(), frozenset())
PLAN = Plan(
    plan_id="abc",
    content=3,
    notes=("a note",),
    problems=("a problem",),
    records=(*targets(2), replace(target(9), outcome=Outcome.EXCLUDED, reason=Exclusion.OAUTH)),
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder("a_dag", "a_run", f"file://{tmp_path}")


def test_a_plan_comes_back_as_it_was(folder: RunFolder) -> None:
    write_plan(folder, PLAN, [CREDENTIAL])
    assert read_plan(folder) == PLAN


def test_a_dropped_plan_is_gone_and_what_needs_one_says_where_it_may_be(folder: RunFolder) -> None:
    write_plan(folder, PLAN, [CREDENTIAL])
    drop_plan(folder)
    assert find_plan(folder) is None
    with pytest.raises(FilesNotShared, match="CREDENTIAL_ROTATION_REPORTS"):
        read_plan(folder)


def test_no_file_of_a_plan_holds_the_token(folder: RunFolder, tmp_path: Path) -> None:
    write_plan(folder, PLAN, [CREDENTIAL])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert all(CREDENTIAL.token not in path.read_text() for path in files)


def test_a_token_that_was_changed_meanwhile_is_refused(folder: RunFolder) -> None:
    write_plan(folder, PLAN, [CREDENTIAL])
    check_token(folder, "abc", CREDENTIAL)
    with pytest.raises(UnusableCredential, match="'snowflake_etl': the token was changed"):
        check_token(folder, "abc", replace(CREDENTIAL, token="another"))


def test_the_same_targets_are_the_same_batch_in_whatever_order(folder: RunFolder) -> None:
    three = targets(3)
    batch = write_batch(folder, "abc", three)
    assert read_batch(folder, "abc", batch) == three
    assert write_batch(folder, "abc", three[::-1]) == batch
    assert write_batch(folder, "abc", three[:2]) != batch


def test_a_batch_that_is_not_there_says_where_it_may_be(folder: RunFolder) -> None:
    with pytest.raises(FilesNotShared, match="shared folder or a bucket"):
        read_batch(folder, "abc", "nowhere")
