"""Pages that take long to make are kept while their file stays as it is, and few of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from credential_rotation.pages import kept, run_page
from credential_rotation.pages.answers import Busy
from credential_rotation.pages.kept import Kept
from tests.builders import target
from tests.credential_rotation.fleet.story import Story
from tests.credential_rotation.fleet.test_fleet import updated
from tests.credential_rotation.pages.airflow_around import Visitor
from tests.credential_rotation.pages.test_app_access import PAGES


def test_a_page_is_made_again_only_when_its_file_is_another() -> None:
    pages, made = Kept(), []

    def make() -> bytes:
        made.append(1)
        return b"%d" % len(made)

    assert [pages.get("a", stamp, make) for stamp in ("1", "1", "2", "2")] == [b"1", b"1", b"2", b"2"]


def test_only_the_latest_few_are_kept() -> None:
    pages = Kept()
    for number in range(5):
        pages.get(number, "1", lambda: b"first")
    assert pages.get(4, "1", lambda: b"again") == b"first"
    assert pages.get(0, "1", lambda: b"again") == b"again"


def test_a_page_that_is_too_large_is_shown_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_MOST_BYTES", 10)
    pages = Kept()
    assert pages.get("a", "1", lambda: b"x" * 11) == b"x" * 11
    assert pages.get("a", "1", lambda: b"again") == b"again"


def test_many_who_ask_at_once_cost_one_making() -> None:
    pages, made = Kept(), []

    def make() -> bytes:
        made.append(1)
        time.sleep(0.05)
        return b"page"

    asking = [threading.Thread(target=pages.get, args=("a", "1", make)) for _ in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(made) == 1


class Slow:
    """Pages in the making, until they are let go on."""

    def __init__(self, pages: Kept) -> None:
        self._pages, self._may_end = pages, threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, key: str) -> None:
        """Returns when it is being made."""
        begun = threading.Event()

        def make() -> bytes:
            begun.set()
            assert self._may_end.wait(10)
            return key.encode()

        self._threads.append(threading.Thread(target=self._pages.get, args=(key, "1", make)))
        self._threads[-1].start()
        assert begun.wait(10)

    def end(self) -> None:
        """Returns when all are made."""
        self._may_end.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def in_the_making() -> Iterator[Callable[[Kept], Slow]]:
    begun: list[Slow] = []

    def begin(pages: Kept) -> Slow:
        begun.append(Slow(pages))
        return begun[-1]

    yield begin
    for each in begun:
        each.end()


def test_one_that_takes_long_holds_up_no_other(in_the_making: Callable[[Kept], Slow]) -> None:
    pages = Kept(patience=0.1)
    in_the_making(pages).begin("slow")
    assert pages.get("quick", "1", lambda: b"quick") == b"quick"


def test_who_has_waited_long_enough_is_told_so(in_the_making: Callable[[Kept], Slow]) -> None:
    pages = Kept(patience=0.1)
    slow = in_the_making(pages)
    slow.begin("a")
    with pytest.raises(Busy):
        pages.get("a", "1", lambda: b"made twice")
    slow.begin("b")
    with pytest.raises(Busy):
        pages.get("c", "1", lambda: b"a third at once")
    slow.end()
    assert pages.get("a", "1", lambda: b"again") == b"a"
    assert pages.get("c", "1", lambda: b"c") == b"c"


def test_one_that_cannot_be_made_leaves_its_place_to_others() -> None:
    def fail() -> bytes:
        raise OSError("gone")

    pages = Kept(patience=0.1)
    for _ in range(3):
        with pytest.raises(OSError, match="gone"):
            pages.get("a", "1", fail)
    assert pages.get("a", "1", lambda: b"made") == b"made"


def test_a_person_is_told_when_to_come_back(
    visitor: Visitor, story: Story, in_the_making: Callable[[Kept], Slow], monkeypatch: pytest.MonkeyPatch
) -> None:
    story.rotate(updated(target()))
    monkeypatch.setattr(run_page, "_kept", Kept(patience=0.1))
    slow = in_the_making(run_page._kept)
    slow.begin("a")
    slow.begin("b")
    answer = visitor.get(PAGES["/run"])
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "20"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Reload this page in a moment." in answer.text
    slow.end()
    assert visitor.get(PAGES["/run"]).status_code == 200
