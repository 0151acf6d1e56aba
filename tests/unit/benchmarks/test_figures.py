"""What a run of the benchmarks measured, as JSON, as Markdown and as a picture."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from benchmarks.figures import Figure, Record, read, write
from benchmarks.measuring import Measurement, chosen, measure
from benchmarks.picture import SHOWN, draw
from benchmarks.rows import Rows
from benchmarks.table import fill, tables
from rich.console import Console

from clearway_service.store import schema

BARE, RATE = "bare call", "bare rate"
RECORD = Record(
    "2030-01-02T03:04+00:00",
    "2 cores",
    3,
    (
        Figure(BARE, "ms", (0.5, 0.4, 0.6)),
        Figure(RATE, "tasks/s", (1_000.0,), more_is_better=True),
        Figure(SHOWN[0], "ms", (3.0, 1.0, 2.0), BARE),
        Figure(SHOWN[2], "tasks/s", (250.0,), RATE, more_is_better=True),
        Figure("memory", "bytes", (12_345.0,)),
    ),
)


def test_a_ratio_says_how_many_times_the_limits_cost_whichever_way_is_better() -> None:
    ratios = [RECORD.ratio(figure) for figure in RECORD.figures]
    assert ratios == [None, None, 4.0, 4.0, None]


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(RECORD, tmp_path / "new" / "record.json")
    assert read(tmp_path / "new" / "record.json") == RECORD


def test_the_table_has_medians_spreads_and_ratios_and_each_limit_beside_its_figures() -> None:
    lines = tables(RECORD, list(RECORD.figures)).splitlines()
    assert f"| {SHOWN[0]} | 4 | 2 ms | 1 to 3 | {BARE}: 0.5 ms |" in lines
    assert f"| {SHOWN[2]} | 4 | 250 tasks/s |  | {RATE}: 1,000 tasks/s |" in lines
    assert "| memory | 12,345 bytes |  |" in lines
    assert lines[-1] == "Measured on 2 cores, 3 rounds, 2030-01-02."


def test_a_documents_table_is_replaced_and_the_rest_is_left() -> None:
    text = "before\n<!-- figures: memory -->\nold\n<!-- /figures -->\nafter\n"
    filled = fill(text, RECORD)
    assert filled.startswith("before\n<!-- figures: memory -->\n")
    assert filled.endswith("\n<!-- /figures -->\nafter\n")
    assert "12,345" in filled
    assert "old" not in filled
    assert SHOWN[0] not in filled
    assert fill(filled, RECORD) == filled


@pytest.mark.parametrize(
    ("text", "said"),
    [("no markers", "no line"), ("<!-- figures: memry -->\n<!-- /figures -->", "memry")],
)
def test_a_document_that_cannot_be_filled_says_why(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fill(text, RECORD)


def test_a_whole_name_chooses_its_own_row_and_a_part_of_names_all_that_have_it() -> None:
    other = Figure("memory of a task", "bytes", (1.0,))
    record = Record(RECORD.date, RECORD.machine, RECORD.rounds, (*RECORD.figures, other))
    assert [figure.name for figure in record.chosen(["memory"])] == ["memory"]
    assert [figure.name for figure in record.chosen(["mem"])] == ["memory", "memory of a task"]


def test_the_picture_has_a_bar_for_each_shown_figure_and_its_length_grows_with_the_ratio() -> None:
    slow = Figure(SHOWN[1], "ms", (20.0,), BARE)
    record = Record(RECORD.date, RECORD.machine, RECORD.rounds, (*RECORD.figures, slow))
    root = ET.fromstring(draw(record))
    space = "{http://www.w3.org/2000/svg}"
    bars = {bar[0].text: float(bar.attrib["width"]) for bar in root.iter(f"{space}rect")}
    first, second, third = bars.values()
    assert list(bars)[1] == f"{SHOWN[1]}: 40 times {BARE}"
    assert first == third < second


def test_a_picture_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        draw(Record(RECORD.date, RECORD.machine, 1, RECORD.figures[:1]))


def test_a_row_has_a_value_for_each_column_and_knows_no_others() -> None:
    rows = Rows(schema.state)
    assert len(rows.row(id="a")) == rows.sql.count("?") == len(schema.state.columns)
    with pytest.raises(ValueError, match="colour"):
        rows.row(colour="red")


def test_what_is_chosen_comes_with_its_limit_and_the_limits_own() -> None:
    every = [
        Measurement(name, "ms", lambda: 1.0, bare)
        for name, bare in (("wire", ""), ("task", "wire"), ("task, safe", "task"), ("other", "wire"))
    ]
    assert [each.name for each in chosen(every, ["safe"])] == ["wire", "task", "task, safe"]


def test_each_thing_is_measured_once_a_round_and_in_turn_but_for_what_takes_long() -> None:
    taken: list[str] = []

    def take(name: str) -> float:
        taken.append(name)
        return float(len(taken))

    every = [
        Measurement("a", "ms", partial(take, "a")),
        Measurement("b", "ms", partial(take, "b"), "a"),
        Measurement("c", "s", partial(take, "c"), once=True),
    ]
    record = measure(every, 2, Console(file=io.StringIO()))
    assert taken == ["a", "b", "c", "a", "b"]
    assert [figure.values for figure in record.figures] == [(1.0, 4.0), (2.0, 5.0), (3.0,)]
    assert record.ratio(record.figure("b")) == 3.5 / 2.5
