"""``clearway server``: run the service in this process's place."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from clearway_cli._options import whole_number

_SQLITE_URL = "sqlite:///"

app = typer.Typer(help="Run the service.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def server() -> None:
    """Run the service."""


@app.command()
def start(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on.  [default: CLEARWAY_HOST, or 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            parser=whole_number(0, 65_535),
            help="The port; 0 picks a free one.  [default: CLEARWAY_PORT, or 4200]",
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            help="The SQLite file, made where it does not exist, or its URL, sqlite:///FILE."
            "  [default: CLEARWAY_DATABASE, or clearway.db under CLEARWAY_HOME]",
        ),
    ] = None,
) -> NoReturn:
    """Start the service and run it until it is told to stop (Ctrl-C, or SIGTERM)."""
    arguments = [sys.executable, "-m", "clearway_service"]
    if host is not None:
        arguments += ["--host", _host(host)]
    if port is not None:
        arguments += ["--port", str(port)]
    if database is not None:
        arguments += ["--database", str(_database(database))]
    sys.stdout.flush()
    sys.stderr.flush()
    # The service takes this process's place, and its signals: nothing of the command line stays in between.
    os.execv(sys.executable, arguments)  # noqa: S606 - our own interpreter and module, and no shell


def _host(value: str) -> str:
    if not value.strip():
        raise typer.BadParameter("it must not be empty; 127.0.0.1 is this machine.", param_hint="'--host'")
    return value


def _database(value: str) -> Path:
    if "://" in value and not value.startswith(_SQLITE_URL):
        raise typer.BadParameter(
            f"{value!r} is not a database that the service can use; give a file, or {_SQLITE_URL}FILE.",
            param_hint="'--database'",
        )
    path = value.removeprefix(_SQLITE_URL)
    if not path or path == ":memory:":
        raise typer.BadParameter(f"{value!r} names no file.", param_hint="'--database'")
    found = Path(path).expanduser()
    if found.is_dir():
        raise typer.BadParameter(f"{value!r} is a directory; give a file in it.", param_hint="'--database'")
    if found.parent.exists() and not found.parent.is_dir():
        raise typer.BadParameter(
            f"{value!r} cannot be made, since {str(found.parent)!r} is not a directory.",
            param_hint="'--database'",
        )
    return found.absolute()
