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
    # What prints one line at a time: a run's id, a thread, and an asyncio task of the thread or 0.
    Writer = tuple[str, int, int]

_MAX_BEGUN: Final = 65_536  # characters, the longest line that the service accepts

_plain_print: Final = builtins.print
_lock = threading.Lock()
_logging: ContextVar[bool] = ContextVar("clearway_logging_a_print", default=False)
_begun: dict[Writer, str] = {}
"""Unfinished lines, from ``print(..., end="")``. Each is changed by its writer only, so needs no lock."""


def replace_print() -> None:
    """Replace ``print()`` by one that checks which run calls it.

    It is replaced only once and for good, since several threads may be in runs at a time. Outside runs that
    log their prints it works as before.
    """
    if builtins.print is _print:
        return
    with _lock:
        builtins.print = _print


def log_begun_lines(context: FlowRunContext | TaskRunContext) -> None:
    """Log the unfinished lines that the code of a run has printed; it has returned."""
    if not _begun:
        return
    run_id = _id_of(context)
    for writer in [writer for writer in list(_begun) if writer[0] == run_id]:
        text = _begun.pop(writer, "")
        if text:
            _log(context, text)


def _print(*values: object, **options: Any) -> None:
    """Print, or log if the calling run wants that. Takes the arguments of Python's ``print``."""
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
    """Log the lines that a text completes, and keep its unfinished last line."""
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
