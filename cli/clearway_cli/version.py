"""``clearway version``."""

import platform
from importlib import metadata

import typer

from clearway_cli import _output
from clearway_cli._output import Format, FormatOption

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def version(output: FormatOption = Format.TABLE) -> None:
    """Print the version of Clearway."""
    clearway = metadata.version("clearway")
    if output is Format.JSON:
        _output.write_json(
            {"clearway": clearway, "python": platform.python_version(), "protocol": "clearway.v1"}
        )
    else:
        _output.write(f"clearway {clearway}\n")
