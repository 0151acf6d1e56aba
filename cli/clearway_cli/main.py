"""The command ``clearway``: its groups, and how errors are reported.

Exit codes: 0 success, 1 failure (no such id, the service is unreachable), 2 wrong usage, 130 interrupted by
Ctrl-C. Output goes to stdout, everything else to stderr.
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

# Importing a group imports the protocol's messages and the tables, so only the requested one is imported.
_GROUPS = {
    "server": "Run the service.",
    "flow-run": "List and inspect flow runs.",
    "task-run": "List, inspect and explain task runs.",
    "concurrency-limit": "Limit how many task runs with a tag run at once.",
    "cache": "Inspect and clear the cache.",
    "backup": "Save the database while it is in use.",
    "restore": "Put a backup in place.",
    "config": "Show the settings, and where each comes from.",
    "version": "Print the version of Clearway.",
}


class _LazyGroup(TyperGroup):
    """Lists its commands by name only, and imports the one that runs."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in _GROUPS:
            module = importlib.import_module(f"clearway_cli.{name.replace('-', '_')}")
            command = get_command(module.app)
        return name, command, rest


def _listed() -> None:
    """Placeholder for a group in the list of commands."""


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

    The commands call the service at CLEARWAY_ADDRESS (host:port) or, if it is not set, use the database under
    CLEARWAY_HOME.
    """


def run() -> NoReturn:
    """Run the command line of this process, and exit."""
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
