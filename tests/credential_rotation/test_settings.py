"""Settings out of the environment."""

from __future__ import annotations

import pytest

from credential_rotation.settings import Settings, UnusableEnvironment


def test_without_any_the_defaults_are_those_of_the_contract() -> None:
    settings = Settings.from_environment({"AIRFLOW_HOME": "/opt/airflow"})
    assert settings == Settings(None, 8, 16, reports="file:///opt/airflow/credential_rotation")


def test_each_can_be_set() -> None:
    settings = Settings.from_environment(
        {
            "CREDENTIAL_ROTATION_SCHEDULE": " 0 4 * * * ",
            "CREDENTIAL_ROTATION_MAX_PARALLEL_TASKS": "4",
            "CREDENTIAL_ROTATION_REQUESTS_IN_FLIGHT": " 32 ",
            "CREDENTIAL_ROTATION_REPORTS": " memory://bucket/reports/ ",
        }
    )
    assert settings == Settings("0 4 * * *", 4, 32, reports="memory://bucket/reports")


@pytest.mark.parametrize("name", ["SCHEDULE", "MAX_PARALLEL_TASKS", "REQUESTS_IN_FLIGHT", "REPORTS"])
def test_an_empty_one_is_as_good_as_none(name: str) -> None:
    assert Settings.from_environment({f"CREDENTIAL_ROTATION_{name}": " "}) == Settings.from_environment({})


@pytest.mark.parametrize(("in_flight", "tasks", "each"), [(16, 8, 2), (10, 4, 2), (4, 8, 1), (1, 1, 1)])
def test_parallel_tasks_share_the_requests_in_flight(in_flight: int, tasks: int, each: int) -> None:
    settings = Settings(None, tasks, in_flight, reports="")
    assert settings.in_flight_per_task == each
    assert settings.parallel_tasks * settings.in_flight_per_task <= in_flight


def test_a_plain_path_for_reports_becomes_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert Settings.from_environment({"CREDENTIAL_ROTATION_REPORTS": "~/x"}).reports == "file:///home/ann/x"
    assert Settings.from_environment({}).reports == "file:///home/ann/airflow/credential_rotation"


@pytest.mark.parametrize("name", ["MAX_PARALLEL_TASKS", "REQUESTS_IN_FLIGHT"])
@pytest.mark.parametrize("value", ["0", "-1", "eight", "1.5", "100000", "²"])
def test_a_number_that_is_none_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UnusableEnvironment, match=f"CREDENTIAL_ROTATION_{name} must be a number from 1 to"):
        Settings.from_environment({f"CREDENTIAL_ROTATION_{name}": value})
