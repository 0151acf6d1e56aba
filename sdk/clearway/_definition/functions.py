"""Tells whether a flow's or task's function is sync, async or not usable."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def is_async_callable(fn: Callable[..., Any]) -> bool:
    """Return True if calling ``fn`` returns a coroutine: it is, or its ``__call__`` is, an async function."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(_call_method(fn))


def check_not_async_generator(kind: str, fn: Callable[..., Any]) -> None:
    """Raise if ``fn`` is an async generator function, which has no result.

    Raises:
        TypeError: ``fn`` is an async generator function.
    """
    if inspect.isasyncgenfunction(fn) or inspect.isasyncgenfunction(_call_method(fn)):
        raise TypeError(
            f"{fn!r} is an async generator function, which has no result that a {kind} could return; "
            "return a list instead of yielding"
        )


def _call_method(fn: Any) -> Any:
    """Return the ``__call__`` method that calling ``fn`` invokes; for a class, that of its metaclass."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return getattr(type(fn), "__call__", None)  # noqa: B004 - the method is wanted, not a bool
