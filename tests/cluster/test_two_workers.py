"""Two Celery workers share the updates of one run, and one of them is killed while it writes; files are in a bucket."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from credential_rotation.settings import Settings
from sandbox import stage
from sandbox.airflow_api import Progress
from sandbox.leaks import Scanner
from sandbox.tableau import Site, build_site
from sandbox.verdict import compare_with_report, judge, take_snapshot
from tests.cluster import bucket as buckets
from tests.cluster import rotations
from tests.cluster.bucket import Bucket

if TYPE_CHECKING:  # needs what requirements-cluster.lock installs, which the other tests do without
    from tests.cluster.topology import Cluster

pytestmark = pytest.mark.cluster

RUN_ID = "two-workers"
PER_TASK = 4
# Much of a task's life, so that one which is killed is killed while Tableau is at it.
WRITE_SECONDS = 1.0
# A task that was lost with its worker is noticed after 5 minutes by default, one that the worker had taken and not yet
# begun after 10. The third way, Celery's visibility timeout, stays at its day: it must be longer than the longest task,
# since it hands out tasks for a second time that are still at work.
SETTINGS = {
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "25",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
}


@dataclass(frozen=True)
class Try:
    """One try of a mapped `update_connections`, the latest or an earlier one."""

    map_index: int
    number: int
    state: str
    worker: str
    celery_id: str


@dataclass(frozen=True)
class Loss:
    """What the worker that was killed left behind."""

    victim: str
    survivor: str
    under_way: frozenset[int]
    """Mapped tasks that were running there."""
    taken: frozenset[int]
    """And those that it had taken out of the queue, and not begun."""


@dataclass(frozen=True)
class Rotation:
    """A run that is over: what was lost in it, and what became of that."""

    loss: Loss
    end: Progress
    report: dict[str, Any]
    problems: list[str]
    latest: list[Try]
    earlier: list[Try]
    writes: Counter[int]


@pytest.fixture(scope="module")
def bucket(aws: str) -> Bucket:
    made = Bucket(aws, "reports-of-two-workers")
    made.make()
    return made


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, bucket: Bucket) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("two-workers") / "airflow"
    settings = SETTINGS | {"CREDENTIAL_ROTATION_REPORTS": bucket.url}
    with rotations.started_cluster(rotations.make_variables(), home, workers=2, settings=settings) as started:
        yield started


@pytest.fixture(scope="module")
def rotation(cluster: Cluster, bucket: Bucket) -> Rotation:
    site = build_site().site
    cluster.api.put_connection(buckets.CONN_ID, bucket.connection)
    rotations.prepare(cluster, site)
    before = take_snapshot(site)
    rotations.tell_sandbox(cluster, "latency", {"write_seconds": WRITE_SECONDS})
    params = stage.conf(site.credentials.values(), connections_per_task=PER_TASK)
    cluster.api.trigger(stage.DAG_ID, params, RUN_ID)
    loss = kill_a_worker_that_writes(cluster)
    end = cluster.api.wait_for_run(stage.DAG_ID, RUN_ID, timeout=150)
    report = bucket.read(f"{stage.DAG_ID}/{RUN_ID}/report.json")
    rotations.look_at_the_sandbox(cluster, site)
    problems = [*judge(before, site, site.credentials).differences]
    problems += compare_with_report(site, site.credentials, report)
    return Rotation(
        loss, end, report, problems, tries(cluster), tries(cluster, "task_instance_history"), _writes_to_targets(site)
    )


def kill_a_worker_that_writes(cluster: Cluster) -> Loss:
    """Wait until both have done something, and one of them has updates under way; that one is killed."""
    in_flight = Settings.from_environment({}).in_flight_per_task
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        cluster.check_alive()
        # First what waits for an answer: a task of the survivor that has begun since then counts against it.
        unanswered = _unanswered_updates(cluster)
        running, done = (_by_worker(cluster, state) for state in ("running", "success"))
        victim, survivor = sorted(cluster.workers, key=lambda worker: -running[worker])
        # More than the other one could have sent, so some of these are the victim's.
        writing = unanswered > in_flight * running[survivor]
        if min(done[worker] for worker in cluster.workers) >= 2 and running[victim] >= 2 and writing:
            cluster.kill(victim)
            return _what_is_lost(cluster, victim, survivor)
        time.sleep(0.05)
    raise AssertionError(f"no worker to be killed: {_by_worker(cluster, 'running')} {_by_worker(cluster, 'success')}")


def _what_is_lost(cluster: Cluster, victim: str, survivor: str) -> Loss:
    # The scheduler learns of it only later, so this is what stood there at the moment.
    log, left = cluster.log(victim), tries(cluster)
    under_way = {each.map_index for each in left if each.state == "running" and each.worker == victim}
    taken = {each.map_index for each in left if each.state == "queued" and f"[{each.celery_id}] received" in log}
    return Loss(victim, survivor, frozenset(under_way), frozenset(taken))


def tries(cluster: Cluster, table: str = "task_instance") -> list[Try]:
    columns = ("map_index", "try_number", "state", "hostname", "external_executor_id")
    shown = ", ".join(f"coalesce({name}::text, '')" for name in columns)
    rows = cluster.database.rows(
        f"SELECT {shown} FROM {table}"  # noqa: S608 - names of this module
        " WHERE run_id = %s AND task_id = 'update_connections' AND map_index >= 0",
        RUN_ID,
    )
    return [Try(int(str(index)), int(str(number)), *map(str, words)) for index, number, *words in rows]


def _by_worker(cluster: Cluster, state: str) -> Counter[str]:
    return Counter(each.worker for each in tries(cluster) if each.state == state)


def _unanswered_updates(cluster: Cluster) -> int:
    asked = rotations.ask_sandbox(cluster, "requests", operation="update_connection", last=1000)
    return sum(entry["status"] is None for entry in asked["requests"])


def _writes_to_targets(site: Site) -> Counter[int]:
    targets = {target.connection_id for target in site.expected_targets()}
    return Counter(len(connection.writes) for _, connection in site.connections() if connection.id in targets)


def test_the_updates_are_spread_over_both_workers(rotation: Rotation, cluster: Cluster) -> None:
    logs = {worker: cluster.log(worker) for worker in cluster.workers}
    done = [each for each in rotation.latest if each.state == "success"]
    assert len(done) == len(rotation.latest) > 20
    for each in done:
        assert f"[{each.celery_id}] Executing workload in Celery" in logs[each.worker]
    assert min(Counter(each.worker for each in done)[worker] for worker in cluster.workers) >= 2


def test_what_the_killed_worker_had_is_done_by_the_other(rotation: Rotation) -> None:
    loss, latest = rotation.loss, {each.map_index: each for each in rotation.latest}
    assert len(loss.under_way) >= 2
    lost = [each for each in rotation.earlier if each.map_index in loss.under_way]
    assert {(each.number, each.worker) for each in lost} == {(1, loss.victim)}
    assert {each.map_index for each in lost} == loss.under_way
    for map_index in loss.under_way | loss.taken:
        assert (latest[map_index].state, latest[map_index].worker) == ("success", loss.survivor)
    # Nothing else was tried twice; what had not begun yet has lost no try.
    assert {each.map_index for each in rotation.latest if each.number > 1} == loss.under_way


def test_the_run_is_green_and_tableau_holds_what_it_should(rotation: Rotation) -> None:
    assert rotation.problems == []
    assert (rotation.end.run.state, rotation.report["state"]) == ("success", "success")
    assert rotation.report["summary"]["updated"] == rotation.report["summary"]["targets"] > 80


def test_only_what_was_under_way_is_written_again_and_once(rotation: Rotation) -> None:
    assert rotation.writes.keys() <= {1, 2}
    # Siblings in one item stay together, so a task may have one or two more than it should.
    assert 1 <= rotation.writes[2] <= len(rotation.loss.under_way) * (PER_TASK + 2)


def test_all_of_it_is_one_tableau_session(rotation: Rotation, cluster: Cluster) -> None:
    # The tasks that took over have found it where those that were killed had found it.
    counts = rotations.ask_sandbox(cluster, "requests", last=0)["counts"]
    assert (counts["sign_in"], counts["sign_out"]) == (1, 1)
    assert rotations.ask_sandbox(cluster, "state")["sessions_started"] == 1


def test_all_that_the_run_has_written_is_in_the_bucket(rotation: Rotation, cluster: Cluster, bucket: Bucket) -> None:
    run = f"{buckets.FOLDER}/{stage.DAG_ID}/{RUN_ID}"
    objects = bucket.objects()
    assert objects.keys() >= {f"{run}/report.{kind}" for kind in ("json", "csv", "html")}
    kinds = {key.removeprefix(f"{run}/work/").split("/")[0] for key in objects if key.startswith(f"{run}/work/")}
    assert kinds >= {"plan.json", "traffic"}
    assert {key.split("/")[2] for key in objects} >= {"ledger", "fleet", stage.DAG_ID}
    written = [path for path in (cluster.home / "reports").rglob("*") if path.is_file()]
    assert written == []
    # Nothing is left of the writing, not even of that which was cut short.
    assert [key for key in objects if key.rpartition("/")[2].startswith(".")] == []
    assert bucket.unfinished_uploads() == []


def test_the_page_reads_the_bucket(rotation: Rotation, cluster: Cluster) -> None:
    targets = rotation.report["summary"]["targets"]
    rotations.check_page(cluster, RUN_ID, targets)
    row = next(row for row in rotation.report["connections"] if row["outcome"] == "updated")
    history = rotations.history_of(cluster, row)
    assert [(event["run_id"], event["outcome"]) for event in history["events"]] == [(RUN_ID, "updated")]
    assert history["holds_current"] is True


def test_no_secret_is_in_the_bucket(rotation: Rotation, bucket: Bucket) -> None:
    named = {"Tableau PAT": stage.TABLEAU_PAT_SECRET, "the bucket's own": buckets.SECRET}
    for credential in build_site().site.credentials.values():
        named |= {f"old {credential.name}": credential.secret, f"new {credential.name}": credential.new_secret}
    scanner = Scanner(named)
    objects = bucket.objects()
    assert len(objects) > 20
    assert [found for key, content in objects.items() for found in scanner.data(key.encode() + content, key)] == []
