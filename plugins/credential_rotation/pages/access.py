"""Who may see the pages: Airflow's login and its auth manager decide, as they do for Airflow's own.

The one module that stands on parts of Airflow's api-server which no promise covers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, HTTPException, Request

from credential_rotation.announcements import ROTATION
from credential_rotation.triggering_events import RENEWAL

# 401 without a login, 403 without the right.
reads_rotation = Depends(requires_access_dag("GET", DagAccessEntity.RUN, ROTATION))
# The DAG is the one that `dag_id` in the query names.
reads_the_dag_asked_for = Depends(requires_access_dag("GET", DagAccessEntity.RUN))


def _whether(required: Callable[[Request, GetUserDep], None]) -> Callable[[Request, GetUserDep], bool]:
    """Whether somebody has a right without which they see less, and not nothing."""

    def answer(request: Request, user: GetUserDep) -> bool:
        try:
            required(request, user)
        except HTTPException:
            return False
        return True

    return answer


# Whether buttons are offered. Airflow's API asks again when one is pressed.
MayTrigger = Annotated[bool, Depends(_whether(requires_access_dag("POST", DagAccessEntity.RUN, ROTATION)))]
MayReadRenewal = Annotated[bool, Depends(_whether(requires_access_dag("GET", DagAccessEntity.RUN, RENEWAL)))]
