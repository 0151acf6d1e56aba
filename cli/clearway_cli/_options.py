"""Arguments and options that several commands share."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer


def _not_empty(value: str | None) -> str | None:
    # The protocol treats an empty filter as none: a script with an empty variable would get everything.
    if value == "":
        raise typer.BadParameter("it must not be empty.")
    return value


def _none_empty(values: list[str] | None) -> list[str]:
    given = values or []
    for value in given:
        _not_empty(value)
    return given


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of integers in a range, whose error names the value."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise typer.BadParameter(f"{text!r} is not a whole number from {least:,} to {most:,}.")
        return number

    return parse


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FEW_DIGITS = re.compile("[0-9]{1,6}")


def age(text: str | timedelta) -> timedelta:
    """Parse an age, such as 30m, 12h or 7d. A timedelta, as defaults are, is returned unchanged."""
    if isinstance(text, timedelta):
        return text
    number, unit = text[:-1], text[-1:]
    if not (_FEW_DIGITS.fullmatch(number) and unit in _UNITS):
        raise typer.BadParameter(
            f"{text!r} is not an age; it must be a whole number and s, m, h or d, such as 30m, 12h or 7d."
        )
    return timedelta(**{_UNITS[unit]: int(number)})


_SQLITE_URL = "sqlite:///"


def database_file(value: str) -> Path:
    """Return the file that ``--database`` names by path or URL."""
    if "://" in value and not value.startswith(_SQLITE_URL):
        raise typer.BadParameter(
            f"{value!r} is not a database that the service can use; give a file, or {_SQLITE_URL}FILE.",
            param_hint="'--database'",
        )
    path = value.removeprefix(_SQLITE_URL)
    if not path or path == ":memory:" or path.startswith("file:"):
        raise typer.BadParameter(f"{value!r} is not a file.", param_hint="'--database'")
    found = Path(path).expanduser()
    if found.is_dir():
        raise typer.BadParameter(f"{value!r} is a directory; give a file in it.", param_hint="'--database'")
    if found.parent.exists() and not found.parent.is_dir():
        raise typer.BadParameter(
            f"{value!r} cannot be created, since {str(found.parent)!r} is not a directory.",
            param_hint="'--database'",
        )
    return found.absolute()


RunIdArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        callback=_not_empty,
        show_default=False,
        help="The run's id, a beginning of it that no other run has, or its name.",
    ),
]
TagArgument = Annotated[
    str, typer.Argument(metavar="TAG", callback=_not_empty, show_default=False, help="The tag of task runs.")
]
TagOrIdArgument = Annotated[
    str,
    typer.Argument(
        metavar="TAG|ID", callback=_not_empty, show_default=False, help="The tag, or the limit's UUID."
    ),
]
StatesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        callback=_none_empty,
        help="Runs in this state: a type (completed, failed, running, ...) or a name (Cached, Retrying, ...)."
        " If repeated, in any of them.",
    ),
]
TagsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="TAG",
        callback=_none_empty,
        help="Runs with this tag. If repeated, with all of them.",
    ),
]
FlowNamesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--flow-name",
        metavar="NAME",
        callback=_none_empty,
        help="Runs of this flow. If repeated, of any of them.",
    ),
]
TaskNamesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        metavar="NAME",
        callback=_none_empty,
        help="Runs of the task of this name. Given several times, of any.",
    ),
]
FlowRunOption = Annotated[
    str | None,
    typer.Option(
        "--flow-run",
        metavar="ID",
        callback=_not_empty,
        help="Task runs of this flow run: its id, a beginning of that, or its name.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="TEXT", callback=_not_empty, help="Runs with this in their name."),
]
KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", callback=_not_empty, show_default=False, help="The cache key.")
]
KeyOption = Annotated[
    str | None, typer.Option("--key", metavar="KEY", callback=_not_empty, help="The entry with this key.")
]
KeyPrefixOption = Annotated[
    str | None,
    typer.Option("--prefix", metavar="TEXT", callback=_not_empty, help="Entries whose keys begin with this."),
]
TaskOption = Annotated[
    str | None,
    typer.Option("--task", metavar="TASK", callback=_not_empty, help="Entries of this task, by name or key."),
]
OlderThanOption = Annotated[
    timedelta | None,
    typer.Option(
        "--older-than",
        metavar="TIME",
        parser=age,
        help="Entries at least this old, such as 90s, 30m, 12h or 7d.",
    ),
]
EntryTagsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="TAG",
        callback=_none_empty,
        help="Entries of runs with this tag. If repeated, with all of them.",
    ),
]
ExpiredOption = Annotated[
    bool | None,
    typer.Option("--expired/--live", help="Only expired entries, or only live ones.", show_default=False),
]
LimitOption = Annotated[
    int,
    typer.Option(
        "--limit",
        "-n",
        metavar="COUNT",
        parser=whole_number(1, 100_000),
        help="The maximum number to show, newest first; from 1 to 100,000.",
    ),
]
