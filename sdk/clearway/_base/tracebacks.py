"""Removes Clearway's own frames from tracebacks, so that users see their own code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Final

from clearway._base.errors import ClearwayError, InvalidSetting
from clearway._base.settings import get_settings

_SDK: Final = str(Path(__file__).parent.parent) + "/"
_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - compared with file names as they are
_INSTALLED: Final = tuple(os.path.join(_LIBRARY, name) for name in ("site-packages", "dist-packages"))  # noqa: PTH118
_DEPTH: Final = 100
"""How far causes are followed: further than any that is not made to be endless."""


def folded(error: BaseException) -> BaseException:
    """Leave our own frames out of an exception's traceback, and out of those of what it came from.

    If the innermost frames are ours, and the exception is neither the SDK's own nor an interrupt, they stay:
    that may be a flaw of ours, and they say where. With the setting ``CLEARWAY_DEBUG`` all frames stay.

    Returns:
        The exception.
    """
    if _debug():
        return error
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo and len(seen) < _DEPTH:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        keep_last = isinstance(one, Exception) and not isinstance(one, ClearwayError)
        one.__traceback__ = _without_ours(one.__traceback__, keep_last=keep_last)
        if isinstance(one, KeyboardInterrupt) and isinstance(one.__context__, KeyboardInterrupt):
            one.__context__ = None  # a second Ctrl-C says nothing that the first did not
        todo += (one.__cause__, one.__context__)
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions
    return error


def _debug() -> bool:
    try:
        return get_settings().debug
    except InvalidSetting:  # probably what is being folded
        return False


def _without_ours(trace: TracebackType | None, *, keep_last: bool) -> TracebackType | None:
    frames: list[TracebackType] = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    theirs = [not is_ours(each) for each in frames]
    if keep_last:
        if theirs and not theirs[-1]:
            last = len(theirs) - 1
            while last >= 0 and not theirs[last]:
                theirs[last] = True
                last -= 1
    else:
        _leave_out_library(frames, theirs)
    if all(theirs):
        return frames[0] if frames else None
    left: TracebackType | None = None
    for each, kept in zip(reversed(frames), reversed(theirs), strict=True):
        if kept:
            left = TracebackType(left, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return left


def _leave_out_library(frames: list[TracebackType], theirs: list[bool]) -> None:
    """Leave out the standard library's frames too where our own code called it."""
    called_by_us = False
    for number, each in enumerate(frames):
        if not theirs[number]:
            called_by_us = True
        elif called_by_us and _is_library(each):
            theirs[number] = False
        else:
            called_by_us = False


def _is_library(trace: TracebackType) -> bool:
    name = trace.tb_frame.f_code.co_filename
    return name.startswith(_LIBRARY) and not name.startswith(_INSTALLED)


def is_ours(trace: TracebackType) -> bool:
    """Return whether an entry of a traceback is of the SDK itself."""
    return trace.tb_frame.f_code.co_filename.startswith(_SDK)


def present_error() -> BaseException:
    """Return the exception that is being handled, folded, to be raised again."""
    error = sys.exception()
    assert error is not None
    return folded(error)
