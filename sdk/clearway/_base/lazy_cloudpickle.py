"""cloudpickle, typed, and loaded when first needed: most results and arguments are JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def dumps(value: Any) -> bytes:
    """Return a value as bytes. Raises whatever the value's own classes raise when they are pickled."""
    import cloudpickle  # type: ignore[import-untyped]  # noqa: PLC0415

    body: bytes = cloudpickle.dumps(value)
    return body


def loads(body: bytes) -> Any:
    """Return the value of such bytes. Runs code that is in them."""
    import cloudpickle  # noqa: PLC0415

    return cloudpickle.loads(body)


def reducer_of(kind: type) -> Callable[[Any], Any] | None:
    """Return what pickles the instances of a class in place of their own methods; None for most classes."""
    import cloudpickle  # noqa: PLC0415

    reducer: Callable[[Any], Any] | None = cloudpickle.Pickler.dispatch_table.get(kind)
    return reducer
