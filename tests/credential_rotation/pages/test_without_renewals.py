"""What is left of the fleet for who may read the rotation's runs alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from credential_rotation.pages.without_renewals import without_renewals
from credential_rotation.rotation.outcomes import Outcome
from tests.builders import target, targets
from tests.credential_rotation.fleet.story import RENEWAL, ROTATION, Story
from tests.credential_rotation.fleet.test_fleet import came_to, updated


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(f"file://{tmp_path}")


def expired(story: Story) -> None:
    story.rotate(updated(*targets(2)))
    story.renew(days_left=-1)


def due(story: Story) -> None:
    story.rotate(updated(*targets(2)))
    story.renew(days_left=3)


def cannot_be_renewed(story: Story) -> None:
    story.rotate(updated(*targets(2)))
    story.renew(days_left=3, reason="no right")


def renewed(story: Story) -> None:
    story.rotate(updated(*targets(2)))
    story.renew(token="fingerprint-2", days_left=5000)


def never_rotated_and_cannot_be_renewed(story: Story) -> None:
    story.rotate(came_to(Outcome.PLANNED, target()), dry_run=True)
    story.renew(days_left=5000, reason="no right")


def failed_and_expired(story: Story) -> None:
    story.rotate(came_to(Outcome.FAILED, target(), reason="no"))
    story.renew(days_left=-1)


@pytest.mark.parametrize(
    ("happened", "left"),
    [
        (expired, {"Ready": "AllCurrent"}),
        (due, {"Ready": "AllCurrent"}),
        (cannot_be_renewed, {"Ready": "AllCurrent"}),
        (renewed, {"Renewing": "RotationPending"}),
        (never_rotated_and_cannot_be_renewed, {"Degraded": "NotCurrent"}),
        (failed_and_expired, {"Degraded": "ConnectionsFailed"}),
    ],
)
def test_how_connections_stand_is_told_and_nothing_of_a_renewal(
    story: Story, happened: Callable[[Story], None], left: dict[str, str]
) -> None:
    happened(story)
    fleet = story.fleet()
    assert {run.dag_id for run in fleet.runs} == {ROTATION, RENEWAL}
    assert fleet.rows[0].token is not None
    shown = without_renewals(fleet)
    assert {run.dag_id for run in shown.runs} == {ROTATION}
    (row,) = shown.rows
    assert row.token is None
    assert {str(each.kind): each.reason for each in row.conditions} == left
    assert (row.targets, row.current, row.old) == (fleet.rows[0].targets, fleet.rows[0].current, fleet.rows[0].old)
    assert shown.sites == fleet.sites
