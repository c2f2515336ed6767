"""What arrives where Airflow's metrics go: a StatsD that listens, and a collector of OpenTelemetry."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils

from credential_rotation.metrics import METRICS, PREFIX, tell_renewal, tell_rotation
from credential_rotation.renewal.report import FAILED, RENEWED, RenewalReport, UserReport
from credential_rotation.rotation.outcomes import Outcome
from tests.builders import rotation_report, target, targets
from tests.statsd_listener import StatsdListener

# Airflow drops the client of before without closing it.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
PLUGINS = Path(__file__).parents[2] / "plugins"
NOW = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
IN_TEN_DAYS = (NOW + timedelta(days=10)).isoformat()


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdListener]:
    listening = StatsdListener()
    for name, value in listening.environment.items():
        monkeypatch.setenv(name, value)
    start()
    yield listening
    listening.close()
    monkeypatch.undo()
    start()


def start() -> None:
    """As Airflow does when a task starts."""
    stats.initialize(
        factory=stats_utils.get_stats_factory(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on")
    )


def renewal(*users: UserReport, dry_run: bool = False) -> RenewalReport:
    return RenewalReport("manual__1", dry_run, (), users)


def test_a_rotation_tells_its_counts_for_the_run_and_for_each_credential_on_each_site(statsd: StatsdListener) -> None:
    unreadable = target(9, snowflake_conn_id=None, connection_id=None, outcome=Outcome.FAILED)
    excluded = target(8, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason="oauth")
    records = [
        *targets(3, outcome=Outcome.UPDATED),
        target(4, outcome=Outcome.FAILED),
        target(5, outcome=Outcome.UNCHANGED, snowflake_conn_id="snowflake_bi", tableau_conn_id="tableau.eu"),
        unreadable,
        excluded,
    ]
    tell_rotation(rotation_report(*records, problems=("a site could not be read",)))
    heard = statsd.heard()
    assert {name: heard[f"run.{name}"] for name in ("targets", "updated", "unchanged", "failed", "not_attempted")} == {
        "targets": "5|g",
        "updated": "3|g",
        "unchanged": "1|g",
        "failed": "2|g",
        "not_attempted": "0|g",
    }
    assert (heard["run.problems"], heard["run.requests"], heard["run.throttled"]) == ("1|g", "12|g", "2|g")
    assert heard["run.duration"].startswith("61500.0")
    assert heard["run.duration"].endswith("|ms")
    assert heard["targets.snowflake_pat.tableau_default"] == "4|g"
    assert heard["updated.snowflake_pat.tableau_default"] == "3|g"
    assert heard["failed.snowflake_pat.tableau_default"] == "1|g"
    # A dot would be one level more.
    assert heard["unchanged.snowflake_bi.tableau__eu"] == "1|g"
    assert heard["failed.snowflake_bi.tableau__eu"] == "0|g"


def test_a_dry_run_of_the_rotation_tells_nothing(statsd: StatsdListener) -> None:
    tell_rotation(rotation_report(*targets(3, outcome=Outcome.PLANNED), dry_run=True))
    assert statsd.heard() == {}


def test_a_renewal_tells_how_long_each_token_lives(statsd: StatsdListener) -> None:
    expired = (NOW - timedelta(hours=1)).isoformat()
    tell_renewal(
        renewal(
            UserReport("snowflake_etl", "ETL_USER", expires_at=IN_TEN_DAYS, outcome=RENEWED),
            UserReport("snowflake_bi", "BI_USER", expires_at=expired, outcome=FAILED),
            UserReport("snowflake_ml", "ML_USER", outcome=FAILED),
        ),
        NOW,
    )
    heard = statsd.heard()
    assert heard["seconds_to_expiry.snowflake_etl"] == "864000|g"
    # The second of the two: a value below 0 alone would be a difference.
    assert heard["seconds_to_expiry.snowflake_bi"] == "-3600|g"
    assert "seconds_to_expiry.snowflake_ml" not in heard
    assert (heard["renewal.renewed"], heard["renewal.failed"]) == ("1|g", "2|g")


def test_a_dry_run_of_the_renewal_tells_how_long_tokens_live_and_nothing_of_renewals(statsd: StatsdListener) -> None:
    tell_renewal(renewal(UserReport("snowflake_etl", "ETL_USER", expires_at=IN_TEN_DAYS), dry_run=True), NOW)
    assert set(statsd.heard()) == {"seconds_to_expiry", "seconds_to_expiry.snowflake_etl"}


def test_where_tags_are_understood_they_say_what_it_is_about(
    statsd: StatsdListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
    monkeypatch.setenv("AIRFLOW__METRICS__LEGACY_NAMES_ON", "False")
    start()
    tell_renewal(renewal(UserReport("snowflake_etl", "ETL_USER", expires_at=IN_TEN_DAYS), dry_run=True), NOW)
    tell_rotation(rotation_report(target(1, outcome=Outcome.UPDATED)))
    heard = statsd.heard()
    assert heard["seconds_to_expiry,snowflake_conn_id=snowflake_etl"] == "864000|g"
    assert heard["updated,snowflake_conn_id=snowflake_pat,tableau_conn_id=tableau_default"] == "1|g"
    assert not [name for name in heard if "." in name.removeprefix("run.").removeprefix("renewal.")]


def test_all_that_is_told_is_what_the_docs_list(statsd: StatsdListener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__LEGACY_NAMES_ON", "False")
    start()
    tell_renewal(renewal(UserReport("snowflake_etl", "ETL_USER", expires_at=IN_TEN_DAYS)), NOW)
    tell_rotation(rotation_report(target(1, outcome=Outcome.UPDATED)))
    assert set(statsd.heard()) == {metric.name for metric in METRICS}


def test_without_the_setting_nothing_is_told() -> None:
    tell_rotation(rotation_report(target(1, outcome=Outcome.UPDATED)))
    tell_renewal(renewal(UserReport("snowflake_etl", "ETL_USER", expires_at=IN_TEN_DAYS)))


@pytest.mark.parametrize("broken", ["gauge", "timing"])
def test_metrics_that_can_not_be_sent_are_logged_and_change_nothing(
    broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no buffer space left")

    monkeypatch.setattr(stats, broken, fail)
    with caplog.at_level(logging.WARNING):
        tell_rotation(rotation_report(target(1, outcome=Outcome.UPDATED)))
    assert "could not be sent" in caplog.text


def test_a_report_that_can_not_be_understood_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tell_renewal(renewal(UserReport("snowflake_etl", "ETL_USER", expires_at="some day")))
    assert "could not be sent" in caplog.text


class _Collector(BaseHTTPRequestHandler):
    """Keeps what is sent to it."""

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


_TOLD_IN_A_TASK = f"""
from datetime import UTC, datetime, timedelta
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
from credential_rotation.metrics import tell_renewal
from credential_rotation.renewal.report import RenewalReport, UserReport

stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
user = UserReport("snowflake_etl", "ETL_USER", expires_at={IN_TEN_DAYS!r})
tell_renewal(RenewalReport("manual__1", True, (), (user,)), datetime.fromisoformat({NOW.isoformat()!r}))
"""


def test_opentelemetry_gets_them_with_attributes(tmp_path: Path) -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (  # noqa: PLC0415 (slow)
        ExportMetricsServiceRequest,
    )

    collector = HTTPServer(("127.0.0.1", 0), _Collector)
    collector.bodies = []  # type: ignore[attr-defined]
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    environment = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "PYTHONPATH": str(PLUGINS),
        "NO_PROXY": "127.0.0.1",
    }
    # In a process of its own, as a task is: what is not sent yet when it ends goes out then.
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _TOLD_IN_A_TASK],
        env={key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    collector.shutdown()
    collector.server_close()
    assert done.returncode == 0, done.stderr
    told = {}
    for body in collector.bodies:  # type: ignore[attr-defined]
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in [each for scope in resource.scope_metrics for each in scope.metrics]:
                for point in metric.gauge.data_points:
                    attributes = {each.key: each.value.string_value for each in point.attributes}
                    told[metric.name, tuple(attributes.items())] = point.as_int
    assert told["airflow.credential_rotation.seconds_to_expiry", (("snowflake_conn_id", "snowflake_etl"),)] == 864000


def test_the_docs_list_each_metric() -> None:
    rows = [
        f"| `{PREFIX}{metric.name}` | {metric.kind} | {', '.join(f'`{tag}`' for tag in metric.tags)} | {metric.means} |"
        for metric in METRICS
    ]
    page = (PLUGINS.parent / "docs" / "monitoring.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if "| gauge |" in line or "| timer |" in line] == rows
