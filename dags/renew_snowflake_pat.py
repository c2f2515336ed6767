"""Renew the Snowflake tokens that Tableau embeds, before they expire.

Looks at the tokens of each given Snowflake user, signs in with what Tableau embeds, rotates the tokens that expire
soon, keeps each new secret immediately, tries it as Tableau will use it, and only then makes it the current one. The
asset `snowflake_pat` then starts `rotate_snowflake_pat_in_tableau` for these users, while the previous secret works on
for `overlap_hours`.

| task | does | changes in Snowflake |
|---|---|---|
| `check_params` | refuses wrong params; an Airflow connection that can't be used fails alone | no |
| `look` | sees how the token of each user stands, and signs in once with it | no |
| `renew` | rotates the token of one user, keeps the new secret and tries it | yes |
| `publish` | emits the asset; skipped when no token was renewed | no |
| `report` | writes `report.json`, after another look at what came to no end; red when a person has to act | no |

Begin with `{"dry_run": true}`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, dag, task

from credential_rotation import renew_tasks
from credential_rotation.dag_params import renewal_params
from credential_rotation.retry_policy import RotationRetryPolicy
from credential_rotation.settings import Settings

settings = Settings.from_environment()
renewed = Asset("snowflake_pat")


@dag(
    schedule=settings.renew_schedule,
    catchup=False,
    max_active_runs=1,
    params=renewal_params(settings),
    default_args={
        "retries": 3,  # with the policy's waits, they outlast the 15 minutes for which Snowflake locks a user
        "retry_delay": timedelta(minutes=2),
        "retry_policy": RotationRetryPolicy(),
        "execution_timeout": timedelta(minutes=30),
    },
    tags=["snowflake", "tableau", "credentials"],
    doc_md=__doc__,
)
def renew_snowflake_pat() -> None:
    """Rotate the tokens that expire soon, try them, and let the rotation in Tableau follow."""

    @task
    def check_params() -> None:
        """Refuse wrong input. Sends no request to Snowflake."""
        renew_tasks.check_params()

    @task
    def look() -> list[str]:
        """See how the token of each user stands. Changes nothing in Snowflake."""
        return renew_tasks.look()

    @task(map_index_template="{{ task.op_kwargs['conn_id'] }}", max_active_tis_per_dagrun=4)
    def renew(conn_id: str) -> dict[str, Any]:
        """Renew the token of one user."""
        return renew_tasks.renew(conn_id)

    @task(outlets=[renewed], trigger_rule="all_done")
    def publish(**context: Any) -> dict[str, Any]:
        """Let the rotation know; what it is told goes with the asset's event."""
        told = renew_tasks.publish()
        context["outlet_events"][renewed].extra = told
        return told

    @task(trigger_rule="all_done")
    def report() -> dict[str, Any]:
        """Say how the token of each user stands; fails when the run must be red."""
        return renew_tasks.report()

    due = look()
    check_params() >> due
    renew.expand(conn_id=due) >> publish() >> report()


renew_snowflake_pat()
