"""Removes Clearway's own frames from tracebacks, so that users see their own code."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Final

from clearway._base.errors import ClearwayError, InvalidSetting
from clearway._base.settings import get_settings

_SDK: Final = str(Path(__file__).parent.parent) + "/"
_DEPTH: Final = 100
"""How far causes are followed: further than any that is not made to be endless."""


def folded(error: BaseException) -> BaseException:
    """Leave our own frames out of an exception's traceback, and out of those of what it came from.

    Where the innermost frames are ours and the exception is none of the SDK's own, they stay: that may be
    a flaw of ours, and they say where. With the setting ``CLEARWAY_DEBUG`` all frames stay.

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
        one.__traceback__ = _without_ours(one.__traceback__, keep_last=not isinstance(one, ClearwayError))
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
    if keep_last and theirs and not theirs[-1]:
        last = len(theirs) - 1
        while last >= 0 and not theirs[last]:
            theirs[last] = True
            last -= 1
    if all(theirs):
        return frames[0] if frames else None
    left: TracebackType | None = None
    for each, kept in zip(reversed(frames), reversed(theirs), strict=True):
        if kept:
            left = TracebackType(left, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return left


def is_ours(trace: TracebackType) -> bool:
    """Return whether an entry of a traceback is of the SDK itself."""
    return trace.tb_frame.f_code.co_filename.startswith(_SDK)


def present_error() -> BaseException:
    """Return the exception that is being handled, folded, to be raised again."""
    error = sys.exception()
    assert error is not None
    return folded(error)
