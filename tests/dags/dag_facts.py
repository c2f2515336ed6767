"""Loads the DAG folder in a stock Airflow and prints what there is to know of it, as JSON: a script."""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import airflow.providers.http.hooks.http
import airflow.providers.standard.operators.hitl  # noqa: F401
from airflow import plugins_manager
from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseHook, Variable
from airflow.serialization.serialized_objects import DagSerialization

# What a file does that is parsed every 30 seconds must not depend on anybody's answer.
_FORBIDDEN = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "subprocess.Popen",
    "os.system",
    "os.fork",
)


def main() -> None:
    """Load, and look."""
    touched: list[str] = []
    watching = False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if not watching:
            return
        # Compiled modules are written through a file descriptor.
        writes = event == "open" and isinstance(arguments[0], str) and set(str(arguments[1])) & set("wax+")
        if event in _FORBIDDEN or writes:
            touched.append(f"{event} {arguments[0]}")

    def asked_for(*arguments: Any, **_: Any) -> None:
        touched.append(f"asked Airflow for {arguments[1:]}")
        raise LookupError

    for owner, name in ((Variable, "get"), (BaseHook, "get_connection"), (BaseHook, "get_hook")):
        setattr(owner, name, classmethod(asked_for))
    sys.addaudithook(watch)
    file = next(Path(conf.get("core", "dags_folder")).glob("rotate_*.py"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        watching = True
        began = time.process_time()
        exec(compile(file.read_text(), file, "exec"), {"__name__": "parsed_alone"})  # noqa: S102
        seconds = time.process_time() - began
    watching = False
    bag = DagBag()
    plugins_manager.ensure_plugins_loaded()
    facts = {
        "import_errors": bag.import_errors,
        "plugin_errors": plugins_manager.get_import_errors(),
        "warnings": [f"{each.category.__name__}: {each.message} ({each.filename})" for each in caught],
        "seconds": seconds,
        "touched": touched,
        "modules": _modules(Path(conf.get("core", "plugins_folder"))),
        "dags": {dag_id: _dag(dag) for dag_id, dag in bag.dags.items()},
    }
    sys.stdout.write(json.dumps(facts) + "\n")


def _modules(folder: Path) -> dict[str, list[str]]:
    """The names under which each file below a folder was imported."""
    names: dict[str, list[str]] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(folder):
            names.setdefault(str(Path(file).relative_to(folder)), []).append(name)
    return names


def _dag(dag: Any) -> dict[str, Any]:
    return {
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "dependencies": sorted(map(_dependency, DagSerialization.to_dict(dag)["dag"]["dag_dependencies"])),
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "tasks": {task.task_id: _task(task) for task in dag.tasks},
    }


def _dependency(each: Any) -> str:
    return f"{each['source']} -> {each['target']}: {each['label']}"


def _task(task: Any) -> dict[str, Any]:
    own = task.partial_kwargs if task.is_mapped else vars(task)
    policy = own.get("retry_policy")
    timeout = own.get("execution_timeout")
    return {
        "mapped": bool(task.is_mapped),
        "retries": own.get("retries"),
        "policy": type(policy).__name__ if policy else None,
        "timeout": timeout.total_seconds() if timeout else None,
        "downstream": sorted(task.downstream_task_ids),
        "at_once": own.get("max_active_tis_per_dagrun"),
        "teardown": bool(getattr(task, "is_teardown", False)),
        "trigger_rule": str(own.get("trigger_rule")),
        "outlets": [f"{type(outlet).__name__} {outlet.name}" for outlet in own.get("outlets") or ()],
    }


if __name__ == "__main__":
    main()
