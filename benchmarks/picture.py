"""The chart of the figures: ``python -m benchmarks.picture FILE.json docs/figures.svg``.

It is written with the standard library: a dozen bars do not justify a plotting library, and the diff of this
SVG shows only the figures that changed. The axis is logarithmic. The colours have medium brightness and the
background is transparent, since a page cannot tell an image whether it is in dark mode.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from xml.etree import ElementTree as ET

from benchmarks.figures import Figure, Record, number, read

SHOWN = (
    "one proposal on the stream",
    "one proposal, unary",
    "transitions on the stream",
    "sequential task, embedded",
    "sequential task, server",
    "map over 1,000, sync, embedded",
    "map over 1,000, sync, server",
    "cached hit, embedded",
    "cached hit, server",
    "10 tasks of 10 ms, limit 2, embedded",
    "10 tasks of 10 ms, limit 2, server",
    "import clearway",
    "one-task script, embedded",
    "one-task script, server",
)
_WIDTH, _LEFT, _RIGHT = 880, 265, 295
_ROW, _BAR, _TOP, _FOOT = 26, 14, 58, 34
_TEXT, _BARS, _LIMIT = "#717a84", "#2f81c7", "#d1702f"
_TICKS = (1, 2, 5, 10, 20, 50, 100)
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


def draw(record: Record) -> str:
    """Return an SVG of the figures in ``SHOWN`` that were measured.

    Raises:
        ValueError: None of them was measured.
    """
    figures = [figure for name in SHOWN for figure in record.figures if figure.name == name]
    if not figures:
        raise ValueError("nothing that the picture shows was measured")
    height = _TOP + _ROW * len(figures) + _FOOT
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {height}",
            "width": str(_WIDTH),
            "height": str(height),
            "font-family": _FONT,
            "font-size": "13",
            "role": "img",
        },
    )
    ET.SubElement(root, "title").text = "What orchestration costs beside the bare limit"
    _text(root, 0, 18, "Times the cost of the bare limit (shorter is better)", size=16, weight="600")
    ratios = [record.ratio(figure) or 1.0 for figure in figures]
    scale = (_WIDTH - _LEFT - _RIGHT) / math.log(max(_TICKS[1], *ratios))
    for tick in _TICKS:
        if tick <= max(_TICKS[1], *ratios):
            _tick(root, tick, _LEFT + math.log(tick) * scale, height - _FOOT)
    for row, (figure, ratio) in enumerate(zip(figures, ratios, strict=True)):
        _bar(root, record, figure, math.log(max(ratio, 1.0)) * scale, _TOP + _ROW * row)
    _text(root, 0, height - 10, f"{record.machine}, {record.rounds} rounds, {record.date[:10]}", size=11)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _bar(root: ET.Element, record: Record, figure: Figure, length: float, top: float) -> None:
    middle = top + _BAR - 2.5
    _text(root, _LEFT - 10, middle, figure.name, anchor="end")
    box = {"x": str(_LEFT), "y": str(top), "width": f"{max(length, 1):.1f}", "height": str(_BAR)}
    bar = ET.SubElement(root, "rect", {**box, "rx": "2", "fill": _BARS})
    limit, ratio = record.figure(figure.bare), number(record.ratio(figure) or 1.0)
    ET.SubElement(bar, "title").text = f"{figure.name}: {ratio} times {limit.name}"
    _text(root, _LEFT + length + 7, middle, f"× {ratio}", weight="600")  # noqa: RUF001
    _text(root, _LEFT + length + 60, middle, f"{_value(figure)}, bare {_value(limit)}", size=11)


def _tick(root: ET.Element, tick: int, x: float, bottom: float) -> None:
    """Draw the grid line for a ratio; the one at 1 is the bare limit."""
    colour, name = (_LIMIT, "bare limit") if tick == 1 else (_TEXT, f"× {tick}")  # noqa: RUF001
    ends = {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": str(_TOP - 8), "y2": f"{bottom:.1f}"}
    look = {"stroke": colour, "stroke-width": "1", "stroke-opacity": "1" if tick == 1 else "0.3"}
    ET.SubElement(root, "line", ends | look)
    _text(root, x, _TOP - 14, name, size=11, anchor="middle", colour=colour)


def _text(
    root: ET.Element,
    x: float,
    y: float,
    text: str,
    *,
    size: int = 13,
    anchor: str = "start",
    weight: str = "400",
    colour: str = _TEXT,
) -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "font-size": str(size), "font-weight": weight}
    ET.SubElement(root, "text", {**place, "text-anchor": anchor, "fill": colour}).text = text


def _value(figure: Figure) -> str:
    return f"{number(figure.median)} {figure.unit}"


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.picture", description="Draw the figures.")
    parser.add_argument("record", type=Path, metavar="FILE.json", help="what python -m benchmarks wrote")
    parser.add_argument("picture", type=Path, metavar="FILE.svg")
    arguments = parser.parse_args()
    try:
        arguments.picture.write_text(draw(read(arguments.record)), encoding="utf-8")
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
