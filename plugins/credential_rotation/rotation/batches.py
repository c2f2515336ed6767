"""How targets are dealt out to mapped tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.wrong_input import UnusableParams

# Airflow spends about a second on each mapped task: one connection per task is the clearest, and cheap up to here.
MOST_SINGLE_TASKS = 120
# Past it, a task is to be worth its second: 100 updates take Tableau Cloud 20 seconds, two at a time. (2,000 items with
# 667 targets took 104 s in 48 tasks, and 60 s in 8.)
LEAST_IN_A_BATCH = 100
# ... but that many tasks still show where a long run is.
MOST_BATCHES = 48
# As many as the setting CREDENTIAL_ROTATION_MAX_PARALLEL_TASKS, by default.
PARALLEL = 8
# Airflow refuses to map over more (core.max_map_length), by failing the task before.
MOST_TASKS = 1000
# Airflow's column for labels; PostgreSQL refuses more, and so a task would fail after its work is done.
LONGEST_LABEL = 250


@dataclass(frozen=True)
class Batch:
    """Targets on one site, for one mapped task."""

    label: str
    targets: tuple[ConnectionRecord, ...]


def split(targets: Sequence[ConnectionRecord], per_task: int | None = None, *, parallel: int = PARALLEL) -> list[Batch]:
    """Deal the targets out: one to a task while these are few, else in batches.

    Connections of the same item are always in one task, since Tableau must be asked to change them one after the other
    (server-client-python #1305).

    :param per_task: connections in one task; None: chosen by the number of targets
    :param parallel: how many tasks may run at once; batches come in rounds of so many, so that no slot is idle
    :raises UnusableParams: when that would be more tasks than Airflow can map
    """
    size = per_task or _chosen_size(len(targets), parallel)
    batches: list[Batch] = []
    groups: dict[str, list[ConnectionRecord]] = {}
    for target in targets:
        groups.setdefault(target.tableau_conn_id, []).append(target)
    for group in groups.values():
        batches += [Batch(label_of(part), part) for part in _with_siblings_together(group, size)]
    if len(batches) > MOST_TASKS:
        raise UnusableParams(
            f"connections_per_task: {size} makes {len(batches)} tasks of {len(targets)} targets, but Airflow can map "
            f"{MOST_TASKS} at most. Leave it empty, or set it to {-(-len(targets) // MOST_BATCHES)}."
        )
    return batches


def _chosen_size(count: int, parallel: int) -> int:
    if count <= MOST_SINGLE_TASKS:
        return 1
    rounds = min(count // LEAST_IN_A_BATCH, MOST_BATCHES) // parallel
    return -(-count // (max(1, rounds) * parallel))


def _with_siblings_together(group: list[ConnectionRecord], size: int) -> list[tuple[ConnectionRecord, ...]]:
    """Parts of ``size``, or a little more: a part does not end within an item."""
    parts: list[list[ConnectionRecord]] = []
    for target in _by_item(group):
        if not parts or (len(parts[-1]) >= size and parts[-1][-1].content_id != target.content_id):
            parts.append([])
        parts[-1].append(target)
    return [tuple(part) for part in parts]


def _by_item(group: list[ConnectionRecord]) -> list[ConnectionRecord]:
    return sorted(group, key=lambda target: (target.project, target.content_name, target.content_id))


def label_of(targets: Sequence[ConnectionRecord]) -> str:
    """What the UI shows of a mapped task: "Sales › Orders · ETL_USER"."""
    first, last = targets[0], targets[-1]
    label = f"{first.title} · {', '.join(dict.fromkeys(target.username for target in targets))}"
    if last.content_id != first.content_id:
        label = f"{len(targets)} connections · {first.title} … {last.title}"
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
