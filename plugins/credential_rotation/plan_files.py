"""The plan of a run as files: what is decided on each connection, for which tokens, and how targets are dealt out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from credential_rotation.fingerprint import fingerprint, is_of
from credential_rotation.rotation.credentials import SnowflakeCredential, UnusableCredential
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.run_folder import FilesNotShared, RunFolder

_PLAN = "work/plan.json"


@dataclass(frozen=True)
class Plan:
    """What ``filter_connections`` decided.

    ``content`` counts the items that were looked at; ``problems`` make the run red though all targets be updated.
    """

    plan_id: str
    content: int
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    records: tuple[ConnectionRecord, ...]

    @property
    def targets(self) -> list[ConnectionRecord]:
        """The connections that some credential claims."""
        return [record for record in self.records if record.is_target]


def write_plan(folder: RunFolder, plan: Plan, credentials: Iterable[SnowflakeCredential]) -> None:
    """Write a plan, which from now on is the run's."""
    folder.write(_tokens(plan.plan_id), {each.conn_id: fingerprint(each.token) for each in credentials})
    folder.write(
        _PLAN,
        {
            "plan_id": plan.plan_id,
            "content": plan.content,
            "notes": plan.notes,
            "problems": plan.problems,
            "records": [record.as_dict() for record in plan.records],
        },
    )


def drop_plan(folder: RunFolder) -> None:
    """Forget the plan: a run that is started again must not end by what it once decided."""
    folder.remove(_PLAN)


def find_plan(folder: RunFolder) -> Plan | None:
    """The plan of the run; None where there is none."""
    values = folder.read(_PLAN)
    if values is None:
        return None
    records = tuple(ConnectionRecord.from_dict(each) for each in values["records"])
    return Plan(values["plan_id"], values["content"], tuple(values["notes"]), tuple(values["problems"]), records)


def read_plan(folder: RunFolder) -> Plan:
    """The plan of the run.

    :raises FilesNotShared: when it is not there
    """
    plan = find_plan(folder)
    if plan is None:
        raise FilesNotShared("The plan of the run")
    return plan


def check_token(folder: RunFolder, plan_id: str, credential: SnowflakeCredential) -> None:
    """Make sure that a credential's token is still the one that the plan is for, and that its canary proved.

    :raises UnusableCredential: when it was changed meanwhile
    """
    known = (folder.read(_tokens(plan_id)) or {}).get(credential.conn_id)
    if known is None:
        raise FilesNotShared(f"What the plan says of '{credential.conn_id}'")
    if not is_of(known, credential.token):
        raise UnusableCredential(
            f"Airflow connection '{credential.conn_id}': the token was changed after this run had validated it. Start "
            "a new run, or clear filter_connections and what follows."
        )


def write_batch(folder: RunFolder, plan_id: str, targets: Sequence[ConnectionRecord]) -> str:
    """Write the targets of a mapped task; their name, which is the same for the same targets."""
    keys = "\n".join(sorted(target.key for target in targets))
    batch = hashlib.sha256(keys.encode()).hexdigest()[:16]
    folder.write(_batch(plan_id, batch), [target.as_dict() for target in targets])
    return batch


def read_batch(folder: RunFolder, plan_id: str, batch: str) -> list[ConnectionRecord]:
    """The targets of a mapped task.

    :raises FilesNotShared: when they are not there
    """
    values = folder.read(_batch(plan_id, batch))
    if values is None:
        raise FilesNotShared("The list of this task's targets")
    return [ConnectionRecord.from_dict(each) for each in values]


def _tokens(plan_id: str) -> str:
    return f"work/{plan_id}/credentials.json"


def _batch(plan_id: str, batch: str) -> str:
    return f"work/{plan_id}/batches/{batch}.json"
