"""Values for fields: plausible ones, and hostile ones."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from hashlib import sha256
from random import Random

from google.protobuf.descriptor import FieldDescriptor

from clearway.v1.options_pb2 import (
    FIELD_FORMAT_SHA256,
    FIELD_FORMAT_UUID,
    FieldRules,
    rules,
)
from fuzz.pool import Pool

MARK = "MARK7f3a91"
"""Part of most strings that are sent; no log line may contain it."""

SURROGATE = "\ue0f0\ue0f1"
"""Replaced in ``messages`` by two lone surrogates, which take the same number of bytes."""

KEYS = [f"fuzz key {number}" for number in range(12)]
TAGS = [f"fuzz-{number}" for number in range(6)]
PAYLOADS = [f"{MARK} result {number}".encode() for number in range(8)]
DIGESTS = [sha256(payload).hexdigest() for payload in PAYLOADS]

_BOOL = FieldDescriptor.CPPTYPE_BOOL
_REAL = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
# In addition to the bounds in a field's rules.
_INTEGERS = [0, 1, -1, 2, 255, 256, 65_536, 2**31 - 1, -(2**31)]
_LONG = [2**32, 2**53, 2**62, 2**63 - 1, -(2**63), 253_402_300_800, 10**15, -(10**15)]
_FLOATS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e308,
    -1e308,
    5e-324,
    float("inf"),
    float("-inf"),
    float("nan"),
]
_TEXTS = [
    "",
    "\0",
    "a\0b",
    "\x1b[2J\x1b]0;title\x07",
    "line\r\nline\n",
    "\x7f\x80\x9f",
    "\x1f" + KEYS[0],
    "\u202edlrow\u2066\u2069",
    "\u200b\ufeff",
    "\U0010ffff\ufffe",
    "e\u0301" * 30,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    SURROGATE,
    "' OR 1=1 --",
    "%s%n%x{0.__class__}${HOME}$(id)",
    "NaN",
    "*",
    "%",
    "_",
    "\\",
    "x" * 70_000,
]
_JSON = [
    '{"a": 1}',
    "[1]",
    "null",
    '{"a": NaN}',
    '{"a": 1e999999}',
    '{"a": ' + "9" * 5_000 + "}",
    "[" * 50_000,
    '{"a":' * 2_000 + "1" + "}" * 2_000,
    '{"a": "\\ud800"}',
    '{"a": "\\u0000"}',
    '{"' + MARK + '": 1, "' + MARK + '": 2}',
    "{" + " " * 524_288 + "}",
]


def rules_of(field: FieldDescriptor) -> FieldRules:
    """Return the rules that a field declares; the default is no rules."""
    return field.GetOptions().Extensions[rules]


class Values:
    """Generates random values.

    Args:
        chance: The random generator.
        pool: The ids known from the server so far.
        paths: Paths and locations that the server must not touch.
    """

    def __init__(self, chance: Random, pool: Pool, paths: Sequence[str]) -> None:
        self.chance = chance
        self._pool, self._paths = pool, list(paths)

    def plausible(self, field: FieldDescriptor) -> object:
        """Return a plausible value for a scalar field."""
        chance = self.chance
        if field.type == FieldDescriptor.TYPE_BYTES:
            return chance.choice([*PAYLOADS, b"", chance.randbytes(chance.choice([1, 100, 4_000]))])
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._plausible_text(field)
        if field.type == FieldDescriptor.TYPE_ENUM:
            # Running as often as all others together, so that runs progress.
            return chance.choice([*field.enum_type.values[1:], *field.enum_type.values[3:4] * 5]).number
        if field.cpp_type in _REAL:
            return chance.random()
        return chance.random() < 0.3 if field.cpp_type == _BOOL else chance.choice([0, 1, 2, 3, 10, 100])

    def _plausible_text(self, field: FieldDescriptor) -> str:
        chance, name = self.chance, field.name
        if rules_of(field).format == FIELD_FORMAT_UUID:
            return self._pool.id(field, chance)
        if rules_of(field).format == FIELD_FORMAT_SHA256:
            return chance.choice(["", DIGESTS[0]] if name == "signature" else DIGESTS)
        choices = {
            "page_token": ["", "", self._pool.token(chance)],
            "location": [*[f"service://{digest}" for digest in DIGESTS], *chance.choices(self._paths, k=4)],
            "parameters_json": ["", "{}", '{"a": 1}'],
        }
        if name in choices:
            return chance.choice(choices[name])
        if "key" in name or name.startswith("tag"):
            return chance.choice(KEYS if "key" in name else TAGS)
        return f"{MARK} {name} {chance.randrange(20)}"

    def hostile(self, field: FieldDescriptor) -> object:
        """Return a hostile value for a scalar field."""
        chance = self.chance
        bounds = rules_of(field)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return chance.randbytes(chance.choice([0, 1, bounds.max_bytes, bounds.max_bytes + 1, 300_000]))
        if field.type == FieldDescriptor.TYPE_STRING:
            return self.hostile_text(bounds)
        near = [bounds.at_least - 1, bounds.at_least, bounds.at_most, bounds.at_most + 1]
        if field.cpp_type in _REAL:
            return chance.choice([*_FLOATS, *near, struct.unpack("<d", chance.randbytes(8))[0]])
        numbers: dict[int, list[int]] = {
            FieldDescriptor.CPPTYPE_ENUM: [0, -1, 99, 2**31 - 1, -(2**31)],
            FieldDescriptor.CPPTYPE_BOOL: [0, 1],
            FieldDescriptor.CPPTYPE_INT32: [*_INTEGERS, *map(int, near)],
            FieldDescriptor.CPPTYPE_INT64: [*_INTEGERS, *map(int, near), *_LONG],
        }
        # The remaining types are unsigned.
        return chance.choice(numbers.get(field.cpp_type, [0, 1, 2**31, 2**32 - 1]))

    def hostile_text(self, bounds: FieldRules) -> str:
        """Return a hostile string: too long, with odd characters, a path, or with syntax of a parser."""
        chance = self.chance
        drawn = chance.random()
        if (most := bounds.max_chars or bounds.max_bytes) and drawn < 0.1:
            return chance.choice("xé") * chance.choice([most, most + 1])
        if drawn < 0.2:
            return chance.choice(self._paths)
        if drawn < 0.25:
            return chance.choice(_JSON)
        if drawn < 0.26:
            return MARK + "x" * 1_000_000
        text = chance.choice(_TEXTS)
        return f"{MARK}{text}" if chance.random() < 0.5 else text

    def span(self) -> tuple[int, int]:
        """Return a short duration as seconds and nanoseconds."""
        return self.chance.choice([(0, 0), (0, 1_000), (0, 10_000_000), (0, 100_000_000)])

    def moment(self) -> tuple[int, int]:
        """Return a time near now as seconds since 1970 and nanoseconds."""
        return int(time.time()) + self.chance.choice([-86_400, -1, 0, 0, 1, 3_600]), 0
