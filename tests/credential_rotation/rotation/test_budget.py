"""How many failures are too many."""

from __future__ import annotations

from typing import Any

import pytest

from credential_rotation.rotation.budget import BUDGET_SPENT, FailureBudget, Failures, Hold


@pytest.mark.parametrize(
    ("value", "targets", "most"),
    [
        (0, 100, 0),
        (3, 100, 3),
        ("3", 100, 3),
        (" 3 ", 100, 3),
        ("10%", 100, 10),
        ("10%", 5, 1),
        ("10 %", 55, 5),
        ("2.5%", 1000, 25),
        ("0%", 100, 0),
        ("100%", 7, 7),
        ("29%", 100, 29),
        ("57%", 100, 57),
    ],
)
def test_max_failures_is_a_number_or_a_share(value: Any, targets: int, most: int) -> None:
    assert FailureBudget.parse(value).of(targets) == most


@pytest.mark.parametrize(
    ("failures", "most", "hold"),
    [
        (Failures(), 0, None),
        (Failures(final=2), 2, None),
        (Failures(final=1, passing=1), 2, None),
        (Failures(final=3), 2, Hold(BUDGET_SPENT, retriable=False)),
        (Failures(final=3, passing=9), 2, Hold(BUDGET_SPENT, retriable=False)),
        (Failures(passing=3), 2, Hold(BUDGET_SPENT, retriable=True)),
        (Failures(final=2, passing=1), 2, Hold(BUDGET_SPENT, retriable=True)),
        (Failures(passing=1), 0, Hold(BUDGET_SPENT, retriable=True)),
        (Failures(final=99, passing=99), None, None),
    ],
)
def test_failures_for_good_end_the_run_and_those_that_may_pass_hold_it_up(
    failures: Failures, most: int | None, hold: Hold | None
) -> None:
    assert failures.hold(most) == hold
