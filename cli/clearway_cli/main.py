"""The command ``clearway``: its groups, and what becomes of errors.

Exit codes: 0 all went well, 1 it failed (nothing with this id, the service cannot be reached), 2 it was asked
in a wrong way, 130 interrupted by Ctrl-C. Answers go to stdout, all else to stderr.
"""

import importlib
import io
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from clearway._base.texts import plain
from clearway.exceptions import ClearwayError, InvalidArgument

# Loading a group loads the messages of the protocol and the tables: only the one that is asked for is loaded.
_GROUPS = {
    "server": "Run the service.",
    "flow-run": "List and inspect flow runs.",
    "task-run": "List, inspect and explain task runs.",
    "concurrency-limit": "Limit how many task runs with a tag run at once.",
    "cache": "Look into the cache, and clear it away.",
    "backup": "Save the database, while it is in use.",
    "restore": "Put a backup in place.",
    "config": "Show the settings, and where each comes from.",
    "version": "Print the version of Clearway.",
}


class _LazyGroup(TyperGroup):
    """Lists its commands by their names alone, and loads the one that runs."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in _GROUPS:
            module = importlib.import_module(f"clearway_cli.{name.replace('-', '_')}")
            command = get_command(module.app)
        return name, command, rest


def _listed() -> None:
    """Stand for a group in the list of commands."""


app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _help in _GROUPS.items():
    app.command(_name, help=_help)(_listed)


def _print_version(wanted: bool) -> None:
    if wanted:
        importlib.import_module("clearway_cli.version").version()
        raise typer.Exit


@app.callback()
def clearway(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version of Clearway."
        ),
    ] = False,
) -> None:
    """Orchestrate flows: runs propose their states, the service decides.

    The commands ask the service at CLEARWAY_ADDRESS (host:port) or, where it is not set, the database under
    CLEARWAY_HOME.
    """


def run() -> NoReturn:
    """Run the command that the process was started with, and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As Python does with stderr: what a terminal's encoding does not have is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="clearway")
    except InvalidArgument as error:
        _fail(error, 2)
    except (ClearwayError, OSError) as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _fail(error: Exception, code: int) -> NoReturn:
    sys.stderr.write(f"Error: {plain(str(error), chr(10))}\n")
    sys.exit(code)
