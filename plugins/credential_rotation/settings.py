"""Settings out of the environment: read when Airflow parses the DAG files, all optional."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "CREDENTIAL_ROTATION_"


class UnusableEnvironment(ValueError):
    """An environment variable holds something that can't be used. Airflow shows this as an import error of the DAG."""


@dataclass(frozen=True)
class Settings:
    """See the table in the README."""

    schedule: str | None
    max_parallel_tasks: int
    requests_in_flight: int
    reports: str
    snowflake_check: bool
    proof_minutes: float
    renew_schedule: str | None = "@daily"
    notifier: str | None = None
    token_store: str = "variable"  # noqa: S105 (the name of a place)
    tableau_conn_ids: tuple[str, ...] = ("tableau_default",)
    snowflake_conn_ids: tuple[str, ...] = ("snowflake_pat",)
    full_sweep_every: int = 1

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
            schedule=environment.get(_PREFIX + "SCHEDULE", "").strip() or None,
            max_parallel_tasks=_number(environment, "MAX_PARALLEL_TASKS", 8, most=256),
            requests_in_flight=_number(environment, "REQUESTS_IN_FLIGHT", 16, most=1024),
            reports=_reports(environment),
            snowflake_check=_switch(environment, "SNOWFLAKE_CHECK", "on"),
            proof_minutes=_minutes(environment, "PROOF_MINUTES", 120.0),
            renew_schedule=_schedule(environment, "RENEW_SCHEDULE", "@daily"),
            notifier=environment.get(_PREFIX + "NOTIFIER", "").strip() or None,
            token_store=environment.get(_PREFIX + "TOKEN_STORE", "").strip() or "variable",
            tableau_conn_ids=_names(environment, "TABLEAU_CONN_IDS", "tableau_default"),
            snowflake_conn_ids=_names(environment, "SNOWFLAKE_CONN_IDS", "snowflake_pat"),
            full_sweep_every=_number(environment, "FULL_SWEEP_EVERY", 1, most=1000),
        )


def home(environment: Mapping[str, str] = os.environ) -> Path:
    """This package's own folder below ``AIRFLOW_HOME``."""
    return Path(environment.get("AIRFLOW_HOME") or "~/airflow").expanduser().absolute() / "credential_rotation"


def _reports(environment: Mapping[str, str]) -> str:
    """Where reports go, as a URL: the setting, which may be a plain path, else this package's own folder."""
    setting = environment.get(_PREFIX + "REPORTS", "").strip().rstrip("/")
    if not setting:
        return f"file://{home(environment)}"
    return setting if "://" in setting else f"file://{Path(setting).expanduser().absolute()}"


def _number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environment.get(_PREFIX + name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise UnusableEnvironment(f"{_PREFIX}{name} must be a number from 1 to {most}, but is {text!r}.")
    return int(text)


def _schedule(environment: Mapping[str, str], name: str, default: str) -> str | None:
    """A schedule; ``off`` where there is to be none, though there is one by default."""
    text = environment.get(_PREFIX + name, "").strip() or default
    return None if text.lower() == "off" else text


def _names(environment: Mapping[str, str], name: str, default: str) -> tuple[str, ...]:
    """Names between commas."""
    names = tuple(each.strip() for each in environment.get(_PREFIX + name, "").split(",") if each.strip())
    return names or (default,)


def _switch(environment: Mapping[str, str], name: str, default: str) -> bool:
    text = environment.get(_PREFIX + name, "").strip().lower() or default
    if text not in ("on", "off"):
        raise UnusableEnvironment(f"{_PREFIX}{name} must be on or off, but is {text!r}.")
    return text == "on"


def _minutes(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(_PREFIX + name, "").strip()
    try:
        minutes = float(text) if text else default
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= 24 * 60:
        raise UnusableEnvironment(f"{_PREFIX}{name} must be a number of minutes, at most a day, but is {text!r}.")
    return minutes
