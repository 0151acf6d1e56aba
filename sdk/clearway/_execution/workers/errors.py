"""Serializing exceptions for other processes, with their causes and tracebacks."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from clearway._base.tracebacks import folded
from clearway._execution.workers import pickling as _portable
from clearway.exceptions import FailedRun, NonRetryable
from clearway.run_errors import message_of

_MAX_CAUSES: Final = 20
_GET_FRAME: Final = compile("get_frame()", "", "eval")


@dataclass(frozen=True, slots=True)
class PackedError:
    """An exception in a form that any process can read.

    Attributes:
        body: The exception itself, pickled.
        frames: File, line and function of each traceback entry, the innermost last.
        cause: Its ``__cause__``.
        context: Its ``__context__``.
        hides_context: Its ``__suppress_context__``.
    """

    body: bytes
    frames: tuple[tuple[str, int, str], ...]
    cause: PackedError | None
    context: PackedError | None
    hides_context: bool


def pack(error: BaseException) -> PackedError:
    """Serialize an exception for any process, without Clearway's own frames."""
    return _pack(folded(error), _MAX_CAUSES)


def _pack(error: BaseException, causes: int) -> PackedError:
    cause, context = (
        None if other is None or not causes else _pack(other, causes - 1)
        for other in (error.__cause__, error.__context__)
    )
    entries = traceback.extract_tb(error.__traceback__)
    return PackedError(
        body=_dumps(error),
        frames=tuple((entry.filename, entry.lineno or 1, entry.name) for entry in entries),
        cause=cause,
        context=None if cause else context,
        hides_context=error.__suppress_context__,
    )


def unpack(packed: PackedError) -> BaseException:
    """Restore an exception, with a traceback whose frames have no variables."""
    error: BaseException = _portable.loads(packed.body)
    error.__cause__ = None if packed.cause is None else unpack(packed.cause)
    error.__context__ = error.__cause__ if packed.context is None else unpack(packed.context)
    error.__suppress_context__ = packed.hides_context
    trace: TracebackType | None = None
    for filename, line, name in reversed(packed.frames):
        code = _GET_FRAME.replace(co_filename=filename, co_name=name, co_firstlineno=line)
        frame = eval(code, {"get_frame": sys._getframe})  # noqa: S307, SLF001 - Python has no other way to make a frame
        trace = TracebackType(trace, frame, -1, line)
    return error.with_traceback(trace)


def _dumps(error: BaseException) -> bytes:
    """Pickle an exception; if it cannot be unpickled, pickle a stand-in that names its type and message."""
    try:
        body = _portable.dumps(error)
        if type(_portable.loads(body)) is type(error):  # not if __init__ takes other arguments than it stores
            return body
    except Exception:  # noqa: BLE001, S110 - a user's class may raise whatever it likes here
        pass
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    stand_in = NonRetryable if isinstance(error, NonRetryable) else FailedRun
    return _portable.dumps(stand_in(f"{kind}: {message_of(error)}"))
