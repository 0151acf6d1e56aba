"""``clearway server``: replace this process with the service."""

import os
import sys
from typing import Annotated, NoReturn

import typer

from clearway_cli._options import database_file, whole_number

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
            help="The SQLite file, created if it does not exist, or its URL, sqlite:///FILE."
            "  [default: CLEARWAY_DATABASE, or clearway.db under CLEARWAY_HOME]",
        ),
    ] = None,
) -> NoReturn:
    """Start the service and run it until it is stopped (Ctrl-C or SIGTERM)."""
    # Without -P, a module in the working directory could shadow a standard-library module.
    arguments = [sys.executable, "-P", "-m", "clearway_service"]
    if host is not None:
        arguments += ["--host", _host(host)]
    if port is not None:
        arguments += ["--port", str(port)]
    if database is not None:
        arguments += ["--database", str(database_file(database))]
    sys.stdout.flush()
    sys.stderr.flush()
    # The service replaces this process, and receives its signals directly.
    os.execv(sys.executable, arguments)  # noqa: S606 - our own interpreter and module, and no shell


def _host(value: str) -> str:
    if not value.strip():
        raise typer.BadParameter(
            "it must not be empty; use 127.0.0.1 for this machine.", param_hint="'--host'"
        )
    return value
