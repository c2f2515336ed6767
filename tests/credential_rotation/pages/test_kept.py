"""Pages that take long to make are kept while their file stays as it is, and few of them."""

from __future__ import annotations

import threading
import time

import pytest

from credential_rotation.pages import kept
from credential_rotation.pages.kept import Kept


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
