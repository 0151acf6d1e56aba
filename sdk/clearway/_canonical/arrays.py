"""The shapes of numpy arrays and scalars: type, dimensions and content, independent of the memory layout."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import numpy as np

from clearway._canonical.names import reference
from clearway._canonical.objects import reduced
from clearway._canonical.shapes import Context, Shape

_PLAIN_BYTES: Final = "?biufcSUmM"
_LONG_FLOAT: Final = 8  # bytes; longer floats have padding bytes with arbitrary content
_X87_BYTES: Final = 10
_X87_MANTISSA: Final = 63


def maker_for(kind: type) -> Callable[[Any, Context], Shape] | None:
    """Return the function that makes the shapes of a class's instances; None to use their pickles."""
    if issubclass(kind, np.ma.MaskedArray):
        return _masked
    if issubclass(kind, np.ndarray):
        own = (
            kind.__reduce__ is not np.ndarray.__reduce__ or kind.__reduce_ex__ is not np.ndarray.__reduce_ex__
        )
        return _array if kind is np.ndarray else (reduced if own else _subclass)
    return _scalar if issubclass(kind, np.generic) and kind.__module__.partition(".")[0] == "numpy" else None


def _array(value: Any, _: Context) -> Shape:
    # "array" distinguishes an array without dimensions from a scalar.
    return "$numpy", [*_content(value), "array"] if value.shape == () else _content(value), False


def _scalar(value: Any, _: Context) -> Shape:
    return "$numpy", _content(np.asarray(value)), False


def _subclass(value: Any, _: Context) -> Shape:
    attributes = {} if isinstance(value, np.memmap) else dict(getattr(value, "__dict__", {}))
    return "$object", [reference(type(value)), attributes, _content(value.view(np.ndarray))], False


def _masked(value: Any, _: Context) -> Shape:
    parts = [np.asarray(value.data), np.ma.getmaskarray(value), value.fill_value, value.hardmask]
    return "$object", [reference(type(value)), parts], False


def _content(array: Any) -> list[Any]:
    dtype = array.dtype
    shape: list[Any] = list(array.shape)
    more = [dict(dtype.metadata)] if dtype.metadata else []
    if dtype.names is not None:
        return ["$fields", shape, [[name, *_title(dtype, name), array[name]] for name in dtype.names], *more]
    if dtype.hasobject or dtype.kind == "T":
        return [
            "|O" if dtype.hasobject and dtype.kind == "O" else str(dtype),
            shape,
            array.ravel().tolist(),
            *more,
        ]
    if dtype.kind not in _PLAIN_BYTES or dtype.isbuiltin == 2:  # noqa: PLR2004 - numpy's number for user-defined types
        return [f"{dtype.str} {dtype}", shape, sha256(array.tobytes()).hexdigest(), *more]
    little = array.astype(dtype.newbyteorder("<"), copy=False)
    return [little.dtype.str, shape, sha256(_bytes(little)).hexdigest(), *more]


def _title(dtype: Any, name: str) -> list[str]:
    return list(dtype.fields[name][2:])


def _bytes(array: Any) -> Any:
    width = array.dtype.itemsize // (2 if array.dtype.kind == "c" else 1)
    if array.dtype.kind in "fc" and width > _LONG_FLOAT and np.finfo(np.longdouble).nmant == _X87_MANTISSA:
        return np.frombuffer(array.tobytes(), np.uint8).reshape(-1, width)[:, :_X87_BYTES].tobytes()
    if array.flags.c_contiguous and array.dtype.kind in "?biufc":
        return array.data
    return array.tobytes()
