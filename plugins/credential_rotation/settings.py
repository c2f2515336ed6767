"""Settings out of the environment: read when Airflow parses the DAG files, all optional."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "CREDENTIAL_ROTATION_"
# Twelve looks within the usual overlap of 72 hours, so that what one run can't finish is seen to in time.
RENEW_SCHEDULE = "17 */6 * * *"
_MOST_TASKS, _MOST_IN_FLIGHT, _MOST_RUNS, _MOST_MINUTES = 256, 1024, 1000, 24 * 60


class UnusableEnvironment(ValueError):
    """An environment variable holds something that can't be used. Airflow shows this as an import error of the DAG."""


def _says(means: str, takes: str, default: str | None = None) -> dict[str, str]:
    """What docs/reference.md says of a setting; ``default`` where the value itself would not tell."""
    return {"means": means, "takes": takes} | ({"default": default} if default else {})


@dataclass(frozen=True)
class Settings:
    """Each field is the environment variable of its name in capitals; its metadata is what the docs say of it."""

    schedule: str | None = field(
        metadata=_says(
            "Regular runs of `rotate_snowflake_pat_in_tableau`, besides those that a renewal starts: they repair what "
            "people publish with an old secret.",
            "a cron expression, in UTC",
            "none",
        )
    )
    max_parallel_tasks: int = field(
        metadata=_says(
            "Mapped update tasks at a time. Airflow needs as many free slots, or fewer run.",
            f"a number from 1 to {_MOST_TASKS}",
        )
    )
    requests_in_flight: int = field(
        metadata=_says("Requests to Tableau at a time, for the whole run.", f"a number from 1 to {_MOST_IN_FLIGHT}")
    )
    reports: str = field(
        metadata=_says(
            "Where reports, working files and what is remembered go. With tasks on several hosts it must be a shared "
            "folder or a bucket.",
            "a folder, or a URL of an object store that Airflow knows",
            "the folder `credential_rotation` below `AIRFLOW_HOME`",
        )
    )
    snowflake_check: bool = field(
        metadata=_says(
            "Whether each token signs in to Snowflake from Airflow before anything is written. `off` where Airflow "
            "can't reach Snowflake.",
            "`on` or `off`",
            "`on`",
        )
    )
    proof_minutes: float = field(
        metadata=_says(
            "How long a proof, such as a refresh, is waited for before it counts as failed.",
            f"minutes, at most {_MOST_MINUTES}",
        )
    )
    renew_schedule: str | None = field(
        default=RENEW_SCHEDULE,
        metadata=_says("When `renew_snowflake_pat` runs.", "a cron expression or preset, or `off`: never by itself"),
    )
    notifier: str | None = field(
        default=None,
        metadata=_says(
            "One message for each run of either DAG, by any notifier of Airflow's: [Messages](monitoring.md#messages).",
            "JSON with `class` and `kwargs`",
            "none",
        ),
    )
    token_store: str = field(
        default="variable",
        metadata=_says(
            "Where renewed tokens are kept: [Where secrets are kept](renewal.md#where-secrets-are-kept).",
            "`variable`, or `aws-secrets-manager://<Airflow connection>/<prefix>`",
        ),
    )
    tableau_conn_ids: tuple[str, ...] = field(
        default=("tableau_default",),
        metadata=_says("The Tableau connections of a run that nobody told otherwise.", "ids, with commas between"),
    )
    snowflake_conn_ids: tuple[str, ...] = field(
        default=("snowflake_pat",),
        metadata=_says(
            "The Snowflake connections of a run that nobody told otherwise, of both DAGs.", "ids, with commas between"
        ),
    )
    full_sweep_every: int = field(
        default=1,
        metadata=_says(
            "Every so many runs each item is asked for its connections; between, only those that changed: "
            "[Fewer questions](speed.md#fewer-questions).",
            f"a number from 1 to {_MOST_RUNS}",
        ),
    )

    @property
    def parallel_tasks(self) -> int:
        """How many tasks may ask Tableau at a time: no more than there may be requests in flight."""
        return min(self.max_parallel_tasks, self.requests_in_flight)

    @property
    def in_flight_per_task(self) -> int:
        """A parallel task's share of the requests in flight."""
        return self.requests_in_flight // self.parallel_tasks

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings.

        :raises UnusableEnvironment: naming the variable
        """
        return cls(
            schedule=environment.get(PREFIX + "SCHEDULE", "").strip() or None,
            max_parallel_tasks=_number(environment, "MAX_PARALLEL_TASKS", 8, most=_MOST_TASKS),
            requests_in_flight=_number(environment, "REQUESTS_IN_FLIGHT", 16, most=_MOST_IN_FLIGHT),
            reports=_reports(environment),
            snowflake_check=_switch(environment, "SNOWFLAKE_CHECK", "on"),
            proof_minutes=_minutes(environment, "PROOF_MINUTES", 120.0),
            renew_schedule=_schedule(environment, "RENEW_SCHEDULE", RENEW_SCHEDULE),
            notifier=environment.get(PREFIX + "NOTIFIER", "").strip() or None,
            token_store=environment.get(PREFIX + "TOKEN_STORE", "").strip() or "variable",
            tableau_conn_ids=_names(environment, "TABLEAU_CONN_IDS", "tableau_default"),
            snowflake_conn_ids=_names(environment, "SNOWFLAKE_CONN_IDS", "snowflake_pat"),
            full_sweep_every=_number(environment, "FULL_SWEEP_EVERY", 1, most=_MOST_RUNS),
        )


def home(environment: Mapping[str, str] = os.environ) -> Path:
    """This package's own folder below ``AIRFLOW_HOME``."""
    return Path(environment.get("AIRFLOW_HOME") or "~/airflow").expanduser().absolute() / "credential_rotation"


def _reports(environment: Mapping[str, str]) -> str:
    """Where reports go, as a URL: the setting, which may be a plain path, else this package's own folder."""
    setting = environment.get(PREFIX + "REPORTS", "").strip().rstrip("/")
    if not setting:
        return f"file://{home(environment)}"
    return setting if "://" in setting else f"file://{Path(setting).expanduser().absolute()}"


def _number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environment.get(PREFIX + name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise UnusableEnvironment(f"{PREFIX}{name} must be a number from 1 to {most}, but is {text!r}.")
    return int(text)


def _schedule(environment: Mapping[str, str], name: str, default: str) -> str | None:
    """A schedule; ``off`` where there is to be none, though there is one by default."""
    text = environment.get(PREFIX + name, "").strip() or default
    return None if text.lower() == "off" else text


def _names(environment: Mapping[str, str], name: str, default: str) -> tuple[str, ...]:
    """Names between commas."""
    names = tuple(each.strip() for each in environment.get(PREFIX + name, "").split(",") if each.strip())
    return names or (default,)


def _switch(environment: Mapping[str, str], name: str, default: str) -> bool:
    text = environment.get(PREFIX + name, "").strip().lower() or default
    if text not in ("on", "off"):
        raise UnusableEnvironment(f"{PREFIX}{name} must be on or off, but is {text!r}.")
    return text == "on"


def _minutes(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(PREFIX + name, "").strip()
    try:
        minutes = float(text) if text else default
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= _MOST_MINUTES:
        raise UnusableEnvironment(f"{PREFIX}{name} must be a number of minutes, at most a day, but is {text!r}.")
    return minutes
