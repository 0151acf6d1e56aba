"""Log lines about the end of an attempt of a run; no fact is logged twice.

An attempt that is followed by a retry gets one WARNING line. The traceback of an exception is logged with the
ERROR line of the run's final failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from clearway._base.error_kinds import RunErrorKind
from clearway._base.spans import after
from clearway._base.texts import shortened
from clearway._base.tracebacks import folded
from clearway._execution.outcomes import RAISED

if TYPE_CHECKING:
    from clearway.logging import RunLogger
    from clearway.states import State

_MAX_LINE: Final = 500


def one_line(text: str) -> str:
    """Return the first line of a text, shortened if it is very long."""
    first, *more = text.splitlines() or [""]
    return shortened(first, _MAX_LINE) + (" ..." if more and len(first) <= _MAX_LINE else "")


def why(end: State[Any]) -> str:
    """Return in one line why an attempt ended; for an exception, the last line of its traceback."""
    message = end.message or str(end)
    for kind in ("Task", "Flow"):
        message = message.removeprefix(RAISED.format(kind)).removeprefix(": ").lstrip()
    return one_line(message)


def raised(end: State[Any]) -> Exception | None:
    """Return the exception that ended an attempt, if a user's code raised it; else None.

    An exception of the SDK's own without any of the user's lines in its traceback does not count.
    """
    if not isinstance(end.data, Exception) or end.error_kind is RunErrorKind.TIMEOUT:
        return None
    folded(end.data)
    return None if end.data.__traceback__ is None else end.data


def log_retry(log: RunLogger, end: State[Any], delay: float) -> None:
    """Log that an attempt ended and the run is retried after ``delay`` seconds."""
    log.warning("%s; it runs again %s", why(end), after(delay))


def log_end(log: RunLogger, end: State[Any], what: str = "its code") -> None:
    """Log the end of a task run that did not complete.

    Args:
        log: The run's logger.
        end: The final state.
        what: Which of the user's functions ended it.
    """
    error = raised(end)
    if error is not None:
        log.error("%s raised an exception", what, exc_info=error)
    elif end.is_cancelled():
        log.warning("%s", why(end))
    else:
        log.error("%s", why(end))
