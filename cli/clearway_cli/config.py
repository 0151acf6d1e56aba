"""``clearway config``: show the settings, and where each comes from."""

import os

import typer
from rich.text import Text

from clearway._settings.showing import Shown, show
from clearway._settings.sources import Sources
from clearway._settings.table import TABLE
from clearway_cli import _output, _tables
from clearway_cli._output import Format, FormatOption
from clearway_cli._tables import Column

_COLUMNS = (Column("SETTING"), Column("VALUE", fold_to=16), Column("SOURCE", fold_to=24))

app = typer.Typer(
    help="Show the settings, and where each comes from.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def config() -> None:
    """Show the settings, and where each comes from."""


@app.command()
def view(output: FormatOption = Format.TABLE) -> None:
    """Show each setting, its value, and where that comes from: a variable, the profile, or the default.

    Keys are not shown, nor passwords in URLs. Wrong settings are listed, with what would be right; the exit
    code is then 1. Options of a running server are in its log.
    """
    sources = Sources(os.environ)
    shown = [show(sources, name) for name in TABLE]
    problems = [each.problem for each in shown if each.problem]
    if not shown[0].problem:  # there is a home, and so perhaps a profile in it
        problems = [*sources.profile.problems, *problems]
    if output is Format.JSON:
        _output.write_json([_document(each) for each in shown])
    else:
        _tables.show(_COLUMNS, [_row(each) for each in shown])
    for warning in sources.unknown_variables():
        _output.note(f"Warning: {warning}")
    for problem in dict.fromkeys(problems):
        _output.note(f"Error: {problem}")
    if problems:
        raise typer.Exit(1)


def _row(shown: Shown) -> list[Text]:
    value = Text("wrong", style="red") if shown.problem else Text(_output.name(shown.value))
    return [Text(shown.setting.name), value, Text(_output.name(shown.source))]


def _document(shown: Shown) -> dict[str, str | None]:
    return {
        "setting": shown.setting.name,
        "variable": shown.setting.variable,
        "value": None if shown.problem else shown.value,
        "source": shown.source,
        "problem": shown.problem or None,
    }
