"""The connection that is changed first."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from typing import Any

import pytest

from credential_rotation.rotation.canary import choose_canaries, in_turns, next_canaries
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.selection import SelectionError
from credential_rotation.tableau.content import ContentType
from tests.builders import target, targets


def test_each_credential_with_targets_has_one() -> None:
    given = [*targets(3, snowflake_conn_id="snowflake_etl"), target(9, snowflake_conn_id="snowflake_bi")]
    chosen = choose_canaries(given, None)
    assert list(chosen) == ["snowflake_bi", "snowflake_etl"]
    assert chosen["snowflake_bi"] == [given[3]]
    assert chosen["snowflake_etl"][0].snowflake_conn_id == "snowflake_etl"


def test_without_targets_there_is_none() -> None:
    assert choose_canaries([], None) == {}


def test_it_is_the_same_each_time_however_the_inventory_was_read() -> None:
    given = targets(50)
    first = choose_canaries(given, None)
    for seed in range(5):
        read = random.Random(seed).sample(given, 50)
        assert choose_canaries(read, None) == first


def test_a_connection_of_which_reading_back_shows_most_is_preferred() -> None:
    given = [
        target(1, content_type=ContentType.VIRTUAL_CONNECTION),
        target(2, content_type=ContentType.FLOW),
        target(4, content_type=ContentType.DATASOURCE),
        target(3, content_type=ContentType.WORKBOOK),
    ]
    [chosen] = choose_canaries(given, None).values()
    assert [record.content_type for record in chosen] == ["datasource", "workbook", "flow"]


def test_others_stand_by_in_case_it_is_deleted() -> None:
    [chosen] = choose_canaries(targets(10), None).values()
    assert len(chosen) > 1
    assert len({record.key for record in chosen}) == len(chosen)


@pytest.mark.parametrize("luid", ["item-00007", "connection-00007", "ITEM-00007", "Connection-00007"])
def test_validate_on_names_a_content_or_a_connection(luid: str) -> None:
    [chosen] = choose_canaries(targets(10), luid).values()
    assert chosen[0] == target(7)


def test_validate_on_is_for_the_credential_that_has_it_and_the_others_have_one_as_usual() -> None:
    etl = targets(3, snowflake_conn_id="snowflake_etl")
    bi = [target(number, snowflake_conn_id="snowflake_bi") for number in (11, 12)]
    chosen = choose_canaries([*etl, *bi], "item-00012")
    assert chosen["snowflake_bi"][0] == bi[1]
    assert chosen["snowflake_etl"][0] == etl[0]


def test_to_validate_on_what_is_no_target_is_an_error() -> None:
    with pytest.raises(SelectionError, match=r"validate_on: item-00099 is the LUID of no target"):
        choose_canaries(targets(3), "item-00099")


def first_of(*given: ConnectionRecord, validate_on: str | None = None) -> ConnectionRecord:
    """The canary of one credential, the same one in whatever order the targets were read."""
    firsts = set()
    for seed in range(5):
        read = random.Random(seed).sample(given, len(given))
        [chosen] = choose_canaries(read, validate_on).values()
        firsts.add(chosen[0].key)
    [first] = firsts
    return next(record for record in given if record.key == first)


EXTRACT = {"has_extracts": True}
LIVE = {"has_extracts": False}
WORKBOOK = {"content_type": ContentType.WORKBOOK, "connected_workbooks": None}
IN_ORDER: list[dict[str, Any]] = [
    # A refresh, of what certainly has an extract first.
    {**EXTRACT, "connected_workbooks": 0, "size": 1},
    {**EXTRACT, "connected_workbooks": 0, "size": 2},
    {**EXTRACT, "connected_workbooks": 0, "size": None},
    {**EXTRACT, "connected_workbooks": 1, "size": 1},
    {**EXTRACT, "connected_workbooks": 20, "size": 1},
    {**EXTRACT, "connected_workbooks": None, "size": 1},
    {**EXTRACT, **WORKBOOK},
    {"has_extracts": None, "connected_workbooks": 0, "size": 1},
    {"has_extracts": None, **WORKBOOK, "size": 1},
    # A query, then a view.
    {**LIVE, "connected_workbooks": 0, "size": 1},
    {**LIVE, "connected_workbooks": 3, "size": 1},
    {**LIVE, **WORKBOOK, "size": 1},
    {**LIVE, **WORKBOOK, "size": 2},
    # Only Snowflake can say.
    {"content_type": ContentType.FLOW},
    {"content_type": ContentType.VIRTUAL_CONNECTION},
]


@pytest.mark.parametrize("number", range(1, len(IN_ORDER)))
def test_what_is_proved_best_comes_first_and_then_what_would_hurt_least(number: int) -> None:
    better, worse = IN_ORDER[number - 1 : number + 1]
    # The LUIDs are the other way round: they are the last that counts.
    assert first_of(target(1, **worse), target(2, **better)) == target(2, **better)


def test_the_best_three_stand_in_their_order() -> None:
    given = [target(99 - number, **fields) for number, fields in enumerate(IN_ORDER)]
    [chosen] = choose_canaries(given, None).values()
    assert chosen == given[:3]


@pytest.mark.parametrize("extracts", [True, False, None])
def test_what_only_a_sign_in_could_show_since_its_item_has_several_connections_comes_after_what_tableau_can_show(
    extracts: bool | None,
) -> None:
    several = target(1, has_extracts=extracts, connected_workbooks=0, size=1, connections_in_item=2)
    single = target(2, **LIVE, **WORKBOOK, size=9, connections_in_item=1)
    assert first_of(several, single) == single


def test_of_what_only_a_sign_in_can_show_the_item_with_fewer_connections_comes_first() -> None:
    three = target(1, **EXTRACT, connected_workbooks=0, connections_in_item=3)
    two = target(2, **EXTRACT, connected_workbooks=9, connections_in_item=2)
    one = target(3, has_extracts=False, content_type=ContentType.VIRTUAL_CONNECTION, connections_in_item=1)
    [chosen] = choose_canaries([three, two, one], None).values()
    assert chosen == [one, two, three]


def test_of_what_only_a_sign_in_can_show_what_certainly_has_an_extract_or_none_comes_first() -> None:
    unknown = target(1, has_extracts=None, connections_in_item=2)
    known = target(2, has_extracts=False, connections_in_item=3)
    assert first_of(unknown, known) == known


def test_where_nobody_knows_how_many_connections_an_item_has_it_is_taken_for_one() -> None:
    unknown = target(1, **LIVE, connected_workbooks=1)
    one = target(2, **LIVE, connected_workbooks=0, connections_in_item=1)
    assert first_of(unknown, one) == one
    assert first_of(replace(unknown, connected_workbooks=0), one) == replace(unknown, connected_workbooks=0)


def test_two_credentials_do_not_write_to_one_item_at_the_same_time() -> None:
    given = [
        target(1, **EXTRACT, snowflake_conn_id="snowflake_bi"),
        target(1, **EXTRACT, snowflake_conn_id="snowflake_etl", connection_id="other"),
        target(2, content_type=ContentType.FLOW, snowflake_conn_id="snowflake_etl"),
    ]
    chosen = choose_canaries(given, None)
    assert [records[0] for records in chosen.values()] == [given[0], given[2]]


def two_users(number: int) -> list[ConnectionRecord]:
    """An item with a connection of each of two credentials."""
    names = ("snowflake_bi", "snowflake_etl")
    return [target(number, snowflake_conn_id=name, connection_id=f"{name}-{number}") for name in names]


def test_the_canaries_of_two_credentials_in_one_item_take_turns() -> None:
    [candidates] = in_turns(choose_canaries([*two_users(1), *two_users(2)], "item-00002"))
    assert {each.content_id for each in next_canaries(candidates)} == {"item-00002"}
    assert [each.snowflake_conn_id for each in next_canaries(candidates)] == ["snowflake_bi", "snowflake_etl"]
    deleted = {each.key for each in two_users(2)}
    assert next_canaries(candidates, deleted) == two_users(1)
    assert next_canaries(candidates, deleted | {two_users(1)[0].key}) == two_users(1)[1:]


def test_canaries_in_different_items_do_not_wait_for_each_other() -> None:
    assert len(in_turns(choose_canaries([*two_users(1), *two_users(2)], None))) == 2
    on_another_site = [replace(each, tableau_conn_id="tableau_beta") for each in two_users(1)[1:]]
    assert len(in_turns({"bi": two_users(1)[:1], "etl": on_another_site})) == 2


@pytest.mark.parametrize("seed", range(20))
def test_no_item_is_for_the_canaries_of_two_tasks_whoever_is_deleted(seed: int) -> None:
    dice = random.Random(seed)
    given = [
        target(
            item,
            snowflake_conn_id=f"snowflake_{user}",
            connection_id=f"connection-{item}-{user}",
            tableau_conn_id=f"tableau_{item % 2}",
        )
        for item in range(dice.randint(1, 8))
        for user in range(5)
        if dice.random() < 0.6
    ]
    canaries = choose_canaries(given, None)
    assert canaries.keys() == {each.snowflake_conn_id for each in given}
    tasks = in_turns(canaries)
    assert sum(map(len, tasks)) == sum(map(len, canaries.values()))
    of_items = [item for task in tasks for item in {each.content_id for each in task}]
    assert len(of_items) == len(set(of_items))
    for task in tasks:
        assert len({each.content_id for each in next_canaries(task)}) == 1
        assert len({each.tableau_conn_id for each in task}) == 1


def test_validate_on_counts_more_than_all_of_that() -> None:
    given = [target(number, **fields) for number, fields in enumerate(IN_ORDER, start=1)]
    for asked_for in given:
        assert first_of(*given, validate_on=asked_for.content_id) == asked_for


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (EXTRACT | {"connected_workbooks": 4}, "a refresh of its extract can show that Tableau connects, 4 workbooks"),
        (LIVE, "a query can show that Tableau connects"),
        (LIVE | WORKBOOK, "the data of a view can show that Tableau connects"),
        ({"content_type": ContentType.FLOW}, "nothing that Tableau offers can show that it connects"),
    ],
)
def test_the_log_says_why(fields: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture) -> None:
    given = [target(1, **fields), target(2, **fields)]
    with caplog.at_level(logging.INFO, "credential_rotation.rotation.canary"):
        choose_canaries(given, None)
    [line] = caplog.messages
    assert line.startswith("'snowflake_pat' is validated on the ")
    assert "Sales › Orders 1; chosen of 2 targets: " in line
    assert said in line


def test_the_log_says_that_a_person_asked_for_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "credential_rotation.rotation.canary"):
        choose_canaries(targets(9), "item-00007")
    assert caplog.messages == [
        "'snowflake_pat' is validated on the data source Sales › Orders 7; validate_on asks for it."
    ]


@pytest.mark.parametrize(("number", "said"), [(None, False), (1, False), (2, True)])
def test_the_log_says_that_an_item_has_several_connections(
    number: int | None, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "credential_rotation.rotation.canary"):
        choose_canaries([target(1, **EXTRACT, connections_in_item=number)], None)
    assert ("connections" in caplog.text) is said
    assert (f"it has {number} connections" in caplog.text) is said
