"""The plan of a run as files: what is decided on each connection, for which tokens, and how targets are dealt out."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from credential_rotation.fingerprint import Fingerprints
from credential_rotation.rotation.credentials import SnowflakeCredential, UnusableCredential
from credential_rotation.rotation.ledger import Secrets
from credential_rotation.rotation.records import ConnectionRecord, with_their_items
from credential_rotation.run_folder import FilesNotShared, RunFolder, each_made

_PLAN, _PLANS = "work/plan.json", "work/plans"


@dataclass(frozen=True)
class Plan:
    """What ``filter_connections`` decided.

    ``content`` counts the items that were looked at; ``problems`` make the run red though all targets be updated;
    ``sites`` are the keys of the sites that the Tableau connections lead to; ``not_looked_at`` says what could not be
    listed, so that it is not known whether there is any.
    """

    plan_id: str
    content: int
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    records: tuple[ConnectionRecord, ...]
    sites: Mapping[str, str] = field(default_factory=dict)
    not_looked_at: tuple[str, ...] = ()

    @property
    def targets(self) -> list[ConnectionRecord]:
        """The connections that some credential claims."""
        return [record for record in self.records if record.is_target]

    @property
    def to_update(self) -> list[ConnectionRecord]:
        """The targets that are not known to be as they should be."""
        return [target for target in self.targets if target.outcome is None]

    def left(self, records: Iterable[ConnectionRecord]) -> list[ConnectionRecord]:
        """The targets that are to be updated once all canaries have ended, with what is known of each.

        :param records: the latest of each connection that a task has begun with, canaries among them; there are more
            than those of canaries when somebody has cleared tasks: what is done is not done again
        """
        latest = {record.key: record for record in records}
        passed = {record.snowflake_conn_id for record in latest.values() if record.canary and record.is_validated}
        known = [latest.get(target.key, target) for target in self.to_update if target.snowflake_conn_id in passed]
        return with_their_items([record for record in known if not record.is_well and not record.canary], known)


@dataclass(frozen=True)
class PlannedCredential:
    """The user of a credential, the fingerprints of its secrets, and the user names that it replaces in Tableau."""

    login: str
    secrets: Secrets
    usernames: Sequence[str] = ()


class PlanReplaced(ValueError):
    """A task belongs to a plan that is not the run's any more, or that was made for another site."""


def check_plan(folder: RunFolder, plan_id: str, tableau_conn_id: str, site_key: str) -> None:
    """Make sure, before anything is written, that a task's plan is still the run's, and made for this very site.

    :param site_key: where the Airflow connection leads now
    :raises PlanReplaced: when it is not
    """
    current, sites = find_sites(folder)
    if current != plan_id:
        raise PlanReplaced(
            "The plan that this task belongs to is not this run's any more, since a task before it was cleared. "
            "Nothing was written. Clear filter_connections and everything downstream."
        )
    check_site(sites, tableau_conn_id, site_key)


def check_site(sites: Mapping[str, str], tableau_conn_id: str, site_key: str) -> None:
    """Make sure that an Airflow connection leads to the site that the run has read.

    :raises PlanReplaced: when it does not
    """
    if sites.get(tableau_conn_id, site_key) != site_key:
        raise PlanReplaced(
            f"The Airflow connection '{tableau_conn_id}' leads to another Tableau site than when this run read it. "
            "Nothing was written there. Start a new run."
        )


def write_plan(
    folder: RunFolder, plan: Plan, credentials: Iterable[SnowflakeCredential], fingerprints: Fingerprints
) -> None:
    """Write a plan, which from now on is the run's."""
    planned = {
        each.conn_id: PlannedCredential(each.login, secrets_of(each, fingerprints), sorted(each.usernames))
        for each in credentials
    }
    secrets = {conn_id: asdict(each) for conn_id, each in planned.items()}
    folder.write(_kept(plan.plan_id), {"sites": plan.sites, "credentials": secrets})
    folder.write(
        _PLAN,
        {
            "plan_id": plan.plan_id,
            "content": plan.content,
            "notes": plan.notes,
            "problems": plan.problems,
            "not_looked_at": plan.not_looked_at,
            "records": plan.records,  # the last, so that the rest can be read without them
        },
    )


def secrets_of(credential: SnowflakeCredential, fingerprints: Fingerprints) -> Secrets:
    """The fingerprints of a credential's secrets."""
    previous = fingerprints.of(credential.previous) if credential.previous else None
    return Secrets(fingerprints.of(credential.token), previous)


def drop_plan(folder: RunFolder) -> None:
    """Forget what is decided: a run that is started again must not end by that. What it has led to stays known."""
    folder.remove(_PLAN)


def plans_of(folder: RunFolder) -> list[str]:
    """The ids of all plans that a run ever had, the first one first."""
    return [name.removeprefix(f"{_PLANS}/").removesuffix(".json") for name in folder.names(_PLANS)]


def new_plan_id(folder: RunFolder) -> str:
    """The id of the next plan of a run, which sorts after those before it."""
    return f"{len(plans_of(folder)) + 1:04}-{uuid.uuid4().hex[:8]}"


def find_plan(folder: RunFolder) -> Plan | None:
    """The plan of the run; None where there is none."""
    values = folder.read(_PLAN)
    if values is None:
        return None
    records = tuple(each_made(ConnectionRecord.from_dict, values["records"]))
    return Plan(
        plan_id=values["plan_id"],
        content=values["content"],
        notes=tuple(values["notes"]),
        problems=tuple(values["problems"]),
        records=records,
        sites=read_sites(folder, values["plan_id"]),
        not_looked_at=tuple(values["not_looked_at"]),
    )


def find_sites(folder: RunFolder) -> tuple[str, dict[str, str]]:
    """The id of the run's plan, and the keys of its sites; without the records, which may be many."""
    plan_id = folder.head(_PLAN, before="records").get("plan_id", "")
    return plan_id, read_sites(folder, plan_id)


def read_plan(folder: RunFolder) -> Plan:
    """The plan of the run.

    :raises FilesNotShared: when it is not there
    """
    plan = find_plan(folder)
    if plan is None:
        raise FilesNotShared("The plan of the run")
    return plan


def read_sites(folder: RunFolder, plan_id: str) -> dict[str, str]:
    """The keys of a plan's sites, by the id of their Airflow connection."""
    sites: dict[str, str] = (folder.read(_kept(plan_id)) or {}).get("sites", {})
    return sites


def read_secrets(folder: RunFolder, plan_id: str) -> dict[str, PlannedCredential]:
    """The credentials of a plan, by the id of their Airflow connection."""
    return {
        conn_id: PlannedCredential(values["login"], Secrets(**values["secrets"]), tuple(values.get("usernames", ())))
        for conn_id, values in (folder.read(_kept(plan_id)) or {}).get("credentials", {}).items()
    }


def check_token(folder: RunFolder, plan_id: str, credential: SnowflakeCredential, fingerprints: Fingerprints) -> None:
    """Make sure that a credential's token is still the one that the plan is for, and that its canary proved.

    :raises UnusableCredential: when it was changed meanwhile
    """
    known = read_secrets(folder, plan_id).get(credential.conn_id)
    if known is None:
        raise FilesNotShared(f"What the plan says of '{credential.conn_id}'")
    if known.secrets.token != fingerprints.of(credential.token):
        raise UnusableCredential(
            f"Airflow connection '{credential.conn_id}': the token was changed after this run had validated it. Start "
            "a new run, or clear discover and everything downstream."
        )


def write_batch(folder: RunFolder, plan_id: str, targets: Sequence[ConnectionRecord]) -> str:
    """Write the targets of a mapped task; their name, which is the same for the same targets."""
    keys = "\n".join(sorted(target.key for target in targets))
    batch = hashlib.sha256(keys.encode()).hexdigest()[:16]
    folder.write(f"{_batches(plan_id)}/{batch}.json", list(targets))
    return batch


def read_batch(folder: RunFolder, plan_id: str, batch: str) -> list[ConnectionRecord]:
    """The targets of a mapped task.

    :raises FilesNotShared: when they are not there
    """
    values = folder.read(f"{_batches(plan_id)}/{batch}.json")
    if values is None:
        raise FilesNotShared("The list of this task's targets")
    return [ConnectionRecord.from_dict(each) for each in values]


def read_batches(folder: RunFolder, plan_id: str) -> Iterator[ConnectionRecord]:
    """The targets of all mapped tasks of a plan."""
    for name in folder.names(_batches(plan_id)):
        yield from map(ConnectionRecord.from_dict, folder.read(name) or ())


def _kept(plan_id: str) -> str:
    return f"{_PLANS}/{plan_id}.json"


def _batches(plan_id: str) -> str:
    return f"work/{plan_id}/batches"
