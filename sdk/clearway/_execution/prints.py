"""``print()`` in the code of runs with ``log_prints``: INFO lines of the run, instead of text on stdout."""

from __future__ import annotations

import builtins
import io
import sys
import threading
from contextvars import ContextVar
from typing import Any, Final

from clearway.context import TaskRunContext, innermost_run

_plain_print: Final = builtins.print
_lock = threading.Lock()
_logging: ContextVar[bool] = ContextVar("clearway_logging_a_print", default=False)


def replace_print() -> None:
    """Have ``print()`` look at the run that it is called in, from now on.

    It is replaced once and stays so, since several threads may be in runs at a time. Outside of runs that
    log what they print it does what it always did.
    """
    if builtins.print is _print:
        return
    with _lock:
        builtins.print = _print


def _print(*values: object, sep: str | None = None, file: Any = None, **others: Any) -> None:
    """Print, or log where the run that this is called in wants that."""
    context = innermost_run()
    if (
        context is None
        or not context.log_prints
        or (file is not None and file is not sys.stdout)
        or _logging.get()
    ):
        _plain_print(*values, sep=sep, file=file, **others)
        return
    text = io.StringIO()
    _plain_print(*values, sep=sep, file=text, end="")
    token = _logging.set(True)  # a handler that prints is not to log again
    try:
        _logger_of(context).info("%s", text.getvalue())
    finally:
        _logging.reset(token)


def _logger_of(context: Any) -> Any:
    from clearway.logging import run_logger  # noqa: PLC0415 - reads settings

    if isinstance(context, TaskRunContext):
        return run_logger(context.flow_run_id, context.task_run_id, context.task_run_name)
    return run_logger(context.flow_run_id, "", context.flow_run_name)
