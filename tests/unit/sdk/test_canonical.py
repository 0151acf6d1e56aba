"""Cache keys that are the same everywhere."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import os
import subprocess
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import pydantic
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from clearway._definition.canonical import canonical_json
from clearway.hashing import input_key

NO_NUMPY = "needs numpy: pip install --require-hashes -r tests/requirements-optional.lock"
VECTORS = Path(__file__).parents[2] / "conformance" / "cache_keys.json"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key[:1] != "$"), inner),
)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2


@dataclass
class Point:
    x: int
    tags: set[str] = field(default_factory=set)


class Model(pydantic.BaseModel):
    name: str
    when: dt.date


Pair = namedtuple("Pair", "one two")  # noqa: PYI024
UTC_NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "vector", json.loads(VECTORS.read_text())["vectors"], ids=lambda vector: vector["name"]
)
def test_the_vectors_for_other_languages_hold(vector: dict[str, Any]) -> None:
    made = {name: vector[name] for name in ("task_key", "function", "arguments")}
    assert input_key(made["task_key"], made["arguments"], made["function"]) == vector["key"]
    assert canonical_json(made).decode() == vector["canonical"]


@given(JSON_VALUES)
def test_json_is_written_as_rfc_8785_says(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@given(st.floats().filter(lambda number: math.isfinite(number) and not number.is_integer()))
def test_fractions_are_written_as_rfc_8785_says(value: float) -> None:
    assert canonical_json([value]) == rfc8785.dumps([value])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, '{"$float":"1"}'),
        (1e300, '{"$float":"' + str(int(1e300)) + '"}'),
        (math.inf, '{"$float":"inf"}'),
        (math.nan, '{"$float":"nan"}'),
        (2**53, '{"$int":"9007199254740992"}'),
        ("\ud800", '{"$str":"7aCA"}'),
        ((1, 2), '{"$tuple":[1,2]}'),
        ({2, 10, 1}, '{"$set":[1,10,2]}'),
        (frozenset(), '{"$frozenset":[]}'),
        (b"\x00\xff", '{"$bytes":"AP8="}'),
        (bytearray(b"a"), '{"$bytearray":"YQ=="}'),
        (1 + 2.5j, '{"$complex":[{"$float":"1"},2.5]}'),
        (range(1, 9, 2), '{"$range":[1,9,2]}'),
        (Decimal("1.50"), '{"$decimal":"1.50"}'),
        (UUID(int=1), '{"$uuid":"00000000-0000-0000-0000-000000000001"}'),
        (UTC_NOON, '{"$datetime":"2026-01-31T12:00:00+00:00"}'),
        (dt.date(2026, 1, 31), '{"$date":"2026-01-31"}'),
        (dt.time(12, 30), '{"$time":"12:30:00"}'),
        (dt.timedelta(days=-1), '{"$timedelta":"-86400000000"}'),
        (PurePosixPath("a/b"), '{"$path":"a/b"}'),
        ({1: "a", (2,): "b"}, '{"$dict":[[1,"a"],[{"$tuple":[2]},"b"]]}'),
        ({"$set": []}, '{"$dict":[["$set",[]]]}'),
    ],
)
def test_what_json_lacks_has_a_form_of_its_own(value: Any, text: str) -> None:
    assert canonical_json(value).decode() == text


def test_objects_are_their_type_and_their_fields() -> None:
    module = Point.__module__
    assert json.loads(canonical_json(Point(1, {"b", "a"}))) == {
        "$object": [f"{module}.Point", {"x": 1, "tags": {"$set": ["a", "b"]}}]
    }
    assert json.loads(canonical_json(Model(name="m", when=dt.date(2026, 1, 31)))) == {
        "$object": [f"{module}.Model", {"name": "m", "when": {"$date": "2026-01-31"}}]
    }
    assert json.loads(canonical_json(Pair(1, None))) == {"$namedtuple": [f"{module}.Pair", [1, None]]}
    assert json.loads(canonical_json(Colour.RED)) == {"$enum": [f"{module}.Colour", "RED"]}


def test_flags_without_a_name_are_their_value() -> None:
    name = f"{Access.__module__}.Access"
    assert json.loads(canonical_json(Access.READ | Access.WRITE)) == {"$enum": [name, "READ|WRITE"]}
    assert json.loads(canonical_json(Access(0))) == {"$enum": [name, 0]}
    assert json.loads(canonical_json(Access(8))) == {"$enum": [name, 8]}


def test_other_objects_are_their_class_and_what_pickling_says_of_them() -> None:
    assert json.loads(canonical_json(OrderedDict(a=1))) == {
        "$object": ["collections.OrderedDict", {}, [], [["a", 1]]]
    }
    ring: list[Any] = []
    ring.append(ring)
    assert json.loads(canonical_json(ring)) == {"$graph": [{"$ref": 0}, [[{"$ref": 0}]]]}


def test_arrays_are_their_type_shape_and_content() -> None:
    numpy = pytest.importorskip("numpy", reason=NO_NUMPY)
    array = numpy.arange(6, dtype="int32").reshape(2, 3)
    assert canonical_json(array) == canonical_json(array.copy(order="F"))
    assert canonical_json(array) == canonical_json(array.astype(">i4"))
    assert canonical_json(array) != canonical_json(array.T)
    assert canonical_json(array) != canonical_json(array.astype("int64"))
    assert json.loads(canonical_json(numpy.float64(0.5)))["$numpy"][:2] == ["<f8", []]
    objects = json.loads(canonical_json(numpy.array([object, 1], dtype=object)))
    assert objects == {"$numpy": ["|O", [2], [{"$class": "builtins.object"}, 1]]}


def test_what_a_subclass_adds_to_a_dataclass_counts() -> None:
    class Named(Point):  # without the decorator, so the name is no field
        def __init__(self, name: str) -> None:
            super().__init__(1)
            self.name = name

    assert canonical_json(Named("a")) == canonical_json(Named("a"))
    assert canonical_json(Named("a")) != canonical_json(Named("b"))


def test_an_integer_may_be_longer_than_python_writes() -> None:
    long = 10**5_000
    assert canonical_json(long) == b'{"$int":"1' + b"0" * 5_000 + b'"}'
    assert canonical_json(-long) == b'{"$int":"-1' + b"0" * 5_000 + b'"}'


def test_arrays_that_have_more_than_numbers_are_told_apart() -> None:
    numpy = pytest.importorskip("numpy", reason=NO_NUMPY)
    one, other = (numpy.zeros(2, dtype=[(name, kind)]) for name, kind in (("a", "<f8"), ("b", "<i8")))
    assert canonical_json(one) != canonical_json(other)
    assert canonical_json(one) == canonical_json(one.copy())
    assert canonical_json(one[0]) != canonical_json(other[0])
    masked = numpy.ma.array([1, 2], mask=[False, True])
    filled = numpy.ma.array([1, 999_999])
    assert canonical_json(masked) != canonical_json(filled)  # 999,999 stands for what is masked

    class Quantity(numpy.ndarray):  # type: ignore[misc, name-defined]
        def __reduce__(self) -> tuple[Any, ...]:
            return Quantity, (self.tolist(), self.unit)

    metres, miles = (numpy.array([1.0]).view(Quantity) for _ in range(2))
    metres.unit, miles.unit = "m", "mi"
    assert canonical_json(metres) != canonical_json(miles)


SCRIPT = """
import sys; sys.path[:0] = [{sdk!r}, {folder!r}]
import datetime as dt, enum, pathlib, uuid, decimal
from dataclasses import dataclass
from clearway._definition.canonical import canonical_json

@dataclass
class Point:
    x: object

print(canonical_json([
    {{"one", "two", "three", "four"}}, {{"b": 1, "a": 2.5}}, Point(frozenset(range(100))),
    dt.datetime(2026, 1, 31, 12, 30, 15, 5), uuid.UUID(int=7), pathlib.PurePosixPath("/a"),
    decimal.Decimal("1.10"), 1e22, 1e-9, "\\u00e9", {{("a", 1), ("b", 2)}},
]).hex())
"""


def pythons() -> list[str]:
    """Return the Pythons of this machine that Clearway runs on, this one first."""
    found = {sys.version_info[:2]: sys.executable}
    folders = {*os.environ["PATH"].split(":"), *map(str, Path(sys.base_prefix).parent.glob("*/bin"))}
    for minor in (11, 12, 13):
        for folder in sorted(folders):
            path = Path(folder) / f"python3.{minor}"
            if path.exists() and works(path):
                found.setdefault((3, minor), str(path))
    return list(found.values())


def works(python: Path) -> bool:
    """Return whether a Python can be started: a version manager's stand-in for one that is missing cannot."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def test_keys_are_the_same_in_every_process_and_python() -> None:
    root = Path(__file__).parents[3]
    script = SCRIPT.format(sdk=str(root / "sdk"), folder=str(Path(rfc8785.__file__).parents[1]))
    made = {
        subprocess.run(
            [python, "-c", script],
            env={"PYTHONHASHSEED": seed, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for python in pythons()
        for seed in ("0", "1")
    }
    assert len(made) == 1
