"""The environment of the local Airflow."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox.airflow_home import ADMIN, Keys


def environment(
    home: Path,
    port: int,
    keys: Keys,
    *,
    dags_folder: Path,
    plugins_folder: Path,
    further_dags_folders: Mapping[str, Path],
    parallelism: int,
) -> dict[str, str]:
    """Everything that the components need to know. Secrets travel here, never in process arguments."""
    url = f"http://127.0.0.1:{port}"
    bundles = [
        {
            "name": name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {} if folder is None else {"path": str(folder)},
        }
        for name, folder in {"dags-folder": None, **further_dags_folders}.items()
    ]
    settings: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": dags_folder,
            "plugins_folder": plugins_folder,
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": parallelism,
            "fernet_key": keys.fernet_key,
            "simple_auth_manager_users": f"{ADMIN}:admin",
            "simple_auth_manager_all_admins": False,
            "execution_api_server_url": f"{url}/execution/",
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}"},
        "api": {
            "host": "127.0.0.1",
            "port": port,
            "base_url": url,
            "workers": 1,
            "secret_key": keys.api_secret_key,
            "instance_name": "credential rotation, local",
        },
        "api_auth": {"jwt_secret": keys.jwt_secret},
        "dag_processor": {"dag_bundle_config_list": json.dumps(bundles), "refresh_interval": 5, "parsing_processes": 1},
        "scheduler": {"scheduler_idle_sleep_time": 0.2, "job_heartbeat_sec": 2, "max_tis_per_query": 64},
        # A machine with two cores is busy while it starts; five seconds, the default, would fail a task for it.
        "workers": {"execution_api_timeout": 30},
        "logging": {"colored_console_log": False},
    }
    ours = {
        f"AIRFLOW__{section.upper()}__{key.upper()}": str(value)
        for section, options in settings.items()
        for key, value in options.items()
    }
    # Nothing of another Airflow that this shell may know, and no PYTHONPATH: what works here works in a stock Airflow.
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW") and key != "PYTHONPATH"
    }
    return inherited | ours | {"AIRFLOW_HOME": str(home)} | _quiet()


def connection_environment(connections: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """The same connections as variables, for those who want them out of the database."""
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(fields) for conn_id, fields in connections.items()}


def _quiet() -> dict[str, str]:
    variables = {
        "DO_NOT_TRACK": "1",
        "SCARF_ANALYTICS": "false",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "NO_COLOR": "1",
    }
    if sys.platform == "darwin":
        variables["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"  # the executor forks, and macOS minds
    return variables
