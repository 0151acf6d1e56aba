"""Checking what a user's function returned, for results that were never awaited."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, Final

from clearway.exceptions import NotAwaited
from clearway.states import State

if TYPE_CHECKING:
    from clearway._definition.base import Definition

_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})
_LOOKED_AT: Final = (
    8  # items of a container: a forgotten await mostly affects all of them, and results may be large
)


def as_data(value: Any, made_by: Definition) -> Any:
    """Return a function's result as data; a generator, which can be read only once, becomes a list.

    Args:
        value: What the function returned.
        made_by: The flow or task.

    Raises:
        NotAwaited: The value is, or directly contains, an awaitable such as a coroutine, or is an async
            generator.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is GeneratorType:
        value = list(value)
    pending = _pending(value)
    if pending is not None:
        raise _not_awaited(pending, value.data if isinstance(value, State) else value, made_by)
    return value


def _pending(value: Any) -> Any:
    """Return an awaitable that the value is or contains; None if there is none."""
    if isinstance(value, State):
        return _pending(value.data) if value.data is not None else None
    if _is_awaitable(value):
        return value
    return next((item for item in islice(_items(value), _LOOKED_AT) if _is_awaitable(item)), None)


def _items(value: Any) -> Collection[Any]:
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    return value.values() if isinstance(value, dict) else ()


def _is_awaitable(value: Any) -> bool:
    kind = type(value)
    return hasattr(kind, "__await__") or kind is AsyncGeneratorType


def _not_awaited(pending: Any, value: Any, made_by: Definition) -> NotAwaited:
    """Return the error, and close the coroutines, so that Python does not warn about them too."""
    whose = f"the {made_by.kind} {made_by.name!r}"
    shown = f"the coroutine {pending.__qualname__!r}" if type(pending) is CoroutineType else repr(pending)
    within = _items(value)
    for each in (pending, *within):
        if type(each) is CoroutineType:
            each.close()
    if type(pending) is AsyncGeneratorType:
        return NotAwaited(f"{whose} returned {shown}, which is no result; return [x async for x in ...]")
    if within:
        return NotAwaited(
            f"{whose} returned a {type(value).__name__} with {shown}, which was not awaited; "
            "return await asyncio.gather(...)"
        )
    if made_by.is_async:
        return NotAwaited(f"{whose} returned {shown}, which was not awaited; return await ...")
    return NotAwaited(
        f"{whose} returned {shown}, which was not awaited, as its function is not async; define it, and each "
        "decorator around it, with `async def`, and return await ..."
    )
