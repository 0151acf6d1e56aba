"""A typed interface to cloudpickle, which is imported on first use because most results are JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def dumps(value: Any) -> bytes:
    """Return a value as a pickle. Raises whatever the value's classes raise when pickled."""
    import cloudpickle  # type: ignore[import-untyped]  # noqa: PLC0415

    body: bytes = cloudpickle.dumps(value)
    return body


def loads(body: bytes) -> Any:
    """Return the value in a pickle. This runs code in the pickle, so it must be trusted."""
    import cloudpickle  # noqa: PLC0415

    return cloudpickle.loads(body)


def reducer_of(kind: type) -> Callable[[Any], Any] | None:
    """Return cloudpickle's reducer for a class, which overrides the class's own methods; None for most."""
    import cloudpickle  # noqa: PLC0415

    reducer: Callable[[Any], Any] | None = cloudpickle.Pickler.dispatch_table.get(kind)
    return reducer
