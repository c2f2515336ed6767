"""The fleet for who may read runs of the rotation, and none of the renewal."""

from __future__ import annotations

from dataclasses import replace

from credential_rotation.fleet.model import Condition, ConditionKind, Fleet, FleetRow
from credential_rotation.pages.wording import counted
from credential_rotation.triggering_events import RENEWAL

# Reasons that only a renewal knows of. That a renewed token is not everywhere yet, a rotation knows, too.
_OF_RENEWALS = {"Expired", "RenewalDue", "RenewalFailed"}


def without_renewals(fleet: Fleet) -> Fleet:
    """How connections stand, and nothing that renewals have found or done."""
    return replace(
        fleet,
        rows=tuple(replace(row, token=None, conditions=_conditions(row)) for row in fleet.rows),
        runs=tuple(run for run in fleet.runs if run.dag_id != RENEWAL),
    )


def _conditions(row: FleetRow) -> tuple[Condition, ...]:
    left = tuple(each for each in row.conditions if each.reason not in _OF_RENEWALS)
    return left or (_standing(row),)


def _standing(row: FleetRow) -> Condition:
    """What a renewal's condition stood in front of."""
    if row.old:
        are = "is" if row.old == 1 else "are"
        message = f"{counted(row.old, 'connection')} {are} not known to embed the token in force."
        return Condition(ConditionKind.DEGRADED, "NotCurrent", message)
    if not row.targets:
        return Condition(ConditionKind.READY, "NoTargets", "No connection on this site embeds this user.")
    return Condition(ConditionKind.READY, "AllCurrent", "Every connection embeds the token in force.")
