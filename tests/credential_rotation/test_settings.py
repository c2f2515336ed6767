"""Settings out of the environment."""

from __future__ import annotations

import pytest

from credential_rotation.settings import Settings, UnusableEnvironment


def test_without_any_the_defaults_are_those_of_the_contract() -> None:
    settings = Settings.from_environment({"AIRFLOW_HOME": "/opt/airflow"})
    assert settings == Settings(
        schedule=None,
        max_parallel_tasks=8,
        requests_in_flight=16,
        reports="file:///opt/airflow/credential_rotation",
        snowflake_check=True,
        proof_minutes=120.0,
        renew_schedule="17 */6 * * *",
        token_store="variable",
        tableau_conn_ids=("tableau_default",),
        snowflake_conn_ids=("snowflake_pat",),
    )


def test_each_can_be_set() -> None:
    settings = Settings.from_environment(
        {
            "CREDENTIAL_ROTATION_SCHEDULE": " 0 4 * * * ",
            "CREDENTIAL_ROTATION_MAX_PARALLEL_TASKS": "4",
            "CREDENTIAL_ROTATION_REQUESTS_IN_FLIGHT": " 32 ",
            "CREDENTIAL_ROTATION_REPORTS": " memory://bucket/reports/ ",
            "CREDENTIAL_ROTATION_SNOWFLAKE_CHECK": " Off ",
            "CREDENTIAL_ROTATION_PROOF_MINUTES": " 7.5 ",
            "CREDENTIAL_ROTATION_FULL_SWEEP_EVERY": "7",
            "CREDENTIAL_ROTATION_RENEW_SCHEDULE": " 0 3 * * 1 ",
            "CREDENTIAL_ROTATION_TOKEN_STORE": " elsewhere ",
            "CREDENTIAL_ROTATION_TABLEAU_CONN_IDS": " one, ,two,",
            "CREDENTIAL_ROTATION_SNOWFLAKE_CONN_IDS": "etl",
        }
    )
    assert settings == Settings(
        schedule="0 4 * * *",
        max_parallel_tasks=4,
        requests_in_flight=32,
        reports="memory://bucket/reports",
        snowflake_check=False,
        proof_minutes=7.5,
        renew_schedule="0 3 * * 1",
        token_store="elsewhere",
        tableau_conn_ids=("one", "two"),
        snowflake_conn_ids=("etl",),
        full_sweep_every=7,
    )


def test_the_renewal_can_be_left_to_people() -> None:
    assert Settings.from_environment({"CREDENTIAL_ROTATION_RENEW_SCHEDULE": " Off "}).renew_schedule is None


def test_between_commas_only_there_are_the_names_by_default() -> None:
    settings = Settings.from_environment({"CREDENTIAL_ROTATION_SNOWFLAKE_CONN_IDS": " , "})
    assert settings.snowflake_conn_ids == ("snowflake_pat",)


@pytest.mark.parametrize(
    "name",
    [
        "SCHEDULE",
        "MAX_PARALLEL_TASKS",
        "REQUESTS_IN_FLIGHT",
        "REPORTS",
        "SNOWFLAKE_CHECK",
        "PROOF_MINUTES",
        "FULL_SWEEP_EVERY",
        "RENEW_SCHEDULE",
        "TOKEN_STORE",
        "TABLEAU_CONN_IDS",
        "SNOWFLAKE_CONN_IDS",
    ],
)
def test_an_empty_one_is_as_good_as_none(name: str) -> None:
    assert Settings.from_environment({f"CREDENTIAL_ROTATION_{name}": " "}) == Settings.from_environment({})


@pytest.mark.parametrize(("in_flight", "tasks", "each"), [(16, 8, 2), (10, 4, 2), (4, 8, 1), (1, 1, 1)])
def test_parallel_tasks_share_the_requests_in_flight(in_flight: int, tasks: int, each: int) -> None:
    settings = Settings.from_environment(
        {
            "CREDENTIAL_ROTATION_MAX_PARALLEL_TASKS": str(tasks),
            "CREDENTIAL_ROTATION_REQUESTS_IN_FLIGHT": str(in_flight),
        }
    )
    assert settings.in_flight_per_task == each
    assert settings.parallel_tasks * settings.in_flight_per_task <= in_flight


def test_a_plain_path_for_reports_becomes_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert Settings.from_environment({"CREDENTIAL_ROTATION_REPORTS": "~/x"}).reports == "file:///home/ann/x"
    assert Settings.from_environment({}).reports == "file:///home/ann/airflow/credential_rotation"


@pytest.mark.parametrize("name", ["MAX_PARALLEL_TASKS", "REQUESTS_IN_FLIGHT", "FULL_SWEEP_EVERY"])
@pytest.mark.parametrize("value", ["0", "-1", "eight", "1.5", "100000", "²"])
def test_a_number_that_is_none_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UnusableEnvironment, match=f"CREDENTIAL_ROTATION_{name} must be a number from 1 to"):
        Settings.from_environment({f"CREDENTIAL_ROTATION_{name}": value})


@pytest.mark.parametrize("value", ["0", "-1", "eight", "1441", "nan", "inf", "1e9", "1,5", "1:30"])
def test_minutes_that_are_none_are_refused_by_name(value: str) -> None:
    with pytest.raises(UnusableEnvironment, match="CREDENTIAL_ROTATION_PROOF_MINUTES must be a number of minutes"):
        Settings.from_environment({"CREDENTIAL_ROTATION_PROOF_MINUTES": value})


@pytest.mark.parametrize("value", ["yes", "true", "1", "onoff"])
def test_a_switch_that_is_neither_on_nor_off_is_refused_by_name(value: str) -> None:
    with pytest.raises(UnusableEnvironment, match="CREDENTIAL_ROTATION_SNOWFLAKE_CHECK must be on or off"):
        Settings.from_environment({"CREDENTIAL_ROTATION_SNOWFLAKE_CHECK": value})
