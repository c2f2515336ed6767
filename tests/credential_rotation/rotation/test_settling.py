"""Which updates are still the latest change of their item, whatever the clocks say."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from credential_rotation.rotation.outcomes import Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.settling import CHANGED_SINCE, Written, after_last_look, changed_again, expected_time
from credential_rotation.tableau.content import Content, ContentType
from tests.builders import target

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
BEFORE = "2026-11-20T08:00:00Z"
AFTER = "2026-11-24T12:00:01Z"


def in_tableau(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def item(luid: str) -> Content:
    return Content(ContentType.DATASOURCE, luid, luid, updated_at=BEFORE)


class TestChangedAgain:
    """Right after the updates of a task, one reading tells of all items."""

    @pytest.mark.parametrize("seed", range(200))
    def test_what_was_published_later_is_told_and_nothing_else_is(self, seed: int) -> None:
        random = Random(seed)
        ahead = random.choice([0.0, -5400.0, 1200.0, 0.4, 86400.0])
        written, now, published = [], {}, set()
        for number in range(random.randint(2, 40)):
            sent = NOON + random.uniform(0, 60)
            answered = sent + random.uniform(0.05, 3)
            saved = random.uniform(sent, answered)
            # The last one at least is as it was written: the reading follows at once.
            if number and random.random() < 0.3:
                published.add(str(number))
                saved = answered + random.uniform(6.0, 60)
            written.append(Written(item(str(number)), sent, answered))
            now[str(number)] = in_tableau(saved + ahead)
        assert changed_again(written, now) == published

    def test_of_a_single_item_the_reading_is_all_there_is(self) -> None:
        assert changed_again([Written(item("1"), NOON, NOON + 1)], {"1": in_tableau(NOON + 7200)}) == set()

    def test_where_updates_do_not_move_the_time_nothing_is_told(self) -> None:
        written = [Written(item(luid), NOON, NOON + 1) for luid in "12"]
        assert changed_again(written, dict.fromkeys("12", BEFORE)) == set()

    @pytest.mark.parametrize("said", ["", "yesterday", None])
    def test_where_tableau_says_no_time_nothing_is_told(self, said: str | None) -> None:
        written = [Written(item(luid), NOON, NOON + 1) for luid in "12"]
        now = {"1": in_tableau(NOON)} | ({} if said is None else {"2": said})
        assert changed_again(written, now) == set()


def done(**fields: Any) -> ConnectionRecord:
    values = {"outcome": Outcome.UPDATED, "updated_at": BEFORE, "item_updated_at": AFTER, "saved_at": "x"}
    return target(1, **values | fields)


class TestLastLook:
    """Before the run ends, each item is to be as it was left."""

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, AFTER),
            ({"outcome": Outcome.ROLLED_BACK}, AFTER),
            ({"outcome": Outcome.UNCHANGED, "item_updated_at": None}, BEFORE),
            # Put back since it did not connect: that is a failure already.
            ({"outcome": Outcome.ROLLED_BACK, "reason": "it did not connect"}, None),
            ({"outcome": Outcome.FAILED}, None),
            ({"outcome": Outcome.GONE}, None),
            ({"outcome": Outcome.EXCLUDED}, None),
            # Tableau does not say, or does not show an update in that time.
            ({"item_updated_at": ""}, None),
            ({"item_updated_at": BEFORE}, None),
            ({"outcome": Outcome.UNCHANGED, "updated_at": ""}, None),
        ],
    )
    def test_the_time_that_is_expected(self, fields: dict[str, Any], expected: str | None) -> None:
        assert expected_time(done(**fields)) == expected

    def test_what_was_changed_since_has_failed(self) -> None:
        [after] = after_last_look([done()], {"item-00001": "2026-11-24T13:00:00Z"})
        assert (after.outcome, after.reason, after.is_well) == (Outcome.FAILED, CHANGED_SINCE, False)

    @pytest.mark.parametrize("now", [{}, {"item-00001": AFTER}])
    def test_what_was_not_or_is_gone_is_as_it_was(self, now: dict[str, str]) -> None:
        assert after_last_look([done()], now) == [done()]
