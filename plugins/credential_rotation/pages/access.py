"""Who may see the pages: Airflow's login and its auth manager decide, as they do for Airflow's own.

The one module that stands on parts of Airflow's api-server which no promise covers.
"""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, HTTPException, Request

from credential_rotation.announcements import ROTATION

# 401 without a login, 403 without the right.
reads_rotation = Depends(requires_access_dag("GET", DagAccessEntity.RUN, ROTATION))
# The DAG is the one that `dag_id` in the query names.
reads_the_dag_asked_for = Depends(requires_access_dag("GET", DagAccessEntity.RUN))

_triggers_rotation = requires_access_dag("POST", DagAccessEntity.RUN, ROTATION)


def _may_trigger(request: Request, user: GetUserDep) -> bool:
    """Whether buttons are offered. Airflow's API asks again when one is pressed."""
    try:
        _triggers_rotation(request, user)
    except HTTPException:
        return False
    return True


MayTrigger = Annotated[bool, Depends(_may_trigger)]
