"""Where the time of a run went, drawn as SVG by pygal. What it says of colours is dropped: style.css has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from credential_rotation.pages.wording import counted, duration, number, type_words

NO_PYGAL = "The plots are drawn with the package pygal, which is not installed here; requirements.txt names it."
NOTHING_MEASURED = "This run did not note when it asked Tableau what."

_DROPPED = ("style", "script", "title", "desc", "defs")
_TICKS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MOST_TICKS = 8
_LONGEST_NAME = 34


@dataclass(frozen=True)
class Plot:
    """A drawing, and what it shows in words."""

    title: str
    says: str
    svg: Markup
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Plots:
    """The drawings; or why there are none."""

    drawn: tuple[Plot, ...] = ()
    missing: str = ""


def draw(timings: Mapping[str, Any]) -> Plots:
    """The plots of a report.

    :param timings: of ``report.json``: requests over time, and what took longest
    """
    requests = [each for each in timings.get("requests") or () if each]
    slowest = timings.get("slowest") or ()
    if not requests and not slowest:
        return Plots(missing=NOTHING_MEASURED)
    try:
        import pygal  # type: ignore[import-untyped]  # noqa: F401, PLC0415 (only who draws needs it)
    except ImportError:
        return Plots(missing=NO_PYGAL)
    drawn = []
    if requests:
        drawn.append(_over_time(requests, float(timings.get("bucket_seconds") or 1)))
    if slowest:
        drawn.append(_slowest(slowest))
    return Plots(tuple(drawn))


def _over_time(requests: Sequence[Sequence[int]], bucket: float) -> Plot:
    import pygal  # noqa: PLC0415

    chart = _chart(pygal.StackedBar, height=210)
    times = [at for at, *_ in requests]
    tick = next((each for each in _TICKS if times[-1] / each <= _MOST_TICKS), _TICKS[-1])
    chart.x_labels = [_clock(at) for at in times]
    chart.x_labels_major = [_clock(at) for at in times if at % tick == 0]
    chart.show_minor_x_labels = False
    # What was asked to slow down was sent, too; the bars are stacked.
    chart.add("sent", [max(0, sent - throttled) for _, sent, throttled in requests])
    chart.add("asked to slow down", [throttled for _, _, throttled in requests])
    most = max(sent for _, sent, _ in requests)
    throttled = sum(throttled for _, _, throttled in requests)
    slowed = f"it asked {number(throttled)} times to slow down" if throttled else "it never asked to slow down"
    says = (
        f"{counted(sum(sent for _, sent, _ in requests), 'request')} to Tableau, counted every {duration(bucket)}: "
        f"at most {most / bucket:.3g} a second; {slowed}."
    )
    legend = (("plan", "answered"), ("warn", "asked to slow down")) if throttled else ()
    return Plot("Requests over time", says, _svg(chart, f"Requests over time. {says}"), legend)


def _slowest(slowest: Sequence[Mapping[str, Any]]) -> Plot:
    import pygal  # noqa: PLC0415

    # pygal draws from the bottom up.
    upwards = list(reversed(slowest))
    chart = _chart(pygal.HorizontalBar, height=34 + 22 * len(slowest))
    chart.x_labels = [_label(each) for each in upwards]
    chart.add("seconds", [float(each.get("seconds") or 0) for each in upwards])
    first = slowest[0]
    what = "The update and proof of" if first.get("what") == "update" else "Reading"
    says = (
        f"{what} the {type_words(first.get('content_type'))} {_printable(first.get('content_name'))} took "
        f"{duration(float(first.get('seconds') or 0))}."
    )
    return Plot("What took longest, in seconds", says, _svg(chart, f"What took longest, in seconds. {says}"))


def _chart(kind: Any, *, height: int) -> Any:
    from pygal.style import Style  # type: ignore[import-untyped]  # noqa: PLC0415

    chart = kind(
        width=600,
        height=height,
        style=Style(label_font_size=11, major_label_font_size=11, font_family="sans-serif"),
        js=[],
        css=[],
        no_prefix=True,
        disable_xml_declaration=True,
        show_legend=False,
        margin=4,
        spacing=6,
        min_scale=2,
        max_scale=5,
        rounded_bars=1,
        truncate_label=-1,
        include_x_axis=True,
        value_formatter=lambda value: f"{value:,.6g}",
    )
    chart.add_xml_filter(_bare)
    return chart


def _svg(chart: Any, says: str) -> Markup:
    # pygal escapes what it is given.
    drawn = chart.render(is_unicode=True)
    head = Markup('<svg class="plot" role="img" aria-label="{}" ').format(says)
    return head + Markup(drawn.removeprefix("<svg "))  # noqa: S704


def _bare(root: Any) -> Any:
    """Without comments, styles, scripts and texts for these; what a bar stands for as its title: browsers show it."""
    for name in ("id", "class"):
        root.attrib.pop(name, None)
    for parent in list(root.iter()):
        parent.attrib.pop("style", None)
        told = [child.text for child in parent if child.tag == "desc" and child.get("class") in ("value", "x_label")]
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag in _DROPPED or "overlay" in child.get("class", ""):
                parent.remove(child)
        if told and parent.get("class") == "bar":
            title = parent.makeelement("title", {})
            title.text = ": ".join(text for text in reversed(told) if text)
            parent.insert(0, title)
    return root


def _label(each: Mapping[str, Any]) -> str:
    name = _printable(each.get("content_name"))
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _clock(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _printable(text: object) -> str:
    """Without what XML has no place for."""
    return "".join(char if char.isprintable() else " " for char in str(text or ""))
