"""The shapes of pyarrow objects: types and values, independent of their division into chunks and buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from clearway._canonical.shapes import Context, Shape

_Maker = Callable[[Any, Context], Shape]


def maker_for(kind: type) -> _Maker | None:
    """Return the function that makes the shapes of a class's instances; None to use their pickles."""
    makers: tuple[tuple[type, _Maker], ...] = (
        (pa.Table, _table),
        (pa.RecordBatch, _table),
        (pa.ChunkedArray, _array),
        (pa.Array, _array),
        (pa.Scalar, lambda value, _: ("$arrow", ["Scalar", str(value.type), value.as_py()], False)),
        (pa.Schema, lambda value, _: ("$arrow", ["Schema", *_schema(value)], False)),
        (pa.Field, lambda value, _: ("$arrow", ["Field", *_field(value)], False)),
        (pa.DataType, lambda value, _: ("$arrow", ["DataType", str(value)], False)),
        (pa.Buffer, lambda value, _: ("$arrow", ["Buffer", value.to_pybytes()], False)),
    )
    return next((maker for base, maker in makers if issubclass(kind, base)), None)


def _table(value: Any, _: Context) -> Shape:
    columns = [_content(column) for column in value.columns]
    return "$arrow", [type(value).__name__, value.num_rows, _schema(value.schema), columns], False


def _array(value: Any, _: Context) -> Shape:
    kind = "ChunkedArray" if isinstance(value, pa.ChunkedArray) else "Array"
    return "$arrow", [kind, str(value.type), _content(value)], False


def _schema(schema: Any) -> list[Any]:
    return [[_field(field) for field in schema], schema.metadata]


def _field(field: Any) -> list[Any]:
    return [field.name, str(field.type), field.nullable, field.metadata]


def _content(array: Any) -> list[Any]:
    if isinstance(array, pa.ChunkedArray):
        whole = array.combine_chunks()
        if isinstance(whole, pa.ChunkedArray):  # too much text for one array
            return [array.to_pylist()]
        array = whole
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_temporal(array.type) and not pa.types.is_interval(array.type):
        array = array.view(pa.int64() if array.type.bit_width == 64 else pa.int32())  # noqa: PLR2004 - bits
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        return [array.to_pylist()]
    if array.null_count == 0:
        return [array.to_numpy(zero_copy_only=False)]
    return [array.fill_null(0).to_numpy(zero_copy_only=False), array.is_null().to_numpy(zero_copy_only=False)]
