"""What kind of function a flow or task is made of: sync, async, or one that cannot be used."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def is_async_callable(fn: Callable[..., Any]) -> bool:
    """Return whether calling ``fn`` makes a coroutine: an async function, or an object called by one."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(_call_method(fn))


def check_not_async_generator(kind: str, fn: Callable[..., Any]) -> None:
    """Refuse a function that has no result.

    Raises:
        TypeError: It is an async generator function.
    """
    if inspect.isasyncgenfunction(fn) or inspect.isasyncgenfunction(_call_method(fn)):
        raise TypeError(
            f"{fn!r} is an async generator function, which returns no result that a {kind} could have; "
            "return a list rather than yield"
        )


def _call_method(fn: Any) -> Any:
    """Return the method that calls an object; of a class, whose call makes an instance, that of ``type``."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return getattr(type(fn), "__call__", None)  # noqa: B004 - what calls it, not whether it can be called
