"""Of arrays, frames and tables the content decides, whatever their layout in memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from clearway._definition.canonical import canonical_json

INSTALL = "pip install --require-hashes -r tests/requirements-optional.lock"
np = pytest.importorskip("numpy", reason=f"needs numpy: {INSTALL}")
pd = pytest.importorskip("pandas", reason=f"needs pandas: {INSTALL}")
pa = pytest.importorskip("pyarrow", reason=f"needs pyarrow: {INSTALL}")
pl = pytest.importorskip("polars", reason=f"needs polars: {INSTALL}")

DAY = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)


def frame() -> Any:
    return pd.DataFrame(
        {
            "number": [1, 2, 3, 4],
            "real": [0.5, float("nan"), -0.0, 1e300],
            "text": ["a", None, "é", ""],
            "object": [1, "1", None, (1,)],
            "when": pd.date_range("2026-01-31", periods=4, tz="Europe/Berlin"),
            "span": pd.to_timedelta([1, 2, 3, None], unit="h"),
            "kind": pd.Categorical(["x", "y", "x", None], categories=["x", "y", "z"]),
            "masked": pd.array([1, None, 3, 4], dtype="Int64"),
            "flag": pd.array([True, None, False, True], dtype="boolean"),
            "period": pd.period_range("2026-01", periods=4, freq="M"),
            "interval": pd.interval_range(0, 4),
            "arrow": pd.array([1, None, 3, 4], dtype=pd.ArrowDtype(pa.int64())),
        },
        index=["w", "x", "y", "z"],
    )


def polars_frame() -> Any:
    return pl.DataFrame(
        {
            "number": [1, 2, None, 4],
            "real": [0.5, float("nan"), None, -0.0],
            "text": ["a", None, "é", ""],
            "when": [DAY, None, DAY, DAY],
            "list": [[1], [], None, [2, 3]],
            "struct": [{"a": 1}, {"a": None}, None, {"a": 3}],
            "flag": [True, None, False, True],
            "kind": pl.Series(["x", "y", "x", None], dtype=pl.Categorical),
        }
    )


def table() -> Any:
    return pa.table(
        {
            "number": [1, 2, None, 4],
            "real": [0.5, float("nan"), None, -0.0],
            "text": ["a", None, "é", ""],
            "when": pa.array([DAY, None, DAY, DAY], pa.timestamp("ns", tz="Europe/Berlin")),
            "list": [[1], [], None, [2, 3]],
            "struct": [{"a": 1}, {"a": None}, None, {"a": 3}],
            "flag": [True, None, False, True],
            "kind": pa.array(["x", "y", "x", None]).dictionary_encode(),
        }
    )


def masked_integers() -> Any:
    """Return 1 and NA, of which the NA has a number below it."""
    values = pd.array([1, 7], dtype="Int64")
    values._mask[1] = True
    return values


class Sub(np.ndarray):  # type: ignore[misc, name-defined]  # numpy may be missing
    pass


EQUAL: dict[str, Callable[[], list[Any]]] = {
    "copied frame": lambda: [frame(), frame().copy(), frame().copy(deep=False)],
    "sliced frame": lambda: [
        frame().iloc[1:3],
        frame().iloc[1:3].copy(),
        frame().iloc[[1, 2]],
        frame()[1:4][:2],
    ],
    "frame of blocks": lambda: [frame(), pd.concat([frame()[[name]] for name in frame()], axis=1)],
    "read back": lambda: [frame(), frame().iloc[::-1].iloc[::-1], pd.concat([frame()[:2], frame()[2:]])],
    "fortran frame": lambda: [
        pd.DataFrame(np.arange(6).reshape(2, 3)),
        pd.DataFrame(np.asfortranarray(np.arange(6).reshape(2, 3))),
    ],
    "ranges": lambda: [pd.RangeIndex(3), pd.Index([0, 1, 2])],
    "series": lambda: [frame()["text"], frame().text.copy(), frame()["text"][:]],
    "levels": lambda: [
        pd.MultiIndex.from_product([["a"], [1, 2]]),
        pd.MultiIndex.from_product([["a", "b"], [1, 2]])[:2],
    ],
    "masked": lambda: [pd.array([1, None], dtype="Int64"), masked_integers()],
    "timestamps": lambda: [pd.Timestamp(DAY), pd.Timestamp(DAY)],
    "strided": lambda: [
        np.arange(4),
        np.arange(8)[:4],
        np.arange(0, 8)[::1][:4].copy(),
        np.arange(4)[::-1][::-1],
    ],
    "orders": lambda: [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(6, dtype=">i8").reshape(2, 3),
    ],
    "structured": lambda: [
        np.zeros(2, dtype=[("a", "i1"), ("b", "i8")]),
        np.zeros(2, dtype=np.dtype([("a", "i1"), ("b", "i8")], align=True)),
    ],
    "objects": lambda: [
        np.array([[1], None, "a"], dtype=object),
        np.array([0, [1], None, "a"], dtype=object)[1:],
    ],
    "long floats": lambda: [np.array([1, 2], np.longdouble), np.array([1.0, 2.0]).astype(np.longdouble)],
    "subclass": lambda: [
        np.array([[1, 2], [3, 4]]).view(Sub),
        np.asfortranarray([[1, 2], [3, 4]]).view(Sub),
    ],
    "masked array": lambda: [
        np.ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]]),
        np.ma.array(np.asfortranarray([[1, 2], [3, 4]]), mask=[[0, 1], [0, 0]]),
    ],
    "polars": lambda: [polars_frame(), polars_frame().clone(), polars_frame().vstack(polars_frame())[4:]],
    "polars chunks": lambda: [
        polars_frame(),
        pl.concat([polars_frame()[:2], polars_frame()[2:]], rechunk=False),
    ],
    "arrow": lambda: [
        table(),
        pa.concat_tables([table()[:2], table()[2:]]),
        pa.concat_tables([table()] * 2)[4:],
    ],
    "arrow array": lambda: [pa.array([1, None, 3]), pa.array([0, 1, None, 3])[1:]],
    "under nulls": lambda: [
        pa.array([1, None]),
        pa.Array.from_buffers(
            pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([1, 99], "i8").tobytes())]
        ),
    ],
    "batches": lambda: [table().to_batches()[0], table()[:].combine_chunks().to_batches()[0]],
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_content_has_one_form(name: str) -> None:
    first, *others = EQUAL[name]()
    for other in others:
        assert canonical_json(other) == canonical_json(first)


DIFFERENT: dict[str, Callable[[], list[Any]]] = {
    "frames": lambda: [
        frame(),
        *(frame().drop(columns=[name]) for name in frame()),
        frame()[::-1],
        frame().rename(columns={"number": "other"}),
        frame().rename(index={"w": "v"}),
        frame().rename_axis("name"),
        frame().astype({"number": "int32"}),
        frame().astype({"masked": "Float64"}),
        frame().assign(kind=frame().kind.cat.remove_unused_categories()),
        frame().assign(kind=frame().kind.cat.as_ordered()),
        frame().assign(when=frame().when.dt.tz_convert("UTC")),
        frame().assign(when=frame().when.dt.as_unit("s")),
        frame().assign(text=frame().text.astype(object)),
        frame().assign(real=[0.5, float("nan"), 0.0, 1e300]),
        frame().set_flags(allows_duplicate_labels=False),
        with_attrs(frame()),
    ],
    "series and other columns": lambda: [
        frame().number,
        frame().number.rename("other"),
        frame().number.array,
        frame().number.to_numpy(),
        frame().number.index,
        frame().number.to_frame(),
        frame().number.tolist(),
    ],
    "indexes": lambda: [
        pd.Index([0, 1]),
        pd.Index([0.0, 1.0]),
        pd.Index([0, 1], name="a"),
        pd.date_range("2026", periods=2),
        pd.date_range("2026", periods=2)._with_freq(None),
        pd.Index(["0", "1"]),
        pd.MultiIndex.from_tuples([(0, 1)]),
    ],
    "missing": lambda: [None, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), np.timedelta64("NaT")],
    "numpy": lambda: [
        np.float64(1),
        np.float32(1),
        np.array(1.0),
        np.array([1.0]),
        np.array([[1.0]]),
        np.ma.array([1.0]),
        np.array([1.0]).view(Sub),
        np.array([1]),
        np.array(["1"]),
        np.array([b"1"]),
        np.array([1], dtype=object),
        np.array([True]),
        np.array([1], "M8[s]"),
        np.array([1], "M8[ms]"),
        np.array([1], "m8[s]"),
        np.int64(1),
        np.bool_(1),
        np.str_("1"),
        np.array([1 + 0j]),
        np.array([1], np.longdouble),
        np.dtype("i4"),
        np.dtype("i8"),
        np.add,
        np.subtract,
        np.array([-0.0]),
        np.array([0.0]),
        np.random.default_rng(1),
        np.random.default_rng(2),
        np.array([1], dtype=[("a", "i8")]),
        np.array([1], dtype=[("b", "i8")]),
        np.int64,
    ],
    "polars": lambda: [
        polars_frame(),
        *(polars_frame().drop(name) for name in polars_frame().columns),
        polars_frame().reverse(),
        polars_frame().rename({"number": "other"}),
        polars_frame().with_columns(pl.col("number").cast(pl.Int32)),
        polars_frame().with_columns(pl.col("number").fill_null(0)),
        polars_frame().with_columns(pl.col("when").dt.convert_time_zone("Europe/Berlin")),
        polars_frame().with_columns(pl.col("kind").cast(pl.String)),
        polars_frame()["number"],
        polars_frame()["number"].alias("other"),
        pl.Series("number", [1, 2, 0, 4]),
        pl.DataFrame(),
        pl.col("a") + 1,
        pl.col("a") + 2,
    ],
    "arrow": lambda: [
        table(),
        *(table().drop_columns([name]) for name in table().column_names),
        table().take([3, 2, 1, 0]),
        table().rename_columns(["other", *table().column_names[1:]]),
        table().replace_schema_metadata({"a": "b"}),
        table().to_batches()[0],
        table()["number"],
        table()["number"].combine_chunks(),
        table()["number"].cast(pa.int32()),
        table().schema,
        table().schema.field("number"),
        pa.int64(),
        pa.int32(),
        pa.scalar(1),
        pa.scalar(1, pa.int32()),
        pa.array([1, 2, 0, 4]),
        pa.array([]),
        pa.array([], pa.int64()),
        pa.py_buffer(b"1"),
    ],
}


def with_attrs(value: Any) -> Any:
    value.attrs["unit"] = "m"
    return value


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_content_has_different_forms(name: str) -> None:
    values = DIFFERENT[name]()
    forms = [canonical_json(value) for value in values]
    for place, form in enumerate(forms):
        assert forms.index(form) == place, (values[place], values[forms.index(form)])


def test_what_is_in_a_file_is_as_good_as_in_memory(tmp_path: Any) -> None:
    one, other = (np.memmap(tmp_path / name, dtype="i4", mode="w+", shape=(3,)) for name in ("a", "b"))
    one[:] = other[:] = [1, 2, 3]
    assert canonical_json(one) == canonical_json(other)
    other[0] = 2
    assert canonical_json(one) != canonical_json(other)


def test_a_plan_has_no_content() -> None:
    with pytest.raises(TypeError, match="collect"):
        canonical_json(polars_frame().lazy())
