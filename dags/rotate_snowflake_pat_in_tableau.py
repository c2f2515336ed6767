"""Rotate the Snowflake credential that Tableau content embeds.

Finds every Tableau connection that embeds one of the given Snowflake users, updates **one** for each user, sees that
Tableau can reach its data with it (or puts the previous secret back), and only then updates the rest, one mapped task
per connection (in batches where there are many). What holds the current token already is left alone.

| task | does | writes to Tableau |
|---|---|---|
| `check_params` | refuses wrong params and Airflow connections | no |
| `discover` | reads every connection of a site | no |
| `filter_connections` | decides which are targets, and why the others are none | no |
| `validate_one` | updates one connection of each Snowflake user, and proves it | one each |
| `approve` | asks a person, with `require_approval` | no |
| `plan_updates` | deals the rest out | no |
| `update_connections` | updates the rest of each user that passed | yes |
| `report` | writes `report.json` and `report.csv`; red unless every target is updated | no |
| `sign_out` | ends the Tableau session of this run | no |

Begin with `{"dry_run": true}`. After fixing the cause of a failure, clear the failed and skipped tasks and everything
downstream: only what is not done is done again. `{"roll_back": true}` puts the previous secret back wherever the
current one was embedded. A run that ends green emits the asset `snowflake_pat_in_tableau`, a dry run excepted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable, dag, task, teardown

from credential_rotation import rotate_tasks
from credential_rotation.approval import LONGEST_WAIT, ApproveUpdates
from credential_rotation.asset_events import ROTATED_IF_WRITTEN
from credential_rotation.dag_params import rotation_params
from credential_rotation.retry_policy import RotationRetryPolicy
from credential_rotation.settings import Settings

settings = Settings.from_environment()
# What `renew_snowflake_pat` emits; besides that, a schedule makes this a regular reconcile.
renewed = Asset("snowflake_pat")
schedule = (
    AssetOrTimeSchedule(timetable=CronTriggerTimetable(settings.schedule, timezone="UTC"), assets=renewed)
    if settings.schedule
    else renewed
)


@dag(
    schedule=schedule,
    catchup=False,
    max_active_runs=1,
    max_active_tasks=max(16, settings.parallel_tasks),
    params=rotation_params(settings),
    default_args={
        "retries": 4,
        "retry_delay": timedelta(seconds=30),
        "retry_policy": RotationRetryPolicy(),
        "execution_timeout": timedelta(hours=6),
    },
    tags=["snowflake", "tableau", "credentials"],
    doc_md=__doc__,
)
def rotate_snowflake_pat_in_tableau() -> None:
    """Find every Tableau connection of the given Snowflake users, update one, prove it, then update the rest."""

    @task
    def check_params() -> list[str]:
        """Refuse wrong input. Asks nothing of Tableau."""
        return rotate_tasks.check_params()

    @task(map_index_template="{{ task.op_kwargs['tableau_conn_id'] }}")
    def discover(tableau_conn_id: str) -> dict[str, Any]:
        """Read every connection of a site. Only reads."""
        return rotate_tasks.discover(tableau_conn_id)

    @task(show_return_value_in_logs=False)
    def filter_connections() -> list[dict[str, Any]]:
        """Decide on every connection. Asks nothing of Tableau."""
        return rotate_tasks.filter_connections()

    @task(
        map_index_template="{{ task.op_kwargs['canary']['label'] }}",
        max_active_tis_per_dagrun=settings.parallel_tasks,
    )
    def validate_one(canary: dict[str, Any]) -> dict[str, Any]:
        """Write to one connection of each credential, one after the other in one item."""
        return rotate_tasks.validate_one(canary)

    @task(show_return_value_in_logs=False)
    def plan_updates() -> list[dict[str, Any]]:
        """Deal the rest out. Asks nothing of Tableau."""
        return rotate_tasks.plan_updates()

    @task(
        map_index_template="{{ task.op_kwargs['batch']['label'] }}",
        max_active_tis_per_dagrun=settings.parallel_tasks,
    )
    def update_connections(batch: dict[str, Any]) -> dict[str, Any]:
        """Write to the connections of one batch."""
        return rotate_tasks.update_connections(batch)

    @task(trigger_rule="all_done", retries=1, outlets=[ROTATED_IF_WRITTEN])
    def report() -> dict[str, Any]:
        """Say what became of each connection; fails when the run must be red."""
        return rotate_tasks.report()

    @teardown
    @task(retries=1)
    def sign_out() -> None:
        """End the Tableau sessions of this run."""
        rotate_tasks.sign_out()

    found = discover.expand(tableau_conn_id=check_params())
    canaries = filter_connections()
    validated = validate_one.expand(canary=canaries)
    approve = ApproveUpdates(
        task_id="approve",
        subject="Update the remaining Tableau connections?",
        trigger_rule="all_done_min_one_success",
        response_timeout=LONGEST_WAIT,
        defaults=ApproveUpdates.REJECT,
    )
    batches = plan_updates()
    updated = update_connections.expand(batch=batches)
    found >> canaries
    # One failed task may hold the canaries of several credentials: those that passed go on though no task did.
    [canaries, validated] >> approve >> batches
    [found, updated] >> report() >> sign_out()


rotate_snowflake_pat_in_tableau()
