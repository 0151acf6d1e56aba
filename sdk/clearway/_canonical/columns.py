"""The shapes of polars objects: names, types and values, independent of their division into chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from clearway._canonical.names import reference
from clearway._canonical.shapes import Context, Shape, UndigestibleError

_Maker = Callable[[Any, Context], Shape]


def maker_for(kind: type) -> _Maker | None:
    """Return the function that makes the shapes of a class's instances; None to use their pickles."""
    makers: tuple[tuple[type, _Maker], ...] = (
        (pl.DataFrame, _frame),
        (pl.Series, _series),
        (pl.LazyFrame, _plan),
        (pl.Expr, _plan),
    )
    return next((maker for base, maker in makers if issubclass(kind, base)), None)


def _frame(value: Any, _: Context) -> Shape:
    return "$polars", [_name(value), value.height, value.get_columns()], False


def _series(value: Any, _: Context) -> Shape:
    return "$polars", [_name(value), value.name, repr(value.dtype), _values(value)], False


def _plan(value: Any, _: Context) -> Shape:
    if isinstance(value, pl.LazyFrame):
        raise UndigestibleError("a LazyFrame has a plan and no data yet; collect() it")
    return "$polars", [_name(value), value.meta.serialize()], False


def _name(value: Any) -> Any:
    kind = type(value)
    return kind.__name__ if kind.__module__.partition(".")[0] == "polars" else reference(kind)


def _values(series: Any) -> list[Any]:
    if series.dtype.is_temporal():
        series = series.to_physical()
    if not (series.dtype.is_float() or series.dtype.is_integer()) or str(series.dtype) in {
        "Int128",
        "UInt128",
    }:
        return [series.to_list()]
    if series.null_count() == 0:
        return [series.to_numpy()]
    return [series.fill_null(0).to_numpy(), series.is_null().to_numpy()]
