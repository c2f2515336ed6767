"""Where the time of a run went, for its report: requests over time, and what took longest."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.traffic import MOST_SLOW, Slow, Traffic

_MOST_BUCKETS = 200
_HOUR = 3600
# Seconds: the scheduler says when the run started, and a worker what it asked when.
_CLOCKS_APART = 60
_BUCKET_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800)


def timings(traffic: Traffic, records: Iterable[ConnectionRecord], started_at: datetime | None) -> dict[str, Any]:
    """The ``timings`` of a report.

    :param started_at: when the run was started; None where that is not known
    """
    bucket, requests = _over_time(traffic.by_second, int(started_at.timestamp()) if started_at else None)
    slow = heapq.nlargest(MOST_SLOW, [*traffic.slowest, *_updates(records)], key=lambda each: each.seconds)
    return {
        "bucket_seconds": bucket,
        "requests": requests,
        "slowest": [vars(each) | {"seconds": round(each.seconds, 3)} for each in slow],
    }


def _updates(records: Iterable[ConnectionRecord]) -> Iterable[Slow]:
    return (
        Slow("update", str(record.content_type), record.content_name, record.project, record.seconds)
        for record in records
        if record.seconds is not None
    )


def _over_time(by_second: Mapping[int, Sequence[int]], started_at: int | None) -> tuple[int, list[list[int]]]:
    """The seconds of a bucket, and of each bucket when it begins, requests sent and answers that said 429.

    What was asked before the start is left out: in a run whose tasks were cleared, days may lie between. Where that is
    everything, the report alone was made again, and the first request counts as the start.
    """
    if not by_second:
        return 1, []
    start = min(by_second) if started_at is None or max(by_second) < started_at else started_at
    told = [
        (max(second - start, 0), sent, throttled)
        for second, (sent, throttled) in by_second.items()
        if second >= start - _CLOCKS_APART
    ]
    span = max(second for second, _, _ in told) + 1
    whole_hours = (hours * _HOUR for hours in itertools.count(1))
    bucket = next(size for size in itertools.chain(_BUCKET_SECONDS, whole_hours) if span <= size * _MOST_BUCKETS)
    # Where nothing was asked there is a 0, so that who draws it need not guess.
    requests = [[at, 0, 0] for at in range(0, span, bucket)]
    for second, sent, throttled in told:
        requests[second // bucket][1] += sent
        requests[second // bucket][2] += throttled
    return bucket, requests
