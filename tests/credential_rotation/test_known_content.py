"""What is remembered of a site between runs, and when nobody relies on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from credential_rotation.known_content import KnownContent, SiteMemory, read_known, write_known
from credential_rotation.rotation.inventory import Item
from credential_rotation.tableau.content import Connection, Content, ContentType

SITE = "https://tableau.example/#/site/acme"
ORDERS = Content(ContentType.DATASOURCE, "orders", "Orders", updated_at="2026-11-20T08:00:00Z")
SALES = Content(ContentType.WORKBOOK, "sales", "Sales", updated_at="2026-11-21T08:00:00Z")
# What is newest is asked in every run.
NEWEST = Content(ContentType.FLOW, "newest", "Newest", updated_at="2026-11-24T12:00:00Z")


def item(content: Content) -> Item:
    return Item(content, (Connection(f"{content.id}-1", "snowflake", username="ETL"),))


def memory(folder: Path, *tokens: str, every: int = 7, is_sweep: bool = False) -> SiteMemory:
    return SiteMemory(f"file://{folder}", SITE, every=every, tokens=lambda: tokens, is_sweep=is_sweep)


def run(
    folder: Path, *items: Item, every: int = 7, tokens: tuple[str, ...] = ("fp",), is_sweep: bool = False
) -> list[str]:
    """A run over these and the newest item; the LUIDs of the others that are asked."""
    remembered = memory(folder, *tokens, every=every, is_sweep=is_sweep)
    known = remembered.connections(each.content for each in items)
    asked = [each.content.id for each in items if each.content.id not in known]
    remembered.keep([*items, item(NEWEST)])
    return asked


def test_what_did_not_change_is_not_asked_again(tmp_path: Path) -> None:
    assert run(tmp_path, item(ORDERS), item(SALES)) == ["orders", "sales"]
    assert run(tmp_path, item(ORDERS), item(SALES)) == []
    assert memory(tmp_path, "fp").connections([SALES]) == {"sales": item(SALES).connections}


def test_what_changed_and_what_is_new_is_asked(tmp_path: Path) -> None:
    run(tmp_path, item(ORDERS))
    changed = replace(ORDERS, updated_at="2026-11-24T11:00:00Z")
    assert run(tmp_path, item(changed), item(SALES)) == ["orders", "sales"]
    assert run(tmp_path, item(changed), item(SALES)) == []


@pytest.mark.parametrize(("seconds", "is_asked"), [(0, True), (1, True), (2, False)])
def test_what_changed_about_when_the_newest_item_did_is_asked_again(
    tmp_path: Path, seconds: int, is_asked: bool
) -> None:
    about_then = replace(ORDERS, updated_at=f"2026-11-24T12:00:{10 - seconds:02}Z")
    newest = replace(NEWEST, updated_at="2026-11-24T12:00:10Z")
    for _ in range(2):
        remembered = memory(tmp_path, "fp")
        known = remembered.connections([about_then, newest])
        asked = [each.id for each in (about_then, newest) if each.id not in known]
        remembered.keep([item(about_then), item(newest)])
    assert asked == ["orders", "newest"][not is_asked :]


@pytest.mark.parametrize("updated_at", ["", "yesterday"])
def test_an_item_without_a_time_is_always_asked(tmp_path: Path, updated_at: str) -> None:
    timeless = replace(ORDERS, updated_at=updated_at)
    run(tmp_path, item(timeless))
    assert run(tmp_path, item(timeless)) == ["orders"]


def test_what_could_not_be_read_is_asked_again(tmp_path: Path) -> None:
    run(tmp_path, Item(ORDERS, unreadable="500"), Item(SALES, gone=True))
    assert run(tmp_path, item(ORDERS), item(SALES)) == ["orders", "sales"]


def test_every_third_run_asks_all(tmp_path: Path) -> None:
    asked = [run(tmp_path, item(ORDERS), every=3) for _ in range(7)]
    assert asked == [["orders"], [], [], ["orders"], [], [], ["orders"]]


def test_a_new_token_asks_all_and_one_that_was_there_before_does_not(tmp_path: Path) -> None:
    run(tmp_path, item(ORDERS), tokens=("one", "two"))
    assert run(tmp_path, item(ORDERS), tokens=("two",)) == []
    assert run(tmp_path, item(ORDERS), tokens=("two", "three")) == ["orders"]
    assert run(tmp_path, item(ORDERS), tokens=("one",)) == ["orders"]


def test_who_asks_for_all_gets_all(tmp_path: Path) -> None:
    run(tmp_path, item(ORDERS))
    assert run(tmp_path, item(ORDERS), is_sweep=True) == ["orders"]


def test_by_default_nothing_is_remembered(tmp_path: Path) -> None:
    for _ in range(2):
        assert run(tmp_path, item(ORDERS), every=1) == ["orders"]
    assert list(tmp_path.iterdir()) == []


def test_items_of_types_that_a_run_was_not_for_are_still_known(tmp_path: Path) -> None:
    run(tmp_path, item(ORDERS), item(SALES))
    run(tmp_path, item(SALES))
    assert run(tmp_path, item(ORDERS), item(SALES)) == []


@pytest.mark.parametrize("text", ["[]", "{}", '{"version": 1, "items": {"orders": 7}}', "half a fi"])
def test_a_file_that_says_nothing_is_no_obstacle(tmp_path: Path, text: str) -> None:
    write_known(f"file://{tmp_path}", SITE, KnownContent())
    [path] = (tmp_path / "known").iterdir()
    path.write_text(text)
    assert read_known(f"file://{tmp_path}", SITE) == KnownContent()
    assert run(tmp_path, item(ORDERS)) == ["orders"]
