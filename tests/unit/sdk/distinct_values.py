"""Makers of values of which a function can tell each from all others, by name; each call makes a new one."""

# ruff: noqa: PLW0108, RUF037 - each maker is a lambda, and some make what could be written shorter

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import io
import ipaddress
import math
import operator
import pathlib
import random
import re
import string
import struct
import types
import typing
import uuid
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pydantic

NOON = dt.datetime(2026, 7, 1, 12)  # noqa: DTZ001 - naive ones are values too
BERLIN = "Europe/Berlin"
SUMMER = dt.timezone(dt.timedelta(hours=2))


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Number(enum.IntEnum):
    ZERO = 0
    ONE = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Point:
    x: Any = 0
    y: Any = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Frozen:
    x: Any = 0


@dataclass
class Extra(dict):  # type: ignore[type-arg]
    x: Any = 0


class Pair(NamedTuple):
    one: Any
    two: Any


class Attributed(Pair):
    pass


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)
    x: Any = 0
    _hidden: Any = pydantic.PrivateAttr(default=None)


class OtherModel(Model):
    pass


class Plain:
    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)

    def method(self, x: Any) -> Any:
        return x

    def other(self, x: Any) -> Any:
        return x

    @functools.cached_property
    def computed(self) -> int:
        return 7


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, **state: Any) -> None:
        for name, value in state.items():
            setattr(self, name, value)


class Callable_(Plain):  # noqa: N801
    def __call__(self, x: Any) -> Any:
        return x


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


class Items(list):  # type: ignore[type-arg]
    pass


class Mapping(dict):  # type: ignore[type-arg]
    pass


class Group(set):  # type: ignore[type-arg]
    pass


class OopsError(Exception):
    pass


class OwnState:
    def __init__(self, kept: Any, dropped: Any) -> None:
        self.kept, self.dropped = kept, dropped

    def __getstate__(self) -> Any:
        return {"kept": self.kept}


def local_class(**members: Any) -> type:
    """Return a class that no import finds; all of them have one name."""
    return type(
        "Local", (), {"__module__": __name__, "__qualname__": "local_class.<locals>.Local", **members}
    )


def local_enum(value: int) -> Any:
    kind = enum.Enum("Level", {"HIGH": value}, module=__name__, qualname="local_enum.<locals>.Level")
    return kind.HIGH  # type: ignore[attr-defined]


def adder(by: Any) -> Callable[[Any], Any]:
    def add(x: Any) -> Any:
        return x + by

    return add


def with_default(value: Any) -> Callable[..., Any]:
    def take(x: Any = value) -> Any:
        return x

    return take


def with_keyword_default(value: Any) -> Callable[..., Any]:
    def take(*, x: Any = value) -> Any:
        return x

    return take


def with_attribute(value: Any) -> Any:
    def take() -> Any:
        return None

    take.value = value  # type: ignore[attr-defined]
    return take


def with_global(value: Any) -> Any:
    namespace: dict[str, Any] = {"K": value, "__name__": "elsewhere"}
    exec("def read(): return K", namespace)
    return namespace["read"]


def module_function(x: Any) -> Any:
    return x


def other_function(x: Any) -> Any:
    return x + 0


@functools.lru_cache(maxsize=4)
def cached(x: Any) -> Any:
    return x


@functools.singledispatch
def dispatched(x: Any) -> Any:
    return x


def counted() -> collections.Counter[str]:
    return collections.Counter("aab")


def nan(bits: int) -> float:
    return float(struct.unpack(">d", struct.pack(">Q", bits))[0])


def with_attributes(value: Any, **attributes: Any) -> Any:
    for name, each in attributes.items():
        setattr(value, name, each)
    return value


def ring(depth: int) -> list[Any]:
    outer: list[Any] = []
    inner = outer
    for _ in range(depth):
        inner.append([])
        inner = inner[0]
    inner.append(outer)
    return outer


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def mutual(first: Any, second: Any) -> Plain:
    one, two = Plain(value=first), Plain(value=second)
    one.other, two.other = two, one  # type: ignore[method-assign, assignment]
    return one


_ = lambda: (lambda x: x + 1, lambda x: x + 2)  # noqa: E731 - two on one line
FIRST_OF_LINE, SECOND_OF_LINE = _()

MAKERS: dict[str, Callable[[], Any]] = {
    # What is equal, or looks equal, and is of another type.
    "None": lambda: None,
    "False": lambda: False,
    "0": lambda: 0,
    "0.0": lambda: 0.0,
    "-0.0": lambda: -0.0,
    "0j": lambda: 0j,
    "-0j": lambda: complex(0, -0.0),
    "text": lambda: "0",
    "empty text": lambda: "",
    "bytes": lambda: b"0",
    "bytearray": lambda: bytearray(b"0"),
    "memoryview": lambda: memoryview(b"0"),
    "writable memoryview": lambda: memoryview(bytearray(b"0")),
    "Whole": lambda: Whole(0),
    "Real": lambda: Real(0),
    "Text": lambda: Text("0"),
    "Decimal": lambda: decimal.Decimal(0),
    "-Decimal": lambda: decimal.Decimal("-0"),
    "Decimal 0.0": lambda: decimal.Decimal("0.0"),
    "Decimal NaN": lambda: decimal.Decimal("NaN"),
    "Decimal sNaN": lambda: decimal.Decimal("sNaN"),
    "Decimal NaN 1": lambda: decimal.Decimal("NaN1"),
    "Fraction": lambda: fractions.Fraction(0),
    "nan": lambda: math.nan,
    "-nan": lambda: nan(0xFFF8000000000000),
    "nan 1": lambda: nan(0x7FF8000000000001),
    "inf": lambda: math.inf,
    "-inf": lambda: -math.inf,
    "2**53": lambda: 2**53,
    "2.0**53": lambda: 2.0**53,
    "0.1": lambda: 0.1,
    "1e-9": lambda: 1e-9,
    "half a pair": lambda: "\ud800",
    "its bytes": lambda: "7aCA",
    "like a form": lambda: {"$float": "0"},
    "like a tuple": lambda: {"$tuple": []},
    "like a digest": lambda: {"$sha256": "0"},
    # Containers.
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "Items": Items,
    "Mapping": Mapping,
    "Group": Group,
    "[0]": lambda: [0],
    "(0,)": lambda: (0,),
    "{0}": lambda: {0},
    "{0: 0}": lambda: {0: 0},
    "{'0': 0}": lambda: {"0": 0},
    "{False: 0}": lambda: {False: 0},
    "[[]]": lambda: [[]],
    "[()]": lambda: [()],
    "mixed set": lambda: {1, "1", (1,), None, 1.5},
    "other mixed set": lambda: {1, "1", (1,), None, 2.5},
    "Group of 1": lambda: Group([1, 2]),
    "Group with state": lambda: with_attributes(Group([1, 2]), a=1),
    "Items with state": lambda: with_attributes(Items(), a=1),
    "deque": collections.deque,
    "deque 3": lambda: collections.deque([], 3),
    "deque [0]": lambda: collections.deque([0]),
    "OrderedDict": collections.OrderedDict,
    "a, b": lambda: collections.OrderedDict(a=0, b=0),
    "b, a": lambda: collections.OrderedDict(b=0, a=0),
    "defaultdict list": lambda: collections.defaultdict(list),
    "defaultdict int": lambda: collections.defaultdict(int),
    "defaultdict a": lambda: collections.defaultdict(list, a=0),
    "Counter": counted,
    "ChainMap": lambda: collections.ChainMap({"a": 0}),
    "ChainMap 2": lambda: collections.ChainMap({"a": 0}, {}),
    "UserDict": lambda: collections.UserDict(a=0),
    "UserList": lambda: collections.UserList([0]),
    "UserString": lambda: collections.UserString("0"),
    "SimpleNamespace": lambda: types.SimpleNamespace(a=0),
    "namespace b": lambda: types.SimpleNamespace(b=0),
    "mappingproxy": lambda: types.MappingProxyType({"a": 0}),
    "keys": lambda: {"a": 0}.keys(),
    "items": lambda: {"a": 0}.items(),
    "values": lambda: {"a": 0}.values(),
    "range": lambda: range(1, 9, 2),
    "equal range": lambda: range(1, 10, 2),
    "slice": lambda: slice(1, 9, 2),
    "array": lambda: __import__("array").array("i", [0]),
    "array B": lambda: __import__("array").array("B", [0]),
    "StringIO": lambda: io.StringIO("0"),
    "BytesIO": lambda: io.BytesIO(b"0"),
    "WeakSet": lambda: weakref.WeakSet(),
    # Times.
    "naive": lambda: NOON,
    "date": NOON.date,
    "time": NOON.time,
    "folded": lambda: NOON.replace(fold=1),
    "folded time": lambda: dt.time(12, fold=1),
    "UTC": lambda: NOON.replace(tzinfo=dt.UTC),
    "ZoneInfo UTC": lambda: NOON.replace(tzinfo=ZoneInfo("UTC")),
    "offset": lambda: NOON.replace(tzinfo=SUMMER),
    "named offset": lambda: NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=2), "CEST")),
    "Berlin": lambda: NOON.replace(tzinfo=ZoneInfo(BERLIN)),
    "Rome": lambda: NOON.replace(tzinfo=ZoneInfo("Europe/Rome")),
    "time in Berlin": lambda: dt.time(12, tzinfo=ZoneInfo(BERLIN)),
    "time at +2": lambda: dt.time(12, tzinfo=SUMMER),
    "zone": lambda: ZoneInfo(BERLIN),
    "timezone": lambda: SUMMER,
    "timedelta": lambda: dt.timedelta(hours=2),
    "microsecond": lambda: dt.timedelta(microseconds=1),
    # Values with a class of their own.
    "uuid": lambda: uuid.UUID(int=1),
    "Path": lambda: pathlib.Path("a"),
    "PurePosixPath": lambda: pathlib.PurePosixPath("a"),
    "PureWindowsPath": lambda: pathlib.PureWindowsPath("a"),
    "path text": lambda: "a",
    "ip": lambda: ipaddress.ip_address("127.0.0.1"),
    "network": lambda: ipaddress.ip_network("127.0.0.1/32"),
    "regex": lambda: re.compile("a"),
    "regex I": lambda: re.compile("a", re.IGNORECASE),
    "regex bytes": lambda: re.compile(b"a"),
    "RED": lambda: Colour.RED,
    "BLUE": lambda: Colour.BLUE,
    "ZERO": lambda: Number.ZERO,
    "ONE": lambda: Number.ONE,
    "READ": lambda: Access.READ,
    "READ|WRITE": lambda: Access.READ | Access.WRITE,
    "Access(0)": lambda: Access(0),
    "Level 1": lambda: local_enum(1),
    "Level 2": lambda: local_enum(2),
    "Point": Point,
    "Point y": lambda: Point(0, 1),
    "Point extra": lambda: with_attributes(Point(), z=0),
    "Frozen": Frozen,
    "Frozen 1": lambda: Frozen(1),
    "Extra": Extra,
    "Extra a": lambda: with_attributes(Extra(), x=0).__ior__({"a": 0}),
    "Pair": lambda: Pair(0, 1),
    "Attributed": lambda: Attributed(0, 1),
    "Attributed a": lambda: with_attributes(Attributed(0, 1), a=1),
    "Model": Model,
    "Model x": lambda: Model(x=0),
    "Model 1": lambda: Model(x=1),
    "Model extra": lambda: Model(x=0, y=0),
    "Model hidden": lambda: with_attributes(Model(), _hidden=1),
    "OtherModel": OtherModel,
    "Plain": Plain,
    "Plain a": lambda: Plain(a=0),
    "Plain b": lambda: Plain(b=0),
    "Slotted": Slotted,
    "Slotted a": lambda: Slotted(a=0),
    "Slotted b": lambda: Slotted(b=0),
    "Callable_": lambda: Callable_(a=0),
    "OwnState": lambda: OwnState(1, 2),
    "OwnState 2": lambda: OwnState(2, 2),
    "Local": lambda: local_class()(),
    "Local a": lambda: local_class(a=1)(),
    "Local b": lambda: local_class(a=2)(),
    "ValueError": lambda: ValueError(0),
    "KeyError": lambda: KeyError(0),
    "ValueError 1": lambda: ValueError(1),
    "Oops": lambda: OopsError(0),
    "Oops a": lambda: with_attributes(OopsError(0), a=1),
    "OSError": lambda: OSError(2, "no"),
    "OSError file": lambda: OSError(2, "no", "a"),
    "group": lambda: ExceptionGroup("0", [ValueError(0)]),
    "Random 1": lambda: random.Random(1),
    "Random 2": lambda: random.Random(2),
    "Template": lambda: string.Template("0"),
    "Ellipsis": lambda: ...,
    "NotImplemented": lambda: NotImplemented,
    # Callables and classes.
    "len": lambda: len,
    "print": lambda: print,
    "int": lambda: int,
    "str": lambda: str,
    "Plain class": lambda: Plain,
    "Local class": local_class,
    "Local class a": lambda: local_class(a=1),
    "Local class method": lambda: local_class(a=adder(1)),
    "Local class method 2": lambda: local_class(a=adder(2)),
    "list[int]": lambda: list[int],
    "list[str]": lambda: list[str],
    "int | None": lambda: int | None,
    "Optional": lambda: typing.Union[str, None],  # noqa: UP007 - the typing form is pickled in another way
    "function": lambda: module_function,
    "other function": lambda: other_function,
    "adder 1": lambda: adder(1),
    "adder 1.0": lambda: adder(1.0),
    "adder [1]": lambda: adder([1]),
    "adder of adder": lambda: adder(adder(1)),
    "adder of adder 2": lambda: adder(adder(2)),
    "default 1": lambda: with_default(1),
    "default 2": lambda: with_default(2),
    "keyword default 1": lambda: with_keyword_default(1),
    "keyword default 2": lambda: with_keyword_default(2),
    "attribute 1": lambda: with_attribute(1),
    "attribute 2": lambda: with_attribute(2),
    "global 1": lambda: with_global(1),
    "global 2": lambda: with_global(2),
    "first of a line": lambda: FIRST_OF_LINE,
    "second of a line": lambda: SECOND_OF_LINE,
    "lambda": lambda: lambda x: x * 3,
    "lambda 4": lambda: lambda x: x * 4,
    "partial": lambda: functools.partial(module_function, 1),
    "partial 2": lambda: functools.partial(module_function, 2),
    "partial x": lambda: functools.partial(module_function, x=1),
    "partial other": lambda: functools.partial(other_function, 1),
    "partialmethod": lambda: functools.partialmethod(module_function, 1),
    "bound": lambda: Plain(a=1).method,
    "bound other": lambda: Plain(a=1).other,
    "bound 2": lambda: Plain(a=2).method,
    "unbound": lambda: Plain.method,
    "bound lambda": lambda: types.MethodType(lambda self: self, 1),
    "bound lambda 2": lambda: types.MethodType(lambda self: 1 + self, 1),
    "builtin bound": lambda: "a".upper,
    "builtin bound b": lambda: "b".upper,
    "builtin lower": lambda: "a".lower,
    "str.upper": lambda: str.upper,
    "append": lambda: [].append,
    "append 1": lambda: [1].append,
    "itemgetter": lambda: operator.itemgetter(0),
    "itemgetter 1": lambda: operator.itemgetter(1),
    "attrgetter": lambda: operator.attrgetter("a"),
    "attrgetter b": lambda: operator.attrgetter("b"),
    "methodcaller": lambda: operator.methodcaller("a"),
    "methodcaller 1": lambda: operator.methodcaller("a", 1),
    "methodcaller x": lambda: operator.methodcaller("a", x=1),
    "lru_cache": lambda: cached,
    "lru_cache of adder": lambda: functools.lru_cache(adder(1)),
    "lru_cache of adder 2": lambda: functools.lru_cache(adder(2)),
    "property": lambda: property(adder(1)),
    "property 2": lambda: property(adder(2)),
    "staticmethod": lambda: staticmethod(adder(1)),
    "module": lambda: math,
    "iterator": lambda: iter([1, 2]),
    "iterator 2": lambda: iter([2]),
    # Circular and deep.
    "ring": lambda: ring(0),
    "ring 1": lambda: ring(1),
    "ring 2": lambda: ring(2),
    "[ring]": lambda: [ring(0), 0],
    "mutual": lambda: mutual(1, 2),
    "mutual 2": lambda: mutual(2, 1),
    "mutual 3": lambda: mutual(1, 1),
    "deep": lambda: nested(300),
    "deeper": lambda: nested(301),
    "99": lambda: nested(99),
    "100": lambda: nested(100),
    "101": lambda: nested(101),
}
