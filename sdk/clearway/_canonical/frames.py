"""The shapes of pandas objects: labels and values, independent of the memory layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from clearway._canonical.names import full_name, reference
from clearway._canonical.shapes import Context, Shape

_Maker = Callable[[Any, Context], Shape]


def maker_for(kind: type) -> _Maker | None:
    """Return the function that makes the shapes of a class's instances; None to use their pickles."""
    makers: tuple[tuple[type, _Maker], ...] = (
        (pd.DataFrame, _frame),
        (pd.Series, _series),
        (pd.MultiIndex, _levels),
        (pd.Index, _index),
        (pd.api.extensions.ExtensionArray, _array),
    )
    return next((maker for base, maker in makers if issubclass(kind, base)), None)


def _frame(value: Any, _: Context) -> Shape:
    columns = [_values(value.iloc[:, place].array) for place in range(value.shape[1])]
    return "$pandas", [_name(value), value.columns, value.index, columns, *_more(value)], False


def _series(value: Any, _: Context) -> Shape:
    return "$pandas", [_name(value), value.name, value.index, _values(value.array), *_more(value)], False


def _index(value: Any, _: Context) -> Shape:
    """Return the shape of an index's values, so that a RangeIndex equals an Index of the same numbers."""
    frequency = getattr(value, "freqstr", None)
    return "$pandas", ["Index", list(value.names), _values(value.array), frequency], False


def _levels(value: Any, _: Context) -> Shape:
    levels = [_values(value.get_level_values(place).array) for place in range(value.nlevels)]
    return "$pandas", ["MultiIndex", list(value.names), levels], False


def _array(value: Any, _: Context) -> Shape:
    return "$pandas", [full_name(type(value)), _values(value)], False


def _name(value: Any) -> Any:
    kind = type(value)
    return kind.__name__ if kind in (pd.DataFrame, pd.Series) else reference(kind)


def _more(value: Any) -> list[Any]:
    """Return the metadata, attributes and flags of a frame or series, if it has any."""
    more = {name: getattr(value, name, None) for name in value._metadata if name not in {"name", "_name"}}  # noqa: SLF001 - where subclasses list their attributes
    more |= {"attrs": value.attrs} if value.attrs else {}
    more |= {} if value.flags.allows_duplicate_labels else {"allows_duplicate_labels": False}
    return [more] if more else []


def _values(array: Any) -> list[Any]:  # noqa: PLR0911 - one return for each kind of array
    dtype = array.dtype
    if isinstance(array, pd.arrays.NumpyExtensionArray):
        return [array.to_numpy()]
    if isinstance(array, pd.Categorical):
        return ["category", array.ordered, array.categories, array.codes]
    if isinstance(array, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray, pd.arrays.PeriodArray)):
        return [str(dtype), getattr(dtype, "tz", None), array.asi8]
    if isinstance(array, pd.arrays.IntervalArray):
        return ["interval", array.closed, array.left, array.right]
    if isinstance(dtype, pd.StringDtype):
        return ["string", repr(dtype.na_value), array.to_numpy(dtype=object, na_value=None).tolist()]
    if hasattr(array, "_data") and hasattr(array, "_mask"):  # masked items have arbitrary content
        data, mask = array._data.copy(), array._mask  # noqa: SLF001 - to_numpy cannot distinguish NaN and NA
        data[mask] = 0
        return [str(dtype), data, mask]
    if isinstance(dtype, pd.ArrowDtype):
        return [str(dtype), array.__arrow_array__()]
    return [str(dtype), array.to_numpy(dtype=object).tolist()]
