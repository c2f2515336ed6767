"""The asset that a rotation emits, for what is to follow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

from credential_rotation.harmless import harmless
from credential_rotation.rotation.outcomes import OF_A_RUN_THAT_WRITES
from credential_rotation.task_context import ThisTask

if TYPE_CHECKING:
    from airflow.sdk import Context

ROTATED = Asset("snowflake_pat_in_tableau")
# What a task has for an outlet: a task with the asset itself emits an event whenever it is green, after a dry run, too.
ROTATED_IF_WRITTEN = AssetAlias("snowflake_pat_in_tableau")


def emit_rotated(context: Context, task: ThisTask, brief: Mapping[str, Any]) -> None:
    """Emit the asset, if the task ends well: the run was green. After a dry run or a roll-back, nothing is.

    :param brief: the report without the connections
    """
    if task.dry_run or task.params.roll_back:
        return
    with harmless("The asset event of this run could not be emitted."):
        extra = {
            "run_id": task.run_id,
            "snowflake_conn_ids": task.params.snowflake_conn_ids,
            "tableau_conn_ids": task.params.tableau_conn_ids,
            # Nothing went wrong in a green run: what was not narrowed saw all there is.
            "whole": task.params.is_whole and not brief["not_looked_at"],
            "targets": brief["summary"]["targets"],
            **{str(outcome): brief["summary"][outcome] for outcome in OF_A_RUN_THAT_WRITES},
        }
        context["outlet_events"][ROTATED_IF_WRITTEN].add(ROTATED, extra=extra)
