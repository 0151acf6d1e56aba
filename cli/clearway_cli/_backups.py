"""What ``clearway backup`` and ``clearway restore`` share: both become the service's own program."""

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
    """Run a command of the service's program for backups; this process becomes it."""
    # Without -P, a module in the working directory would be imported in place of a module of Python's own.
    arguments = [sys.executable, "-P", "-m", "clearway_service.backup", command, *more]
    if database is not None:
        arguments += ["--database", str(database_file(database))]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [*arguments, "--", file])  # noqa: S606 - our own interpreter and module, no shell
