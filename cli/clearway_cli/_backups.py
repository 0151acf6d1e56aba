"""The shared part of ``clearway backup`` and ``clearway restore``: both exec the service's own program."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from clearway_cli._options import database_file


def _file(value: str) -> str:
    if not value:
        raise typer.BadParameter("it must not be empty.")
    return str(Path(value).expanduser())


FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", callback=_file, show_default=False, help="The backup.")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|URL",
        help="The SQLite file, or its URL, sqlite:///FILE."
        "  [default: CLEARWAY_DATABASE, or clearway.db under CLEARWAY_HOME]",
    ),
]


def run(command: str, file: str, database: str | None = None, *more: str) -> NoReturn:
    """Replace this process with a command of the service's backup program."""
    # Without -P, a module in the working directory could shadow a standard-library module.
    arguments = [sys.executable, "-P", "-m", "clearway_service.backup", command, *more]
    if database is not None:
        arguments += ["--database", str(database_file(database))]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [*arguments, "--", file])  # noqa: S606 - our own interpreter and module, no shell
