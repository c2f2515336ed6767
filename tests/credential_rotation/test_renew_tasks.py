"""What the report of a renewal says of tasks that said nothing themselves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from credential_rotation.renew_tasks import _look_at, _settled
from credential_rotation.renewal.report import FAILED, PLANNED, RENEWED, UserReport
from credential_rotation.renewal.step import User
from credential_rotation.rotation.snowflake_words import SnowflakeUnreachable
from credential_rotation.run_folder import RunFolder
from credential_rotation.running_task import in_words
from credential_rotation.token_stores.kept import StoreUnusable


@pytest.fixture
def task(tmp_path: Path) -> Any:
    return SimpleNamespace(folder=RunFolder("a_dag", "a_run", f"file://{tmp_path}"), dry_run=False)


def leave(task: Any, user: UserReport) -> None:
    task.folder.write(f"work/users/{user.snowflake_conn_id}.json", user.as_dict())


def test_a_token_whose_task_was_killed_is_not_taken_for_one_that_needed_nothing(task: Any) -> None:
    leave(task, UserReport("snowflake_etl", "ETL_USER", outcome=PLANNED))
    found = _settled(task, "snowflake_etl")
    assert found.outcome == FAILED
    assert "ended without a word" in str(found.reason)


def test_a_user_that_nobody_looked_at_is_a_failure(task: Any) -> None:
    found = _settled(task, "snowflake_etl")
    assert (found.outcome, found.reason) == (FAILED, "it was not seen how its token stands")


def test_what_a_task_said_is_left_as_it_is(task: Any) -> None:
    renewed = UserReport("snowflake_etl", "ETL_USER", outcome=RENEWED)
    leave(task, renewed)
    assert _settled(task, "snowflake_etl") == renewed


def test_in_a_dry_run_planned_is_the_end(task: Any) -> None:
    task.dry_run = True
    planned = UserReport("snowflake_etl", "ETL_USER", outcome=PLANNED)
    leave(task, planned)
    assert _settled(task, "snowflake_etl") == planned


def test_only_what_is_written_for_people_is_quoted() -> None:
    assert in_words(StoreUnusable("the Variable can't be read")) == "the Variable can't be read"
    assert in_words(KeyError("token_secret=abc")) == "KeyError"
    assert in_words(ValueError("could not convert abc")) == "ValueError"


class TestAnAccountThatCanNotBeReached:
    """It is no reason to leave the users of others alone."""

    @pytest.fixture
    def unreachable(self, task: Any) -> Any:
        def renewer(admin_conn_id: str) -> Any:
            raise SnowflakeUnreachable(f"Snowflake could not be asked for the sign-in of '{admin_conn_id}'")

        task.renewer = renewer
        task.leave = lambda user: leave(task, user)
        return task

    def test_a_further_try_is_made(self, unreachable: Any) -> None:
        unreachable.is_last_try = False
        with pytest.raises(SnowflakeUnreachable):
            _look_at(unreachable, "snowflake_admin", [User("snowflake_etl", "ETL_USER", "a secret")])

    def test_after_the_last_its_users_have_failed_and_the_task_goes_on(self, unreachable: Any) -> None:
        unreachable.is_last_try = True
        _look_at(unreachable, "snowflake_admin", [User("snowflake_etl", "ETL_USER", "a secret")])
        found = _settled(unreachable, "snowflake_etl")
        assert found.outcome == FAILED
        assert "could not be asked" in str(found.reason)
