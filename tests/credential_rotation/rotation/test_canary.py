"""The connection that is changed first."""

from __future__ import annotations

import random

import pytest

from credential_rotation.rotation.canary import choose_canaries
from credential_rotation.rotation.selection import SelectionError
from credential_rotation.tableau.content import ContentType
from tests.builders import target, targets


def test_each_credential_with_targets_has_one() -> None:
    given = [*targets(3, snowflake_conn_id="snowflake_etl"), target(9, snowflake_conn_id="snowflake_bi")]
    chosen = choose_canaries(given, given, None)
    assert list(chosen) == ["snowflake_bi", "snowflake_etl"]
    assert chosen["snowflake_bi"] == [given[3]]
    assert chosen["snowflake_etl"][0].snowflake_conn_id == "snowflake_etl"


def test_without_targets_there_is_none() -> None:
    assert choose_canaries([], [], None) == {}


def test_it_is_the_same_each_time_however_the_inventory_was_read() -> None:
    given = targets(50)
    first = choose_canaries(given, given, None)
    for seed in range(5):
        read = random.Random(seed).sample(given, 50)
        assert choose_canaries(read, read, None) == first


def test_a_connection_of_which_reading_back_shows_most_is_preferred() -> None:
    given = [
        target(1, content_type=ContentType.VIRTUAL_CONNECTION),
        target(2, content_type=ContentType.FLOW),
        target(4, content_type=ContentType.DATASOURCE),
        target(3, content_type=ContentType.WORKBOOK),
    ]
    [chosen] = choose_canaries(given, given, None).values()
    assert [record.content_type for record in chosen] == ["datasource", "workbook", "flow"]


def test_others_stand_by_in_case_it_is_deleted() -> None:
    [chosen] = choose_canaries(targets(10), targets(10), None).values()
    assert len(chosen) > 1
    assert len({record.key for record in chosen}) == len(chosen)


@pytest.mark.parametrize("luid", ["item-00007", "connection-00007", "ITEM-00007", "Connection-00007"])
def test_validate_on_names_a_content_or_a_connection(luid: str) -> None:
    [chosen] = choose_canaries(targets(10), targets(10), luid).values()
    assert chosen[0] == target(7)


def test_validate_on_is_for_the_credential_that_has_it_and_the_others_have_one_as_usual() -> None:
    etl = targets(3, snowflake_conn_id="snowflake_etl")
    bi = [target(number, snowflake_conn_id="snowflake_bi") for number in (11, 12)]
    chosen = choose_canaries([*etl, *bi], [*etl, *bi], "item-00012")
    assert chosen["snowflake_bi"][0] == bi[1]
    assert chosen["snowflake_etl"][0] == etl[0]


def test_to_validate_on_what_is_no_target_is_an_error() -> None:
    with pytest.raises(SelectionError, match=r"validate_on: item-00099 is the LUID of no target"):
        choose_canaries(targets(3), targets(3), "item-00099")
