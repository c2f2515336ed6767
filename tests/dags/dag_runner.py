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

from airflow.dag_processing.dagbag import DagBag
from jsonschema import Draft202012Validator


def main() -> None:
    """Run what standard input asks for; results go to the file descriptor that the environment names."""
    time.sleep = _short(time.sleep)
    # Airflow checks the schema of every param some ten times for each task, which takes longer than most tasks.
    Draft202012Validator.check_schema = lambda *_, **__: None
    with os.fdopen(int(os.environ["RUNNER_RESULTS"]), "w") as results:
        for line in sys.stdin:
            asked = json.loads(line)
            for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
                del os.environ[name]
            os.environ.update(asked["environment"])
            began = time.monotonic()
            # Parsed for each run, as Airflow does: a run leaves its params in the DAG.
            dag = DagBag().dags["rotate_snowflake_pat_in_tableau"]
            _shorten_waits(dag)
            run = dag.test(run_conf=asked["conf"], mark_success_pattern=asked["mark_success_pattern"])
            print(json.dumps(_result(run, time.monotonic() - began)), file=results, flush=True)


def _short(sleep: Callable[[float], None]) -> Callable[[float], None]:
    """dag.test() sleeps for a second where a scheduler would go on, and the quick tries of a request sleep as well."""
    return lambda seconds: sleep(min(seconds, 0.02))


def _shorten_waits(dag: Any) -> None:
    """That something is tried again is what counts here, not how long that waits."""
    from credential_rotation import retry_policy  # noqa: PLC0415 (importable once Airflow has loaded the plugins)

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
