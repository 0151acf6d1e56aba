"""All output to stdout: text for people, JSON for scripts."""

import json
import os
import shutil
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from clearway._base import texts

# Output to a pipe or a file is not wrapped, so that `grep` finds what it looks for.
_UNBOUNDED = 10_000


class Format(StrEnum):
    """The output format."""

    TABLE = "table"
    JSON = "json"


FormatOption = Annotated[
    Format, typer.Option("--output", "-o", help="A table for people, or JSON for scripts.", show_default=True)
]


def write(text: str) -> None:
    """Write to stdout; if its reader is gone (as with ``| head``), exit quietly.

    Raises:
        typer.Exit: The reader is gone, which is not a failure.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more at exit, and would print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def write_json(document: Any) -> None:
    """Write a document as JSON, in ASCII, so that it is the same in every locale."""
    write(json.dumps(document, indent=2) + "\n")


def show(*parts: RenderableType, least_width: int = 0) -> None:
    """Write what Rich renders, as wide as the terminal but never narrower than ``least_width``."""
    console = Console(width=max(width(), least_width), highlight=False)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def note(text: str) -> None:
    """Write a remark to stderr, so that it is not mistaken for output."""
    sys.stderr.write(f"{plain(text)}\n")


def width() -> int:
    """Return the width of a line: ``COLUMNS``, or the terminal's, or unbounded."""
    return shutil.get_terminal_size((_UNBOUNDED, 0)).columns


def draws() -> bool:
    """Return whether stdout is a terminal that supports more than ASCII."""
    return sys.stdout.isatty() and "utf" in (sys.stdout.encoding or "").lower()


def ellipsis() -> str:
    """Return what stands for text that is left out: one character, or three where stdout has not that one."""
    return "…" if _encodable("…") == "…" else "..."


def plain(text: str) -> str:
    r"""Return a message with what could steer a terminal, but for line feeds, written as ``\x1b``.

    So are characters that stdout's encoding does not have.
    """
    return _encodable(texts.plain(text, "\n"))


def name(text: str) -> str:
    r"""Return a name, or other single-line text, with control characters and line feeds escaped."""
    return _encodable(texts.plain(text))


def _encodable(text: str) -> str:
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
