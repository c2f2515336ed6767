"""Dealing targets out to mapped tasks."""

from __future__ import annotations

import itertools

import pytest

from credential_rotation.rotation.batches import LONGEST_LABEL, MOST_BATCHES, MOST_SINGLE_TASKS, MOST_TASKS, split
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.wrong_input import UnusableParams
from tests.builders import target, targets


def _keys(batches: list[tuple[ConnectionRecord, ...]]) -> list[str]:
    return [record.key for batch in batches for record in batch]


@pytest.mark.parametrize("count", [0, 1, 2, 100, 101, MOST_SINGLE_TASKS, MOST_SINGLE_TASKS + 1, 1_500, 15_000])
def test_every_target_is_in_exactly_one_batch_and_the_tasks_are_few(count: int) -> None:
    given = targets(count)
    batches = [batch.targets for batch in split(given)]
    assert sorted(_keys(batches)) == [record.key for record in given]
    assert len(batches) <= MOST_SINGLE_TASKS
    assert all(batches)


def test_as_long_as_targets_are_few_each_has_a_task_of_its_own() -> None:
    assert len(split(targets(MOST_SINGLE_TASKS))) == MOST_SINGLE_TASKS
    assert len(split(targets(MOST_SINGLE_TASKS + 1))) <= MOST_BATCHES


@pytest.mark.parametrize("count", [1_500, 15_000])
def test_many_credentials_on_many_sites_do_not_make_many_tasks(count: int) -> None:
    given = [
        target(number, snowflake_conn_id=f"snowflake_{number % 7}", tableau_conn_id=f"tableau_{number % 3}")
        for number in range(count)
    ]
    batches = split(given)
    assert len(batches) <= MOST_BATCHES + 3
    for batch in batches:
        assert len({record.tableau_conn_id for record in batch.targets}) == 1


@pytest.mark.parametrize(
    ("count", "parallel", "tasks"),
    [(121, 8, 8), (667, 8, 8), (2_667, 8, 24), (15_000, 8, 48), (15_000, 1, 48), (667, 5, 5), (15_000, 7, 42)],
)
def test_batches_come_in_rounds_so_that_no_slot_is_idle(count: int, parallel: int, tasks: int) -> None:
    sizes = [len(batch.targets) for batch in split(targets(count), parallel=parallel)]
    assert len(sizes) == tasks
    assert max(sizes) - min(sizes) < tasks


def test_more_slots_than_batches_are_filled_too() -> None:
    assert len(split(targets(400), parallel=100)) == 100


def test_connections_per_task_is_obeyed() -> None:
    assert [len(batch.targets) for batch in split(targets(7), 3)] == [3, 3, 1]
    assert [len(batch.targets) for batch in split(targets(500), 500)] == [500]


def _with_siblings(items: int, connections: int) -> list[ConnectionRecord]:
    return [
        target(item, connection_id=f"connection-{item}-{number}")
        for number in range(connections)
        for item in range(items)
    ]


@pytest.mark.parametrize("per_task", [1, 2, 4, 5, 7, 50])
def test_connections_of_one_item_are_never_in_two_batches(per_task: int) -> None:
    batches = split(_with_siblings(items=20, connections=3), per_task)
    homes = [{record.content_id for record in batch.targets} for batch in batches]
    for one, other in itertools.combinations(homes, 2):
        assert not one & other
    assert len(batches) <= -(-60 // per_task)


def test_where_each_connection_has_a_task_those_of_one_item_share_it() -> None:
    batches = split(_with_siblings(items=10, connections=3))
    assert [len({target.content_id for target in batch.targets}) for batch in batches] == [1] * 10
    assert [len(batch.targets) for batch in batches] == [3] * 10


def test_a_task_for_one_connection_is_called_after_it() -> None:
    [batch] = split([target(1, content_name="Orders", project="Sales")])
    assert batch.label == "Sales › Orders · ETL_USER"


def test_content_without_a_project_is_called_by_its_name_alone() -> None:
    [batch] = split([target(1, content_name="Orders", project="")])
    assert batch.label == "Orders · ETL_USER"


def test_the_label_of_a_batch_says_how_many_and_from_where_to_where() -> None:
    [batch] = split(targets(3), 10)
    assert batch.label == "3 connections · Sales › Orders 1 … Sales › Orders 3"


def test_the_label_of_connections_of_one_item_names_their_users() -> None:
    users = [
        target(1, connection_id=f"connection-{user}", username=user) for user in ("BI_USER", "ETL_USER", "BI_USER")
    ]
    [batch] = split(users, 1)
    assert batch.label == "Sales › Orders 1 · BI_USER, ETL_USER"


def test_no_label_is_longer_than_airflow_keeps() -> None:
    long = [target(number, content_name="N" * 255, project="P" * 255, username="u" * 255) for number in (1, 2)]
    assert [len(batch.label) for batch in [*split(long), *split(long, 2)]] == [LONGEST_LABEL] * 3


def test_batches_too_small_for_so_many_targets_are_refused_with_a_size_that_works() -> None:
    with pytest.raises(UnusableParams, match=r"connections_per_task: 1 makes 2500 tasks .* set it to 53") as raised:
        split(targets(2_500), 1)
    assert str(MOST_TASKS) in str(raised.value)
    assert len(split(targets(2_500), 53)) <= MOST_BATCHES
