"""A rotation on the topology of docker-compose.yaml: PostgreSQL, Redis, a Celery worker, every service a process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox import stage
from sandbox.airflow_api import AirflowApi, Progress
from sandbox.leaks import ArgumentWatch, Scanner
from sandbox.tableau import Site, build_site
from sandbox.verdict import compare_with_report, judge, take_snapshot
from tests.cluster import rotations

if TYPE_CHECKING:  # needs what requirements-cluster.lock installs, which the other tests do without
    from tests.cluster.topology import Cluster

pytestmark = pytest.mark.cluster

RUN_ID = "cluster"
QUEUED_SECONDS = 45


@dataclass(frozen=True)
class Rotation:
    """A run that is over, its report, and what is wrong with what Tableau holds now."""

    end: Progress
    report: dict[str, Any]
    problems: list[str]


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return rotations.make_variables()


@pytest.fixture(scope="module")
def site() -> Site:
    """A copy of the site that the sandbox service serves: the same seed makes the same content and the same LUIDs."""
    return build_site().site


@pytest.fixture(scope="module")
def scanner(variables: dict[str, str], site: Site) -> Scanner:
    named = {name: variables[name] for name in (*rotations.SECRETS, "AIRFLOW__CORE__FERNET_KEY")}
    named["Tableau PAT"] = stage.TABLEAU_PAT_SECRET
    for credential in site.credentials.values():
        named |= {f"old {credential.name}": credential.secret, f"new {credential.name}": credential.new_secret}
    return Scanner(named)


@pytest.fixture(scope="module")
def argument_watch(scanner: Scanner) -> Iterator[ArgumentWatch]:
    with ArgumentWatch(scanner, interval=0.5) as watch:
        yield watch


@pytest.fixture(scope="module")
def cluster(
    variables: dict[str, str], argument_watch: ArgumentWatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("cluster") / "airflow"
    with rotations.started_cluster(variables, home) as started:
        yield started


@pytest.fixture(scope="module")
def rotation(cluster: Cluster, site: Site) -> Rotation:
    api = cluster.api
    rotations.prepare(cluster, site)
    before = take_snapshot(site)
    queue_refreshes(cluster, site)
    # A handful of mapped tasks shows all there is to see here; one for each connection would take minutes.
    api.trigger(stage.DAG_ID, stage.conf(site.credentials.values(), connections_per_task=10), RUN_ID)
    end = api.wait_for_run(stage.DAG_ID, RUN_ID, timeout=180)
    report = rotations.read_report(cluster, RUN_ID)
    rotations.look_at_the_sandbox(cluster, site)
    problems = [*judge(before, site, site.credentials).differences]
    problems += compare_with_report(site, site.credentials, report)
    return Rotation(end, report, problems)


def queue_refreshes(cluster: Cluster, site: Site) -> None:
    """Let every extract wait for a refresh already: the canaries must wait for that, longer than in a worker."""
    for content_id in {target.content_id for target in site.expected_targets()}:
        if site.content(content_id).has_extracts:
            queued = {"content_id": content_id, "queue": "pending", "queue_seconds": QUEUED_SECONDS}
            rotations.tell_sandbox(cluster, "jobs", queued)


def test_the_run_is_green_and_tableau_holds_what_it_should(rotation: Rotation) -> None:
    assert rotation.problems == []
    assert (rotation.end.run.state, rotation.report["state"]) == ("success", "success")
    assert rotation.report["summary"]["updated"] == rotation.report["summary"]["targets"] > 0


def test_each_task_ran_in_the_celery_worker(rotation: Rotation, cluster: Cluster) -> None:
    (worker,) = cluster.workers
    rows = cluster.database.rows(
        "SELECT task_id, external_executor_id, hostname FROM task_instance"
        " WHERE run_id = %s AND state = 'success' AND start_date IS NOT NULL AND pid IS NOT NULL",
        RUN_ID,
    )
    log = cluster.log(worker)
    assert {task_id for task_id, *_ in rows} >= {"discover", "filter_connections", "validate_one", "update_connections"}
    assert [task_id for task_id, celery_id, _ in rows if f"[{celery_id}] Executing workload in Celery" not in log] == []
    assert {hostname for *_, hostname in rows} == {worker}


def test_a_queued_refresh_is_waited_for_without_a_worker(rotation: Rotation, cluster: Cluster) -> None:
    rows = cluster.database.rows(
        "SELECT ti.map_index, ti.try_number, count(*) FROM task_instance ti JOIN task_reschedule tr ON tr.ti_id = ti.id"
        " WHERE ti.run_id = %s AND ti.task_id = 'validate_one' GROUP BY 1, 2",
        RUN_ID,
    )
    assert len(rows) >= 2  # which content the canaries are, the seed of the site decides
    assert {try_number for _, try_number, _ in rows} == {1}
    assert [row["proof"] for row in rotation.report["connections"] if row["canary"]].count("refresh_job") >= len(rows)
    asked = rotations.ask_sandbox(cluster, "requests", operation="refresh")
    # Waited for, not submitted beside it.
    assert [entry["code"] for entry in asked["requests"]].count("409093") == len(rows)


def test_the_worker_processes_share_one_sign_in(rotation: Rotation) -> None:
    # One. Two at the same moment would still be right, one for each task would not.
    assert 1 <= rotation.report["sign_ins"] <= 2


def test_its_logs_can_be_read_through_the_api(rotation: Rotation, cluster: Cluster) -> None:
    assert "Pre Execute" in cluster.api.logs(stage.DAG_ID, RUN_ID, "filter_connections")


def test_the_page_shows_the_run(rotation: Rotation, cluster: Cluster) -> None:
    rotations.check_page(cluster, RUN_ID, rotation.report["summary"]["targets"])


def test_the_page_is_for_those_who_may_read_the_dag(
    rotation: Rotation, cluster: Cluster, variables: dict[str, str]
) -> None:
    secret = variables["POSTGRES_PASSWORD"]
    seen = {}
    for role in ("Viewer", "Public"):
        rotations.add_user(cluster, role.lower(), secret, role)
        answers = rotations.pages(AirflowApi(cluster.url, role.lower(), secret), RUN_ID)
        seen[role] = {answer.status_code for answer in answers.values()}
    assert seen == {"Viewer": {200}, "Public": {403}}
    answer = requests.get(f"{cluster.url}/credential-rotation/", timeout=30)
    assert (answer.status_code, RUN_ID in answer.text) == (401, False)


def test_no_secret_can_be_read_anywhere(
    rotation: Rotation, cluster: Cluster, scanner: Scanner, argument_watch: ArgumentWatch
) -> None:
    found = scanner.folder(cluster.home)
    tables = [name for (name,) in cluster.database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    for table in tables:
        for (row,) in cluster.database.rows(f'SELECT t::text FROM "{table}" AS t'):  # noqa: S608 - PostgreSQL's own name
            found += scanner.data(str(row), f"table {table}")
    assert "connection" in tables
    for path, answer in rotations.pages(cluster.api, RUN_ID).items():
        found += scanner.data(answer.content, path)
    assert found == []
    assert argument_watch.looks > 10
    assert argument_watch.findings == set()
