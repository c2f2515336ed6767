"""What any task of this package learns from Airflow, and how it leaves word of what goes wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property

from airflow.sdk import get_current_context

from credential_rotation.fingerprint import Fingerprints, NoFingerprints, fingerprints
from credential_rotation.hooks.snowflake import SnowflakeDriverMissing
from credential_rotation.plan_files import PlanReplaced
from credential_rotation.renewal.step import RenewalFailed
from credential_rotation.renewal.tokens import UnexpectedAnswer
from credential_rotation.renewals import Renewals
from credential_rotation.retry_policy import RunIsRed
from credential_rotation.rotation.credentials import UnusableCredential
from credential_rotation.rotation.selection import SelectionError
from credential_rotation.rotation.snowflake_words import SnowflakeRefused, SnowflakeUnreachable
from credential_rotation.rotation.wrong_input import UnusableParams
from credential_rotation.run_folder import FilesNotShared, RunFolder
from credential_rotation.settings import Settings, UnusableEnvironment
from credential_rotation.site_files import OutdatedInventory
from credential_rotation.tableau.errors import TableauError
from credential_rotation.token_stores.chosen import chosen_store
from credential_rotation.token_stores.kept import StoreUnusable, TokenStore

log = logging.getLogger(__name__)

# Of any other, the text may hold anything; its class says enough.
_IN_WORDS_FOR_PEOPLE = (
    TableauError,
    UnusableParams,
    UnusableCredential,
    UnusableEnvironment,
    SelectionError,
    FilesNotShared,
    OutdatedInventory,
    PlanReplaced,
    NoFingerprints,
    StoreUnusable,
    SnowflakeRefused,
    SnowflakeUnreachable,
    SnowflakeDriverMissing,
    UnexpectedAnswer,
    RenewalFailed,
    RunIsRed,
)


def in_words(problem: BaseException) -> str:
    """What a problem says, if it is one of those that are written for people; else its class."""
    return str(problem) if isinstance(problem, _IN_WORDS_FOR_PEOPLE) else type(problem).__name__


class RunningTask:
    """The task instance that is running."""

    def __init__(self) -> None:
        context = get_current_context()
        self.instance, self._dag_run = context["ti"], context["dag_run"]
        self._params = context["params"]
        self.run_id: str = self.instance.run_id
        self.map_index = self.instance.map_index if self.instance.map_index is not None else -1
        self.settings = Settings.from_environment()
        self.folder = RunFolder(self.instance.dag_id, self.run_id, self.settings.reports)

    @property
    def dry_run(self) -> bool:
        """Whether the run was to write nothing, whatever else is wrong with its params."""
        return bool(self._params.get("dry_run"))

    @property
    def is_last_try(self) -> bool:
        """Whether Airflow will not try this task again by itself."""
        return bool(self.instance.try_number > self.instance.max_tries)

    @property
    def name(self) -> str:
        """Tells this task from the others of its run."""
        return self.instance.task_id + (f"-{self.map_index}" if self.map_index >= 0 else "")

    @property
    def started_at(self) -> datetime | None:
        """When the run was started; or again, since a person cleared tasks of it after it had ended."""
        started: datetime | None = self._dag_run.start_date
        return started

    @property
    def seconds(self) -> float:
        """How long the run takes so far."""
        return time.time() - self.started_at.timestamp() if self.started_at else 0.0

    @property
    def run(self) -> str:
        """Names the run among all runs of all DAGs."""
        return f"{self.instance.dag_id}/{self.run_id}"

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """By which tokens are recognised without being kept."""
        return fingerprints()

    @cached_property
    def store(self) -> TokenStore:
        """Where renewed tokens are kept."""
        return chosen_store(self.settings)

    @property
    def renewals(self) -> Renewals:
        """What is known of renewed tokens besides their secrets."""
        return Renewals(self.settings.reports)

    @contextmanager
    def telling_problems(self) -> Iterator[None]:
        """Leave what goes wrong for the report: where this task fails, nothing else does."""
        name = f"work/problems/{self.name}.json"
        try:
            yield
        except BaseException as problem:  # among them Airflow's time limit
            try:
                self.folder.write(name, f"{self.name}: {in_words(problem)}")
            except Exception:  # whatever a file system or object store raises; it must not stand in the problem's place
                log.warning("What went wrong can't be left for the report.", exc_info=True)
            raise
        self.folder.remove(name)

    def check_folder(self) -> None:
        """Make sure that the files of the run can be written, before hours are spent on what to write.

        :raises UnusableParams: when they can't
        """
        try:
            self.folder.write("work/run.json", {"run_id": self.run_id})
        except Exception as problem:  # whatever a file system or object store raises
            raise UnusableParams(
                f"Reports can't be written to {self.settings.reports} ({type(problem).__name__}: {problem}). Set "
                "CREDENTIAL_ROTATION_REPORTS to a folder or bucket that tasks may write to."
            ) from problem

    def problems(self) -> list[str]:
        """What other tasks of the run left."""
        return [str(self.folder.read(name)) for name in self.folder.names("work/problems")]
