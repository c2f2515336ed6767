"""What is told of a run to where Airflow's own metrics go: StatsD, Datadog or OpenTelemetry (``[metrics]``).

Names as Airflow has them: with tags, and, unless ``[metrics] legacy_names_on`` is off, once more with the values of the
tags in the name, for a StatsD that knows no tags. Whatever goes wrong here changes no run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats

from credential_rotation.harmless import harmless
from credential_rotation.renewal.report import RenewalReport
from credential_rotation.rotation.outcomes import OF_A_RUN_THAT_WRITES, Outcome
from credential_rotation.rotation.report import Report

_NOT_SENT = "The metrics of this run could not be sent."

PREFIX = "credential_rotation."


class Kind(StrEnum):
    """Of metrics."""

    GAUGE = "gauge"
    TIMER = "timer"


@dataclass(frozen=True)
class Metric:
    """A metric; its name comes after ``credential_rotation.``."""

    name: str
    kind: Kind
    tags: tuple[str, ...]
    means: str


_PAIR = ("snowflake_conn_id", "tableau_conn_id")

METRICS: tuple[Metric, ...] = (
    Metric(
        "seconds_to_expiry",
        Kind.GAUGE,
        ("snowflake_conn_id",),
        "until the first token ends that Tableau may hold: the previous one, until the new one has arrived everywhere; "
        "as the last renewal saw it, dry runs too; below 0 when it has ended",
    ),
    Metric("renewal.renewed", Kind.GAUGE, (), "tokens that a renewal has renewed"),
    Metric("renewal.failed", Kind.GAUGE, (), "tokens that a person has to look at after a renewal"),
    Metric("targets", Kind.GAUGE, _PAIR, "connections that embed this credential on this site"),
    *(
        Metric(str(outcome), Kind.GAUGE, _PAIR, f"of these, the ones with outcome `{outcome}`")
        for outcome in OF_A_RUN_THAT_WRITES
    ),
    Metric("run.targets", Kind.GAUGE, (), "targets of the whole run"),
    *(
        Metric(f"run.{outcome}", Kind.GAUGE, (), f"connections of the whole run with outcome `{outcome}`{more}")
        for outcome in OF_A_RUN_THAT_WRITES
        for more in [", and items that could not be read" if outcome is Outcome.FAILED else ""]
    ),
    Metric("run.problems", Kind.GAUGE, (), "what else made it red: wrong params, say, or a site that can't be read"),
    Metric("run.requests", Kind.GAUGE, (), "requests to Tableau"),
    Metric("run.throttled", Kind.GAUGE, (), "answers of Tableau that asked to slow down (429)"),
    Metric("run.duration", Kind.TIMER, (), "from the start of the run to its report"),
)
_KNOWN = {metric.name: metric for metric in METRICS}


def tell_rotation(report: Report) -> None:
    """Tell of a rotation; of a dry run nothing, since it changes nothing."""
    if report.dry_run:
        return
    with harmless(_NOT_SENT):
        pairs: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for record in report.records:
            if record.is_target:
                pairs[str(record.snowflake_conn_id), record.tableau_conn_id][str(record.outcome)] += 1
        for pair, counted in pairs.items():
            _gauge("targets", counted.total(), *pair)
            for outcome in OF_A_RUN_THAT_WRITES:
                _gauge(str(outcome), counted[outcome], *pair)
        summary = report.summary
        for name in ("targets", *OF_A_RUN_THAT_WRITES):
            _gauge(f"run.{name}", summary[name])
        _gauge("run.problems", len(report.problems))
        for name in ("requests", "throttled"):
            _gauge(f"run.{name}", report.traffic.get(name, 0))
        stats.timing(f"{PREFIX}run.duration", timedelta(seconds=report.seconds))


def tell_renewal(report: RenewalReport, now: datetime | None = None) -> None:
    """Tell of a renewal; of a dry run only how long the tokens live, since it renews nothing."""
    with harmless(_NOT_SENT):
        for user in report.users:
            if user.ends_at is not None:
                left = datetime.fromisoformat(user.ends_at) - (now or datetime.now(UTC))
                _gauge("seconds_to_expiry", round(left.total_seconds()), user.snowflake_conn_id)
        if not report.dry_run:
            for name in ("renewed", "failed"):
                _gauge(f"renewal.{name}", report.summary[name])


def _gauge(name: str, value: float, *tags: str) -> None:
    metric = _KNOWN[name]
    stats.gauge(PREFIX + name, value, tags=dict(zip(metric.tags, tags, strict=True)))
    if tags and conf.getboolean("metrics", "legacy_names_on", fallback=True):
        stats.gauge(PREFIX + ".".join([name, *map(_in_a_name, tags)]), value)


def _in_a_name(value: str) -> str:
    # As Airflow does it: a dot would be taken for one level more.
    return stats.normalize_name_for_stats(value, log_warning=False).replace(".", "__")
