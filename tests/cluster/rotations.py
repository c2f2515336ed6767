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
