"""What reaches stdout."""

import json

import pytest
from rich.text import Text

from clearway_cli import _output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, with ümlauts and 漢字", "plain, with ümlauts and 漢字"),
        ("two\nlines", "two\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("back\rover\x07", "back\\rover\\x07"),
        ("right\u202eto left", "right\\u202eto left"),
        ("half a pair \ud800", "half a pair \\ud800"),
    ],
)
def test_a_clients_text_cannot_steer_the_terminal(text: str, expected: str) -> None:
    assert _output.plain(text) == expected


def test_markup_in_a_name_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    _output.show(Text(_output.plain("[red]name[/red]")))
    assert capsys.readouterr().out == "[red]name[/red]\n"


def test_json_is_ascii_and_valid(capsys: pytest.CaptureFixture[str]) -> None:
    _output.write_json({"name": "ümlaut \ud800"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == {"name": "ümlaut \ud800"}


def test_lines_in_a_pipe_are_not_folded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    _output.show(Text("word " * 200))
    assert capsys.readouterr().out == ("word " * 200).rstrip() + "\n"
