"""Tables fit the terminal, and what people must copy is never cut off."""

from collections.abc import Callable

import pytest
from rich.text import Text

from clearway_cli import _tables
from clearway_cli._tables import Column

Printed = Callable[[int], str]
RUN_ID = "01920000-0000-7000-8000-000000000001"
COLUMNS = (
    Column("ID"),
    Column("NAME", fold_to=8),
    Column("STATE"),
    Column("AGE", optional=True),
    Column("TAGS", optional=True),
)
ROW = (Text(RUN_ID), Text("a-name-of-twenty-two-c"), Text("Completed"), Text("3m ago"), Text("disk"))


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    def at(width: int) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        _tables.show(COLUMNS, [ROW])
        return capsys.readouterr().out

    return at


def test_a_wide_terminal_shows_all_columns_on_one_line(printed: Printed) -> None:
    heading, row = printed(200).splitlines()
    assert heading.split() == ["ID", "NAME", "STATE", "AGE", "TAGS"]
    assert row.split() == [RUN_ID, "a-name-of-twenty-two-c", "Completed", "3m", "ago", "disk"]


@pytest.mark.parametrize("width", [60, 70, 80, 90])
def test_lines_are_no_longer_than_the_terminal(printed: Printed, width: int) -> None:
    assert max(len(line) for line in printed(width).splitlines()) <= width


@pytest.mark.parametrize("width", [10, 30, 40, 50, 80, 200])
def test_an_id_stays_whole_however_narrow_the_terminal_is(printed: Printed, width: int) -> None:
    assert RUN_ID in printed(width)


def test_optional_columns_leave_from_the_last(printed: Printed) -> None:
    assert printed(70).splitlines()[0].split() == ["ID", "NAME", "STATE", "AGE"]
    assert printed(60).splitlines()[0].split() == ["ID", "NAME", "STATE"]
    assert printed(20).splitlines()[0].split() == ["ID", "NAME", "STATE"]


@pytest.mark.parametrize(
    ("available", "expected"), [(100, [0, 1, 2]), (34, [0, 1, 2]), (33, [0, 1]), (21, [0]), (1, [0])]
)
def test_columns_are_left_out_one_by_one(available: int, expected: list[int]) -> None:
    columns = (Column("A"), Column("B", optional=True), Column("C", optional=True))
    assert _tables.fitting(columns, [10, 10, 10], available) == expected


def test_a_folded_name_loses_nothing(printed: Printed) -> None:
    text = printed(60)
    assert "…" not in text
    heading, *lines = text.splitlines()
    start, end = heading.index("NAME"), heading.index("STATE")
    assert len(lines) > 1
    assert "".join(line[start:end].strip() for line in lines) == "a-name-of-twenty-two-c"


def test_facts_keep_ids_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    _tables.show_facts([("Flow run", Text(RUN_ID))])
    assert capsys.readouterr().out == f"Flow run  {RUN_ID}\n"
