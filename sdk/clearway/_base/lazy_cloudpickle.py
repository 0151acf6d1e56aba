"""cloudpickle, typed, and loaded when first needed: most results and arguments are JSON."""

from __future__ import annotations

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
