"""``print()`` in the code of runs with ``log_prints``: INFO lines of the run, instead of text on stdout."""

from __future__ import annotations

import builtins
import io
import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from clearway.context import FlowRunContext, TaskRunContext, innermost_run, run_of

if TYPE_CHECKING:
    # A run, a thread, and an asyncio task of it or 0: what prints one line at a time.
    Writer = tuple[str, int, int]

_MAX_BEGUN: Final = 65_536  # characters, as much as the service takes of a line

_plain_print: Final = builtins.print
_lock = threading.Lock()
_logging: ContextVar[bool] = ContextVar("clearway_logging_a_print", default=False)
_begun: dict[Writer, str] = {}
"""Lines that were begun by ``print(..., end="")`` and have not ended. Each has one writer, so no lock."""


def replace_print() -> None:
    """Have ``print()`` look at the run that it is called in, from now on.

    It is replaced once and stays so, since several threads may be in runs at a time. Outside runs that log
    what they print it does what it always did.
    """
    if builtins.print is _print:
        return
    with _lock:
        builtins.print = _print


def log_begun_lines(context: FlowRunContext | TaskRunContext) -> None:
    """Log the lines that the code of a run has begun and not ended; it has returned."""
    if not _begun:
        return
    run_id = _id_of(context)
    for writer in [writer for writer in list(_begun) if writer[0] == run_id]:
        text = _begun.pop(writer, "")
        if text:
            _log(context, text)


def _print(*values: object, **options: Any) -> None:
    """Print, or log if the run that this is called in wants that. Takes what Python's ``print`` takes."""
    context = innermost_run()
    file = options.get("file")
    if (
        context is None
        or not context.log_prints
        or (file is not None and file is not sys.stdout)
        or _logging.get()
    ):
        _plain_print(*values, **options)
        return
    text = io.StringIO()
    _plain_print(*values, **{**options, "file": text})
    _take(context, text.getvalue())


def _take(context: FlowRunContext | TaskRunContext, text: str) -> None:
    """Log the lines that end in a text, and keep the one that it begins."""
    writer = (_id_of(context), threading.get_ident(), _current_asyncio_task())
    lines, newline, rest = (_begun.pop(writer, "") + text).rpartition("\n")
    if newline:
        _log(context, lines)
    while len(rest) > _MAX_BEGUN:
        _log(context, rest[:_MAX_BEGUN])
        rest = rest[_MAX_BEGUN:]
    if rest:
        _begun[writer] = rest


def _log(context: FlowRunContext | TaskRunContext, text: str) -> None:
    from clearway.logging import logger_of  # noqa: PLC0415 - reads settings

    token = _logging.set(True)  # a handler that prints must not log again
    try:
        logger_of(run_of(context)).info("%s", text)
    finally:
        _logging.reset(token)


def _current_asyncio_task() -> int:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:  # noqa: SLF001 - does not raise
        return 0
    return id(asyncio.current_task())


def _id_of(context: FlowRunContext | TaskRunContext) -> str:
    return context.task_run_id if isinstance(context, TaskRunContext) else context.flow_run_id
