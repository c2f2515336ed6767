"""Runs the DAG in an Airflow of its own, one run after the other: a script, spoken to in JSON lines.

It is a process of its own because Airflow reads where it lives once, when it is imported. One process serves many runs,
since importing Airflow takes longer than most of them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk._shared.secrets_masker import reset_secrets_masker
from airflow.utils.session import create_session
from jsonschema import Draft202012Validator
from sqlalchemy import text

_OPEN_QUESTION = text(
    "SELECT dag_id, run_id, task_id FROM task_instance JOIN hitl_detail ON hitl_detail.ti_id = task_instance.id"
    " WHERE hitl_detail.responded_at IS NULL"
)


def main() -> None:
    """Run what standard input asks for; results go to the file descriptor that the environment names."""
    person = _Person()
    time.sleep = _short(time.sleep, person.answer)
    # Airflow checks the schema of every param some ten times for each task, which takes longer than most tasks.
    Draft202012Validator.check_schema = lambda *_, **__: None
    plain = dict(os.environ)
    with os.fdopen(int(os.environ["RUNNER_RESULTS"]), "w") as results:
        for line in sys.stdin:
            asked = json.loads(line)
            os.environ.clear()
            os.environ.update(plain | asked["environment"])
            # Airflow's masker keeps the secrets of all runs of a process, and takes ever longer for each line of a log.
            reset_secrets_masker()
            person.says = asked["answer"]
            began = time.monotonic()
            # Parsed for each run, as Airflow does: a run leaves its params in the DAG.
            dag = DagBag().dags[asked["dag"]]
            _shorten_waits(dag)
            run = dag.test(run_conf=asked["conf"])
            print(json.dumps(_result(run, time.monotonic() - began)), file=results, flush=True)


def _short(sleep: Callable[[float], None], meanwhile: Callable[[], None]) -> Callable[[float], None]:
    """dag.test() sleeps for a second where a scheduler would go on, and the quick tries of a request sleep as well."""

    def sleep_shortly(seconds: float) -> None:
        meanwhile()
        sleep(min(seconds, 0.02))

    return sleep_shortly


class _Person:
    """Answers what a run asks, by way of the API's own endpoint."""

    says: str | None = None

    def answer(self) -> None:
        """Answer once, when something is asked."""
        if self.says is None:
            return
        with create_session() as session:
            question = session.execute(_OPEN_QUESTION).first()
            if question is not None:
                update_hitl_detail(
                    dag_id=question.dag_id,
                    dag_run_id=question.run_id,
                    task_id=question.task_id,
                    update_hitl_detail_payload=UpdateHITLDetailPayload(chosen_options=[self.says], params_input={}),
                    user=SimpleAuthManagerUser(username="ann", role="admin"),
                    session=session,
                )
                self.says = None


def _shorten_waits(dag: Any) -> None:
    """That something is tried again is what counts here, not how long that waits."""
    # Importable once Airflow has loaded the plugins.
    from credential_rotation import retry_policy, updating  # noqa: PLC0415
    from credential_rotation.rotation import proof  # noqa: PLC0415

    proof.YOUNGEST_CACHE_SECONDS = 1.0
    updating._SHORTEST_ABSENCE = 1.0
    retry_policy._FIRST_DELAY = retry_policy._LONGEST_DELAY = 0.2
    for task in dag.tasks:
        task.retry_delay = timedelta(seconds=0.2)


def _result(run: Any, seconds: float) -> dict[str, Any]:
    tasks = [
        {
            "task_id": ti.task_id,
            "map_index": ti.map_index,
            "state": str(ti.state),
            "tries": ti.try_number,
            "label": ti.rendered_map_index,
        }
        for ti in run.get_task_instances()
    ]
    return {"run_id": run.run_id, "state": str(run.state), "seconds": seconds, "tasks": tasks}


if __name__ == "__main__":
    main()
