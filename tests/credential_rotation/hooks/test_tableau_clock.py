"""What time it is for Tableau, by the Date of its answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.tableau.errors import ServerFault, Throttled
from credential_rotation.tableau.success import METADATA
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import Redirect, ServerError, TableauServer, TableauState, Throttle
from sandbox.tableau.server import _Handler
from tests.credential_rotation.hooks.connecting import Connect

A_SECOND = timedelta(seconds=1)


def is_now(moment: datetime, shift: timedelta = timedelta()) -> bool:
    return abs(datetime.now(UTC) + shift - moment) < 3 * A_SECOND


@pytest.fixture
def hook(connect: Connect) -> TableauHook:
    return connect()


@contextmanager
def dated(monkeypatch: pytest.MonkeyPatch, date: str | None) -> Iterator[None]:
    """Answers that say this Date, or none."""
    with monkeypatch.context() as patch:
        if date is None:
            send_header = _Handler.send_header

            def without_date(self: _Handler, keyword: str, value: str) -> None:
                if keyword != "Date":
                    send_header(self, keyword, value)

            patch.setattr(_Handler, "send_header", without_date)
        else:
            patch.setattr(_Handler, "date_time_string", lambda self, timestamp=None: date)
        yield


def test_before_any_answer_it_is_the_time_here(hook: TableauHook) -> None:
    assert is_now(hook.clock())


@pytest.mark.parametrize("minutes", [-90, 0, 90])
def test_it_is_what_tableau_says_however_wrong_the_clock_here_is(
    hook: TableauHook, state: TableauState, minutes: int
) -> None:
    state.clock.advance(minutes=minutes)
    hook.call("GET", "flows")
    assert is_now(hook.clock(), timedelta(minutes=minutes))
    assert TableauSite(hook).clock() == hook.clock()


def test_it_follows_each_answer(hook: TableauHook, state: TableauState) -> None:
    hook.call("GET", "flows")
    before = hook.clock()
    state.clock.advance(minutes=10)
    assert hook.clock() == before
    hook.call("GET", "flows")
    assert timedelta(minutes=10) <= hook.clock() - before < timedelta(minutes=11)


def test_an_answer_that_is_no_xml_counts_as_well(hook: TableauHook, state: TableauState) -> None:
    hook.version()
    state.clock.advance(minutes=10)
    hook.fetch("GET", "/api/v1/vizql-data-service/simple-request", METADATA)
    assert is_now(hook.clock(), timedelta(minutes=10))


def test_a_refusal_counts_as_well(hook: TableauHook, server: TableauServer, state: TableauState) -> None:
    hook.version()
    state.clock.advance(minutes=10)
    server.faults.script("list_flows", Throttle("3600"))
    with pytest.raises(Throttled):
        hook.call("GET", "flows")
    assert is_now(hook.clock(), timedelta(minutes=10))


def test_a_redirect_does_not_for_it_may_be_somebody_else_s(
    hook: TableauHook, server: TableauServer, state: TableauState, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.version()
    before = hook.clock()
    server.faults.script("list_flows", Redirect("https://elsewhere.example/"))
    state.clock.advance(minutes=10)
    with pytest.raises(Exception, match="Nothing was sent there"):
        hook.call("GET", "flows")
    assert hook.clock() == before


def test_where_tableau_says_none_it_is_the_time_here(hook: TableauHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with dated(monkeypatch, None):
        hook.call("GET", "flows")
    assert is_now(hook.clock())


NONSENSE = [
    "",
    "now",
    "0",
    "1795500000",
    "2026-11-24T04:00:00Z",
    "Tue, 99 Nov 2026 04:00:00 GMT",
    "Tue, 24 Nov 99999999999999999999 04:00:00 GMT",
    "Tue, 24 Nov 2026 99999999999999999999:00:00 GMT",
    "Tue, 24 Nov 2026 04:00:00 +99999999999999999999",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "ä",
]


@pytest.mark.parametrize("date", NONSENSE)
def test_nonsense_changes_nothing(hook: TableauHook, monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    with dated(monkeypatch, "Tue, 24 Nov 2026 04:00:00 GMT"):
        hook.call("GET", "flows")
    with dated(monkeypatch, date):
        assert hook.call("GET", "flows") is not None
    assert hook.clock() == datetime(2026, 11, 24, 4, tzinfo=UTC)


@pytest.mark.parametrize("date", NONSENSE)
def test_nonsense_in_a_retry_after_is_no_time(date: str) -> None:
    from credential_rotation.tableau.transport import retry_after_seconds  # noqa: PLC0415

    assert retry_after_seconds(date) in (None, float(date) if date.isdecimal() else None)


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000", "UTC"])
def test_whatever_zone_it_is_in_the_text_of_a_later_moment_is_greater(
    hook: TableauHook, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    with dated(monkeypatch, f"Tue, 24 Nov 2026 04:00:00 {zone}"):
        hook.call("GET", "flows")
    assert hook.clock().isoformat() == "2026-11-24T04:00:00+00:00"
    with dated(monkeypatch, "Tue, 24 Nov 2026 00:00:00 -0500"):
        hook.call("GET", "flows")
    assert hook.clock().isoformat() == "2026-11-24T05:00:00+00:00"


def test_a_failure_on_the_way_changes_nothing(hook: TableauHook, server: TableauServer, waits: list[float]) -> None:
    hook.call("GET", "flows")
    server.stop()
    before = hook.clock()
    with pytest.raises(Exception, match="no answer from"):
        hook.call("GET", "flows")
    assert hook.clock() == before
    server.start()
    server.faults.script("list_flows", ServerError(), times=99)
    server.state.clock.advance(minutes=10)
    with pytest.raises(ServerFault):
        hook.call("GET", "flows")
    assert hook.clock() > before
