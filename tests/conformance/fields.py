"""Fields: checks that a scenario's messages have fields of the protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from conformance.matching import MATCHERS

_AS_TEXT = ("google.protobuf.Timestamp", "google.protobuf.Duration")


def field_problems(descriptor: Descriptor, value: Any, where: str, *, expected: bool) -> Iterator[str]:
    """Yield the problems of a message in protobuf JSON.

    Args:
        descriptor: The message's descriptor.
        value: The message.
        where: The message's name in problems.
        expected: Whether it is an expected response, which may have matchers, and null for unset.
    """
    if not isinstance(value, Mapping):
        yield f"{where} is {value!r}; it must be an object with fields of {descriptor.full_name}"
        return
    known = {field.json_name: field for field in descriptor.fields}
    for name, inner in value.items():
        place = f"{where}.{name}"
        if name not in known:
            yield f"{place} is no field of {descriptor.full_name}; there are {', '.join(known)}"
        elif expected and (inner is None or _is_matcher(inner)):
            yield from _matcher_problems(inner, place)
        elif _is_map(known[name]):
            yield from _map(inner, place, expected=expected)
        elif known[name].is_repeated:
            yield from _items(known[name], inner, place, expected=expected)
        else:
            yield from _one(known[name], inner, place, expected=expected)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _map(value: Any, where: str, *, expected: bool) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where} is {value!r}; it must be an object of texts"
        return
    for key, inner in value.items():
        if not isinstance(inner, str) and not (expected and (inner is None or _is_matcher(inner))):
            yield f"{where}.{key} is {inner!r}; it must be a text"


def _items(field: FieldDescriptor, values: Any, where: str, *, expected: bool) -> Iterator[str]:
    if not isinstance(values, list):
        yield f"{where} is {values!r}; it must be a list"
        return
    for place, value in enumerate(values):
        if not (expected and _is_matcher(value)):
            yield from _one(field, value, f"{where}.{place}", expected=expected)


def _one(field: FieldDescriptor, value: Any, where: str, *, expected: bool) -> Iterator[str]:
    if field.message_type is not None:
        if field.message_type.full_name not in _AS_TEXT:
            yield from field_problems(field.message_type, value, where, expected=expected)
        elif not isinstance(value, str):
            yield f"{where} is {value!r}; it must be a text, as protobuf JSON writes it"
    elif field.enum_type is not None:
        yield from _enum_problems(field.enum_type, value, where)
    elif isinstance(value, Mapping | list):
        yield f"{where} is {value!r}; it must be a plain value"


def _enum_problems(enum: EnumDescriptor, value: Any, where: str) -> Iterator[str]:
    # A number may be unknown, to test the service's response to it.
    if not isinstance(value, int) and value not in enum.values_by_name:
        yield f"{where} is {value!r}; it must be one of {', '.join(enum.values_by_name)}"


def _is_matcher(value: Any) -> bool:
    return isinstance(value, Mapping) and any(name.startswith("$") for name in value)


def _matcher_problems(value: Any, where: str) -> Iterator[str]:
    if value is None:
        return
    for name, argument in value.items():
        if name not in MATCHERS or len(value) != 1:
            yield f"{where} is {value!r}; a matcher is one of {', '.join(MATCHERS)}, alone in its object"
        elif not isinstance(argument, MATCHERS[name]):
            yield f"{where}: {name} is given {argument!r}; it takes a {MATCHERS[name].__name__}"
