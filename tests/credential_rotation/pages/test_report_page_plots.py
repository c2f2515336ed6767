"""The plots of the report: drawn by pygal, coloured by the page, readable without seeing them."""

from __future__ import annotations

import sys
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from credential_rotation.pages.plots import NO_PYGAL, NOTHING_MEASURED, Plots, draw
from tests.credential_rotation.pages.run_reports import TIMINGS

SVG = "{http://www.w3.org/2000/svg}"


def drawn(**timings: Any) -> list[ET.Element]:
    return [ET.fromstring(str(plot.svg)) for plot in draw(TIMINGS | timings).drawn]  # noqa: S314 (made here)


def test_requests_over_time_with_what_was_throttled_and_the_slowest() -> None:
    over_time, slowest = draw(TIMINGS).drawn
    assert over_time.title == "Requests over time"
    assert (
        over_time.says
        == "87 requests to Tableau, counted every 10 s: at most 4.5 a second; it asked 3 times to slow down."
    )
    assert slowest.says == "The update and proof of the workbook Churn took 12 s."


def test_there_is_a_bar_for_each_slice_of_time_and_each_item() -> None:
    over_time, slowest = drawn()
    bars = [rect for rect in over_time.iter(f"{SVG}rect") if "rect" in (rect.get("class") or "").split()]
    assert len(bars) == 2 * 3
    titles = [title.text for title in over_time.iter(f"{SVG}title")]
    assert titles == ["0:00: 30", "0:10: 42", "0:20: 12", "0:00: 0", "0:10: 3", "0:20: 0"]
    assert [title.text for title in slowest.iter(f"{SVG}title")] == ["Load: 3", "Churn: 12.4"]


def test_a_plot_has_no_style_no_script_and_no_id_of_its_own() -> None:
    """The policy of the page would refuse the first two, and two plots would share the third."""
    for plot in drawn():
        for element in plot.iter():
            assert element.tag.removeprefix(SVG) in {"svg", "g", "rect", "path", "text", "title"}
            assert not {"style", "id", "onclick"} & set(element.attrib)


def test_a_plot_is_a_picture_with_a_text() -> None:
    for plot in drawn():
        assert plot.get("role") == "img"
        assert len(plot.get("aria-label") or "") > 40


def test_time_is_marked_in_round_steps() -> None:
    hours = [[at, 5, 0] for at in range(0, 7 * 3600, 300)]
    marks = [text.text for text in drawn(requests=hours)[0].iter(f"{SVG}text")]
    assert {"0:00", "1:00:00", "2:00:00", "6:00:00"} <= set(marks)
    assert "0:05" not in marks


def test_names_that_xml_has_no_place_for_are_drawn_without_it() -> None:
    hostile = [{"what": "read", "content_type": "flow", "content_name": "a\x0b<b>\ud800" + "x" * 90, "seconds": 1}]
    [_, slowest] = drawn(slowest=hostile)
    [title] = [title.text or "" for title in slowest.iter(f"{SVG}title")]
    assert title.startswith("a <b> xxx")
    assert len(title) < 50


@pytest.mark.parametrize("timings", [{}, {"bucket_seconds": 1, "requests": [], "slowest": []}])
def test_a_run_that_measured_nothing_says_so(timings: dict[str, Any]) -> None:
    assert draw(timings) == Plots(missing=NOTHING_MEASURED)


def test_without_pygal_the_page_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygal", None)
    assert draw(TIMINGS) == Plots(missing=NO_PYGAL)


def test_a_single_slice_and_a_single_item_can_be_drawn() -> None:
    assert len(drawn(requests=[[0, 1, 0]], slowest=TIMINGS["slowest"][:1])) == 2  # type: ignore[index]
