"""What the tests of this folder have in common: a cluster with a sandbox in it, and our own copy of that sandbox."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from cryptography.fernet import Fernet

from sandbox import stage
from sandbox.airflow_api import AirflowApi
from sandbox.tableau import Site
from tests.cluster import compose

if TYPE_CHECKING:  # needs what requirements-cluster.lock installs, which the other tests do without
    from tests.cluster.topology import Cluster

SECRETS = ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY", "POSTGRES_PASSWORD", "AIRFLOW_ADMIN_PASSWORD")
# What Compose, a shell or a URL would take for something else, if one of them got to see it.
ODD = "$HOME '\"%40@/:"


def make_variables() -> dict[str, str]:
    """What a person has in .env."""
    made = {name: f"{ODD}{secrets.token_urlsafe(24)}" for name in SECRETS}
    return made | {"AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode()} | stage.ENVIRONMENT


@contextmanager
def started_cluster(
    variables: Mapping[str, str], home: Path, *, workers: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    from tests.cluster import backing, topology  # noqa: PLC0415 - see above

    services = compose.services(variables, profiles=("sandbox",))
    with (
        backing.fresh_database(variables["POSTGRES_PASSWORD"]) as database,
        backing.empty_redis_db() as redis_db,
        topology.Cluster(services, home, database, redis_db, workers=workers, settings=settings) as started,
    ):
        yield started


def prepare(cluster: Cluster, site: Site) -> None:
    """The Airflow connections that the DAG needs, and the DAG itself."""
    for conn_id, fields in stage.airflow_connections(cluster.sandbox_port, site).items():
        cluster.api.put_connection(conn_id, fields)
    deadline = time.monotonic() + 60
    while not cluster.api.knows_dag(stage.DAG_ID):
        assert not cluster.api.import_errors()
        assert time.monotonic() < deadline, cluster.log("airflow-dag-processor")[-2000:]
        time.sleep(0.5)
    cluster.api.unpause(stage.DAG_ID)


def read_report(cluster: Cluster, run_id: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((cluster.home / "reports" / stage.DAG_ID / run_id / "report.json").read_text())
    return report


def add_user(cluster: Cluster, username: str, password: str, role: str) -> None:
    """Somebody else who signs in to this Airflow."""
    init = cluster.services["airflow-init"].environment
    admin = {"username": init["AIRFLOW_ADMIN_USERNAME"], "password": init["AIRFLOW_ADMIN_PASSWORD"]}
    token = requests.post(f"{cluster.url}/auth/token", json=admin, timeout=30).json()["access_token"]
    names = {"username": username, "email": f"{username}@acme.example", "first_name": username, "last_name": "-"}
    answer = requests.post(
        f"{cluster.url}/auth/fab/v1/users",
        json=names | {"password": password, "roles": [{"name": role}]},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert answer.ok, answer.text


def pages(api: AirflowApi, run_id: str) -> dict[str, requests.Response]:
    """What the page in the Airflow UI answers about everything and about a run, by its path."""
    run = {"dag_id": stage.DAG_ID, "run_id": run_id}
    return {
        path: api.page(f"/credential-rotation{path}", **(run if path.endswith("run") else {}))
        for path in ("/", "/run", "/api/fleet", "/api/run")
    }


def check_page(cluster: Cluster, run_id: str, targets: int) -> None:
    """The page, in a process that is no worker's, shows the run and what came of it."""
    answers = pages(cluster.api, run_id)
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
    assert all(run_id in answer.text for answer in answers.values())
    fleet = answers["/api/fleet"].json()
    assert [run["run_id"] for run in fleet["runs"]] == [run_id]
    assert sum(row["current"] for row in fleet["rows"]) == targets
    assert answers["/api/run"].json()["summary"]["targets"] == targets


def history_of(cluster: Cluster, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the page knows of a connection that a report names."""
    (site,) = cluster.api.page("/credential-rotation/api/fleet").json()["sites"]
    wanted = {"site": site["site_key"], "content_id": row["content_id"], "connection_id": row["connection_id"]}
    answer = cluster.api.page("/credential-rotation/api/connection", **wanted)
    assert answer.status_code == 200, answer.text
    history: dict[str, Any] = answer.json()
    return history


def ask_sandbox(cluster: Cluster, what: str, **params: str | int) -> dict[str, Any]:
    answer = requests.get(f"http://127.0.0.1:{cluster.sandbox_port}/_sandbox/{what}", params=params, timeout=30)
    assert answer.ok, answer.text
    said: dict[str, Any] = answer.json()
    return said


def tell_sandbox(cluster: Cluster, what: str, body: Mapping[str, object]) -> None:
    answer = requests.post(f"http://127.0.0.1:{cluster.sandbox_port}/_sandbox/{what}", json=body, timeout=30)
    assert answer.ok, answer.text


def look_at_the_sandbox(cluster: Cluster, site: Site) -> None:
    """Bring our copy of the site to what the sandbox service holds by now."""
    state = ask_sandbox(cluster, "state")
    held = {each["id"]: each for content in state["sites"][0]["contents"] for each in content["connections"]}
    copies = {connection.id: connection for _, connection in site.connections()}
    assert held.keys() == copies.keys()
    for connection_id, copy in copies.items():
        now = held[connection_id]
        for name in ("server_address", "server_port", "username", "password", "embedded", "disturbed"):
            setattr(copy, name, now[name])
        copy.writes[:] = [{}] * now["writes"]
