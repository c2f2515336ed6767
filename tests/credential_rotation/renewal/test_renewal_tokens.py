"""Tokens as SHOW gives them, in both shapes that Snowflake documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from credential_rotation.renewal.tokens import Token, UnexpectedAnswer, read_time, read_token

PACIFIC = timezone(timedelta(hours=-7))
EXPIRES = datetime(2026, 12, 1, 23, 30, tzinfo=PACIFIC)
GUIDE: dict[str, Any] = {
    "name": "TABLEAU",
    "user_name": "ETL",
    "role_restriction": "READER",
    "expires_at": EXPIRES,
    "status": "ACTIVE",
    "comment": None,
    "created_on": EXPIRES - timedelta(days=15),
    "created_by": "ADMIN",
    "mins_to_bypass_network_policy_requirement": None,
    "rotated_to": None,
}
REFERENCE = {key: value for key, value in GUIDE.items() if key != "rotated_to"}


def test_both_shapes_are_the_same_token() -> None:
    in_utc = Token("TABLEAU", "ACTIVE", datetime(2026, 12, 2, 6, 30, tzinfo=UTC), None)
    assert read_token(GUIDE) == read_token(REFERENCE) == in_utc


def test_the_case_and_the_order_of_the_columns_do_not_matter() -> None:
    assert read_token({key.upper(): GUIDE[key] for key in reversed(GUIDE)}) == read_token(GUIDE)


def test_a_rotated_token_says_what_took_its_place() -> None:
    rotated = {**GUIDE, "name": "TABLEAU_ROTATED_1744239049066", "rotated_to": "TABLEAU"}
    assert read_token(rotated).rotated_to == "TABLEAU"


@pytest.mark.parametrize(
    ("name", "rotated_to"),
    [
        ("TABLEAU_ROTATED_1744239049066", "TABLEAU"),
        ("A_ROTATED_1744239049066_ROTATED_1744239049067", "A_ROTATED_1744239049066"),
        ("TABLEAU_ROTATED_2", None),
        ("_ROTATED_1744239049066", None),
        ("TABLEAU_ROTATED_1744239049066_NEW", None),
    ],
)
def test_where_no_column_says_so_the_name_does(name: str, rotated_to: str | None) -> None:
    assert read_token({**REFERENCE, "name": name}).rotated_to == rotated_to


def test_where_a_column_says_that_it_is_in_force_the_name_does_not_count() -> None:
    assert read_token({**GUIDE, "name": "TABLEAU_ROTATED_1744239049066"}).rotated_to is None


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2025-05-09 07:18:47.360 -0700", datetime(2025, 5, 9, 14, 18, 47, 360000, UTC)),
        ("2025-05-09 07:18:47.360 -07:00", datetime(2025, 5, 9, 14, 18, 47, 360000, UTC)),
        (" 2025-05-09 07:18:47 +0530 ", datetime(2025, 5, 9, 1, 48, 47, tzinfo=UTC)),
        ("2025-05-09T07:18:47+00:00", datetime(2025, 5, 9, 7, 18, 47, tzinfo=UTC)),
        ("2025-05-09 07:18:47Z", datetime(2025, 5, 9, 7, 18, 47, tzinfo=UTC)),
    ],
)
def test_a_time_may_be_a_text_with_its_zone(text: str, when: datetime) -> None:
    assert read_time(text, "the expiry") == when
    assert read_time(text, "the expiry").tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "2025-05-09 07:18:47.360",
        "2025-13-09 07:18:47.360 -0700",
        EXPIRES.replace(tzinfo=None),
        EXPIRES.date(),
        1744239049066,
    ],
)
def test_what_is_no_time_with_a_zone_is_refused(value: Any) -> None:
    with pytest.raises(
        UnexpectedAnswer, match=r"the expiry of the token TABLEAU; expected a timestamp with a time zone"
    ):
        read_token({**GUIDE, "expires_at": value})


def test_without_a_time_of_expiry_there_is_no_token() -> None:
    with pytest.raises(UnexpectedAnswer, match="expected a timestamp"):
        read_token({key: value for key, value in GUIDE.items() if key != "expires_at"})


@pytest.mark.parametrize("name", [None, ""])
def test_without_a_name_there_is_no_token(name: str | None) -> None:
    with pytest.raises(UnexpectedAnswer, match=r"no column 'name', but \[.*'expires_at'"):
        read_token({**GUIDE, "name": name})


def test_it_is_alive_until_it_expires_whatever_else_it_is() -> None:
    token = read_token(GUIDE)
    just_before, then = EXPIRES - timedelta(seconds=1), EXPIRES
    assert token.is_alive(just_before)
    assert not token.is_alive(then)
    assert not read_token({**GUIDE, "status": "expired"}).is_alive(just_before)
    disabled = read_token({**GUIDE, "status": "DISABLED"})
    assert disabled.is_disabled
    assert disabled.is_alive(just_before)
    assert not token.is_disabled


def test_the_hours_left_are_counted_over_zones() -> None:
    assert read_token(GUIDE).hours_left(datetime(2026, 12, 2, 6, 0, tzinfo=UTC)) == 0.5
