"""What may happen to runs of the rotation, step by step. A step that is not possible just now changes nothing.

The values print as the code that makes them: a sequence that failed can be copied into a test.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields

from tests.credential_rotation.sequences.dying import Point

# The tasks that a person may clear, and all those that failed or were skipped, as the docs advise.
FAILED = "what failed"
# Of all items the one that a run updated last: where most can go wrong.
LATEST = "what was updated last"
TASKS = (
    "check_params",
    "discover",
    "filter_connections",
    "validate_one",
    "approve",
    "plan_updates",
    "update_connections",
    "report",
    "sign_out",
)


class _AsCode:
    """Prints what differs from the defaults."""

    def __repr__(self) -> str:
        values = [(each, getattr(self, each.name)) for each in fields(self)]  # type: ignore[arg-type]
        told = [f"{each.name}={value!r}" for each, value in values if each.default is MISSING or value != each.default]
        return f"{type(self).__name__}({', '.join(told)})"


@dataclass(frozen=True, repr=False)
class Republish(_AsCode):
    """Somebody publishes an item again: with a secret of before all tokens, or one that its author typed."""

    item: str = LATEST
    new_ids: bool = False
    by_author: bool = False


@dataclass(frozen=True, repr=False)
class ChangeToken(_AsCode):
    """A person writes a new token into the Airflow connection, and the one before into its extra."""

    credential: str


@dataclass(frozen=True, repr=False)
class RePoint(_AsCode):
    """A person lets the Airflow connection lead to the other site."""


@dataclass(frozen=True, repr=False)
class Clear(_AsCode):
    """A person clears a task of the run that runs, else of the latest one; the run then continues.

    :param index: only the mapped task of this index
    :param earlier: of the run before the latest
    """

    task_id: str
    downstream: bool = True
    index: int | None = None
    earlier: bool = False
    incident: Incident | None = None


@dataclass(frozen=True, repr=False)
class Incident(_AsCode):
    """A process is killed at a point, for the first time in this step that it comes to it.

    :param number: which request, update or file of the task it is, over all its tries and mapped tasks
    :param meanwhile: what happens before Airflow notices
    :param ends: whether a person gives the run up, which ends it; else Airflow tries the task again
    :param kills: False: nothing is killed; ``meanwhile`` happens while the task works, and so do tasks of the run that
        are ready. Not at requests, where a task may be signing in, for which others wait
    """

    task_id: str
    point: Point
    number: int = 1
    meanwhile: tuple[Republish | ChangeToken | RePoint | Clear, ...] = ()
    ends: bool = False
    kills: bool = True


@dataclass(frozen=True, repr=False)
class Run(_AsCode):
    """A run of the DAG.

    :param only: a run of this credential alone
    :param validate_on: the item with the canaries
    :param saves_each: whether the journal of a batch is saved after each connection, as it is where these take seconds
    """

    roll_back: bool = False
    only: str | None = None
    connections_per_task: int | None = None
    saves_each: bool = False
    canary_proof: str = "saved"
    force: bool = False
    validate_on: str | None = None
    incident: Incident | None = None


Step = Run | Clear | Republish | ChangeToken | RePoint
