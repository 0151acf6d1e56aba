"""Log setup: one JSON object per line, or plain lines on a terminal.

No line contains data from clients' results, parameters, messages or cache keys: tracebacks omit variables,
and an exception's message is included only if it is known to quote no such data.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from clearway_service.errors import ShuttingDownError, StoreUnavailableError, reason_of
from clearway_service.logs.line_limits import LineLimiter
from clearway_service.texts import plain

_OURS = "clearway_service"
# The maximum length of a text in a line; libraries' messages may quote long values.
_MOST_CHARACTERS = 2_000
_MOST_CAUSES = 8
_MOST_FRAMES = 50

logger = logging.getLogger(__name__)


def configure(level: int = logging.INFO, limiter: LineLimiter | None = None) -> None:
    """Write the logs of this process and its libraries to standard error.

    That includes warnings, and uncaught errors in any thread.

    Args:
        level: The minimum level.
        limiter: Suppresses repeated lines; by default all but one of a kind in 10 s.
    """
    terminal = sys.stderr.isatty()
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[Processor] = (
        [_escape, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if terminal
        else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stderr)
    limiter = LineLimiter() if limiter is None else limiter
    handler.addFilter(_Repeats(limiter))
    atexit.register(_tell_left_out, limiter)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=["left_out"])],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _cut,
                _describe_exception_as_text if terminal else _describe_exception,
                *renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


class _Handler(logging.StreamHandler[Any]):
    """Writes lines; a failure to format one is logged without the content of the line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        unwritten = logging.makeLogRecord(
            {"name": record.name, "levelname": "ERROR", "msg": "a log line could not be formatted"}
        )
        with contextlib.suppress(OSError, ValueError):  # the reader is gone
            self.stream.write(self.format(unwritten) + self.terminator)


class _Repeats(logging.Filter):
    """Suppresses repeated lines of errors, of libraries, and those marked ``repeats``."""

    def __init__(self, limiter: LineLimiter) -> None:
        super().__init__()
        self._limiter = limiter

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.msg if isinstance(record.msg, dict) else {}
        error = said.get("exc_info") or record.exc_info
        ours = record.name.partition(".")[0] == _OURS
        repeats = getattr(record, "repeats", None)
        if record.levelno < logging.WARNING or not (error or not ours or repeats):
            return True
        kind = (record.name, record.levelno, said.get("event", record.msg), type(_exception(error)), repeats)
        left_out = self._limiter.admit(kind)
        if left_out:
            if said:
                said["left_out"] = left_out
            else:
                record.left_out = left_out
        return left_out is not None


def log_unretrieved(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error that an event loop reports as uncaught, without the values involved."""
    del loop
    logger.error(
        "%s", context.get("message", "an error in the event loop"), exc_info=context.get("exception")
    )


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logger.critical("the server ended because of an uncaught error", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_type is SystemExit or given.exc_value is None:
        return
    name = "?" if given.thread is None else given.thread.name
    logger.error(
        "the thread %s ended because of an uncaught error",
        name,
        exc_info=(given.exc_type, given.exc_value, given.exc_traceback),
    )


def _log_unraisable(given: Any) -> None:
    logger.error(
        "an error could not be raised in a %s", type(given.object).__name__, exc_info=given.exc_value
    )


def _tell_left_out(limiter: LineLimiter) -> None:
    if count := limiter.left_out():
        logger.info("%d lines that repeat earlier ones were left out", count)


def _cut(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Truncate texts that are too long for a line."""
    for name, value in event.items():
        if isinstance(value, str) and len(value) > _MOST_CHARACTERS:
            event[name] = value[:_MOST_CHARACTERS] + "..."
    return event


def _escape(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Escape characters that could control a terminal; line breaks of our tracebacks are kept."""
    return {
        name: plain(value) if isinstance(value, str) and name != "exception" else value
        for name, value in event.items()
    }


def _describe_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace ``exc_info`` by descriptions of the exceptions, the last one first."""
    error = _exception(event.pop("exc_info", None))
    if error is not None:
        event["exception"] = [
            {"exc_type": kind, "exc_value": said, "frames": [list(frame) for frame in frames]}
            for kind, said, frames in _described(error)
        ]
    return event


def _describe_exception_as_text(_logger: Any, _method: str, event: EventDict) -> EventDict:
    error = _exception(event.pop("exc_info", None))
    if error is not None:
        lines: list[str] = []
        for kind, said, frames in _described(error):
            lines.append(f"{'because of ' if lines else ''}{kind}{': ' if said else ''}{plain(said or '')}")
            lines += [f"  {plain(file)}:{line} in {plain(function)}" for file, line, function in frames]
        event["exception"] = "\n".join(lines)
    return event


def _exception(given: Any) -> BaseException | None:
    """Return the exception of an ``exc_info`` in any form that logging and structlog accept."""
    if given is True:
        given = sys.exc_info()
    if isinstance(given, tuple):
        given = given[1]
    return given if isinstance(given, BaseException) else None


def _described(error: BaseException) -> Iterator[tuple[str, str | None, list[tuple[str, int, str]]]]:
    """Yield an exception and its causes: for each its type, its message if safe, and its frames."""
    seen: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if seen is None:
            return
        kind = type(seen)
        entries = traceback.walk_tb(seen.__traceback__)
        frames = [(frame.f_code.co_filename, line, frame.f_code.co_name) for frame, line in entries]
        yield f"{kind.__module__}.{kind.__qualname__}", _said(seen), frames[-_MOST_FRAMES:]
        member = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else None
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__) or member


def _said(error: BaseException) -> str | None:
    """Return an exception's message if it is known to contain no data from clients, else None."""
    if isinstance(error, StoreUnavailableError | ShuttingDownError):
        return error.message
    reason = reason_of(error)
    return None if reason in {type(error).__name__, type(getattr(error, "orig", None)).__name__} else reason
