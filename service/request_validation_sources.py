"""Write the source of ``api/request_validation.py`` from the rules that the protos declare.

The rules are read once, when the source is written, so a request costs no walk over descriptors: the checker
of a message is straight-line code that gets each field once, and builds a field's path only for an error.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor

from clearway.v1 import options_pb2, orchestrator_pb2
from clearway_service.api import consistency

# Messages that ``parsing`` reads field by field: their checkers return the fields. They are not checked as
# parts of other messages, since they are when they are read.
READ = frozenset(
    {
        "Await",
        "FlowRunSpec",
        "Log",
        "Proposal",
        "ProposedState",
        "ProposeRequest",
        "TaskInput",
        "TaskRunSpec",
    }
)

_HEAD = '''\
"""Checkers of requests, written from the rules in ``protos/`` by ``make statements``.

A checker raises InvalidArgumentError for the first field that breaks a rule. ``path`` is put before the names
of the message's fields. One that reads returns the fields, in the order in which the protos have them: with
None for a message that is not set, ids in their canonical form, and a oneof as the name and the value of what
is set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clearway_service.api import consistency
from clearway_service.api.field_checks import (
    JSON_OBJECT,
    KEY,
    SHA256,
    TAG,
    UUID,
    canonical_uuid,
    check_duration,
    check_timestamp,
    invalid,
    is_canonical_uuid,
    is_json_object,
    is_sha256,
    is_tag,
    missing,
    too_large,
    too_long,
    too_many,
)
'''
_WIDTH = 100
_PACKAGE = "clearway.v1"
_TIMESTAMP, _DURATION = "google.protobuf.Timestamp", "google.protobuf.Duration"
_UUID, _KEY, _TAG = (
    options_pb2.FIELD_FORMAT_UUID,
    options_pb2.FIELD_FORMAT_KEY,
    options_pb2.FIELD_FORMAT_TAG,
)
# The condition that a text breaks a format, and the constant that says what would be right.
_FORMATS = {
    options_pb2.FIELD_FORMAT_SHA256: ("is_sha256({}) is None", "SHA256"),
    _KEY: (r'"\0" in {}', "KEY"),
    _TAG: ("not is_tag({})", "TAG"),
    options_pb2.FIELD_FORMAT_JSON_OBJECT: ("not is_json_object({})", "JSON_OBJECT"),
}


def rules_of(field: FieldDescriptor) -> options_pb2.FieldRules:
    """Return the rules of a field, which may be none."""
    return field.GetOptions().Extensions[options_pb2.rules]


def request_messages() -> list[Descriptor]:
    """Return the messages that clients send, and those within them, each once; the innermost first."""
    found: dict[str, Descriptor] = {}

    def add(message: Descriptor, outer: tuple[str, ...]) -> None:
        if message.full_name in (*found, *outer):
            return
        for field in message.fields:
            if field.message_type is not None and field.message_type.file.package == _PACKAGE:
                add(field.message_type, (*outer, message.full_name))
        found[message.full_name] = message

    for method in orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"].methods:
        add(method.input_type, ())
    return list(found.values())


def oneof_of(field: FieldDescriptor) -> OneofDescriptor | None:
    """Return the oneof that a field is a member of; None for an ``optional`` field."""
    oneof = field.containing_oneof
    return None if oneof is None or oneof.name.startswith("_") else oneof


def generate() -> str:
    """Return the text of the module."""
    checked: set[str] = set()
    functions: list[str] = []
    entries: list[str] = []
    enums: dict[str, str] = {}
    for message in request_messages():
        checker = _Checker(message, checked, enums)
        lines = checker.lines()
        if lines:
            checked.add(message.full_name)
            functions.append(f"\ndef {checker.name}{checker.signature}:\n{_indented(lines)}")
            if message.name not in READ and message.name.endswith("Request"):
                entries.append(f'"{message.full_name}": {checker.name},')
    table = f"CHECKERS: dict[str, Callable[[Any, str], None]] = {{\n{_indented(entries)}}}\n"
    return "\n".join([_HEAD, *enums.values(), *functions, f"\n# By the names of requests.\n{table}"])


class _Checker:
    """Writes the checker of one message.

    Args:
        message: The message.
        checked: The messages that have checkers.
        enums: The constants of enums, by name; those that are needed are added.
    """

    def __init__(self, message: Descriptor, checked: set[str], enums: dict[str, str]) -> None:
        self._message = message
        self._checked = checked
        self._enums = enums
        self._reads = message.name in READ
        self._noun = re.sub("(?<=[a-z])(?=[A-Z])", "_", message.name).lower()
        self.name = f"{'read' if self._reads else 'check'}_{self._noun}"
        self.signature = f"(sent: Any, path: str) -> {'tuple[Any, ...]' if self._reads else 'None'}"

    def lines(self) -> list[str]:
        """Return the lines of the function; none if nothing is to be checked."""
        consistent = getattr(consistency, f"check_{self._noun}", None)
        parameters = list(inspect.signature(consistent).parameters) if consistent else []
        needed = {name.rstrip("_") for name in parameters}
        lines: list[str] = []
        values: list[str] = []
        for field in self._message.fields:
            oneof = oneof_of(field)
            if oneof is None:
                lines += self._field(field, wanted=field.name in needed)
                values.append(field.name)
            elif field is oneof.fields[0]:
                lines += self._oneof(oneof, wanted=needed)
                values += [oneof.name, f"{oneof.name}_value"]
        if consistent:
            lines += _call(f"consistency.check_{self._noun}", [name.rstrip("_") for name in parameters])
        if self._reads:
            lines += _call("return ", values)
        return lines

    def _field(self, field: FieldDescriptor, *, wanted: bool) -> list[str]:
        """Return the lines that get a field and check it."""
        checks = list(self._checks(field))
        if not (checks or wanted or self._reads):
            return []
        name = field.name
        unset_is_none = field.message_type is not None and not field.is_repeated
        value = f'sent.{name} if sent.HasField("{name}") else None' if unset_is_none else f"sent.{name}"
        return [f"{name} = {value}", *checks]

    def _oneof(self, oneof: OneofDescriptor, *, wanted: set[str]) -> list[str]:
        """Return the lines that get a oneof and check what is set of it."""
        cases = {field: list(self._checks(field)) for field in oneof.fields}
        if not (any(cases.values()) or oneof.name in wanted or self._reads):
            return []
        kept = [field.name for field in oneof.fields if field.name in wanted]
        lines = [f'{name} = ""' for name in kept] + ([f'{oneof.name}_value = ""'] if self._reads else [])
        lines.append(f'match {oneof.name} := sent.WhichOneof("{oneof.name}"):')
        for field, checks in cases.items():
            body = [f"{field.name} = sent.{field.name}", *checks]
            if self._reads:
                body.append(f"{oneof.name}_value = {field.name}")
            if checks or self._reads or field.name in kept:
                lines += [f'    case "{field.name}":', *(f"        {line}" for line in body)]
        return lines

    def _checks(self, field: FieldDescriptor) -> Iterator[str]:
        """Yield the lines that check a field, which the variable of its name holds."""
        rules, path = rules_of(field), f'f"{{path}}{field.name}"'
        if field.is_repeated:
            yield from self._check_list(field, rules, path)
        elif field.message_type is not None:
            inner = list(self._check_message(field.message_type, rules, field.name, path))
            if inner:
                yield f"if {field.name} is not None:"
                yield from (f"    {line}" for line in inner)
            if rules.required:
                yield "else:" if inner else f"if {field.name} is None:"
                yield f'    raise missing({path}, "a {field.message_type.name}")'
        elif field.type == FieldDescriptor.TYPE_STRING:
            yield from self._check_text(field, rules, path)
        elif field.type == FieldDescriptor.TYPE_BYTES:
            if rules.max_bytes:
                yield f"if len({field.name}) > {rules.max_bytes}:"
                yield f"    raise too_large({path}, len({field.name}), {rules.max_bytes})"
        elif field.enum_type is not None:
            yield from self._check_enum(field, rules, path)
        else:
            yield from _check_number(field, rules, path)

    def _check_enum(self, field: FieldDescriptor, rules: options_pb2.FieldRules, path: str) -> Iterator[str]:
        if rules.required and field.enum_type is not None:
            known = self._known(field.enum_type)
            yield f"if {field.name} not in {known}:"
            yield f"    if not {field.name}:"
            yield f"        raise missing({path}, {known}_RIGHT)"
            yield f"    raise invalid({path}, {field.name}, {known}_RIGHT)"

    def _check_text(self, field: FieldDescriptor, rules: options_pb2.FieldRules, path: str) -> Iterator[str]:
        name = field.name
        if rules.required:
            right = _FORMATS[rules.format][1] if rules.format in _FORMATS else "UUID"
            if rules.format in (0, _KEY, _TAG):
                right = f'"1 to {rules.max_chars} characters"'
            yield f"if not {name}:"
            yield f"    raise missing({path}, {right})"
        if rules.max_bytes:
            yield f"if {name} and (size := len({name}.encode())) > {rules.max_bytes}:"
            yield f"    raise too_large({path}, size, {rules.max_bytes})"
        yield from self._check_characters(name, rules, path, is_set=rules.required)

    def _check_characters(
        self, name: str, rules: options_pb2.FieldRules, path: str, *, is_set: bool
    ) -> Iterator[str]:
        """Yield the lines that check the length and the format of a text."""
        if rules.max_chars:
            yield f"if len({name}) > {rules.max_chars}:"
            yield f"    raise too_long({path}, {name}, {rules.max_chars})"
        given = "" if is_set else f"{name} and "
        if rules.format == _UUID:
            yield f"if {given}is_canonical_uuid({name}) is None:"
            yield f"    {name} = canonical_uuid({name}, {path})"
        elif rules.format:
            condition, right = _FORMATS[rules.format]
            yield f"if {given if rules.format != _KEY else ''}{condition.format(name)}:"
            yield f"    raise invalid({path}, {name}, {right})"

    def _check_message(
        self, kind: Descriptor, rules: options_pb2.FieldRules, value: str, path: str
    ) -> Iterator[str]:
        """Yield the lines that check a message that is set."""
        if rules.max_bytes:
            yield f"if (size := {value}.ByteSize()) > {rules.max_bytes}:"
            yield f"    raise too_large({path}, size, {rules.max_bytes})"
        if kind.full_name == _TIMESTAMP:
            yield f"check_timestamp({value}, {path})"
        elif kind.full_name == _DURATION:
            least = f", least={_number(rules.at_least)}" if rules.HasField("at_least") else ""
            most = f", most={_number(rules.at_most)}" if rules.HasField("at_most") else ""
            above = f", above={_number(rules.above)}" if rules.HasField("above") else ""
            yield f"check_duration({value}, {path}{least}{most}{above})"
        elif kind.name not in READ and (kind.full_name in self._checked or kind is self._message):
            noun = re.sub("(?<=[a-z])(?=[A-Z])", "_", kind.name).lower()
            yield f'check_{noun}({value}, {path[:-1]}.")'

    def _check_list(self, field: FieldDescriptor, rules: options_pb2.FieldRules, path: str) -> Iterator[str]:
        name, item = field.name, f'f"{{path}}{field.name}[{{index}}]"'
        lines = []
        if rules.max_items:
            # Equal tags count once.
            distinct = f" and len(set({name})) > {rules.max_items}" if rules.format == _TAG else ""
            counted = f"len(set({name}))" if distinct else f"len({name})"
            lines.append(f"if len({name}) > {rules.max_items}{distinct}:")
            lines.append(f"    raise too_many({path}, {counted}, {rules.max_items})")
        if field.message_type is not None:
            checks = list(self._check_message(field.message_type, rules, "item", item))
        elif field.enum_type is not None:
            known = self._known(field.enum_type)
            checks = [f"if item not in {known}:", f"    raise invalid({item}, item, {known}_RIGHT)"]
        else:
            checks = list(self._check_characters("item", rules, item, is_set=True))
        if checks and rules.format == _UUID:
            lines.append(f"{name} = list({name})")
            checks[-1] = checks[-1].replace("item =", f"{name}[index] =")
        if checks:
            lines.append(f"for index, item in enumerate({name}):")
            lines += [f"    {line}" for line in checks]
        if hasattr(consistency, f"check_{self._noun}_{name}"):
            lines.append(f"consistency.check_{self._noun}_{name}({path}, {name})")
        if lines:
            yield f"if {name}:"
            yield from (f"    {line}" for line in lines)
        if rules.min_items:
            yield "else:"
            yield f'    raise missing({path}, "{rules.min_items} to {rules.max_items} items")'

    def _known(self, enum: EnumDescriptor) -> str:
        """Return the name of the constant that has the values of an enum, but for the unspecified one."""
        constant = "_" + re.sub("(?<=[a-z])(?=[A-Z])", "_", enum.name).upper()
        values = [value for value in enum.values if value.number]
        numbers = ", ".join(str(value.number) for value in values)
        names = "".join(f'    "{value.name}, "\n' for value in values)[: -len(', "\n')] + '"\n'
        self._enums[constant] = (
            f'{constant} = frozenset({{{numbers}}})\n{constant}_RIGHT = (\n    "one of "\n{names})\n'
        )
        return constant


def _call(head: str, arguments: list[str]) -> list[str]:
    """Return the lines of ``head`` with its arguments in parentheses, one a line if they are many."""
    whole = f"{head}({', '.join(arguments)})"
    if len(whole) <= _WIDTH:
        return [whole]
    return [f"{head}(", *(f"    {argument}," for argument in arguments), ")"]


def _check_number(field: FieldDescriptor, rules: options_pb2.FieldRules, path: str) -> Iterator[str]:
    if rules.required:
        yield f'if not sent.HasField("{field.name}"):'
        yield f'    raise missing({path}, "{_range(rules)}")'
    if condition := _comparison(field.name, rules):
        yield f"if not {condition}:"
        yield f'    raise invalid({path}, {field.name}, "{_range(rules)}")'


def _comparison(name: str, rules: options_pb2.FieldRules) -> str:
    """Return the condition that a number keeps its bounds, as NaN never does; empty if it has none."""
    lower = f"{_number(rules.at_least)} <= " if rules.HasField("at_least") else ""
    upper = f" <= {_number(rules.at_most)}" if rules.HasField("at_most") else ""
    return f"{lower}{name}{upper}" if lower or upper else ""


def _range(rules: options_pb2.FieldRules) -> str:
    """Return the bounds of a number in words."""
    if not rules.HasField("at_most"):
        return f"{_number(rules.at_least)} or more"
    return f"from {_number(rules.at_least)} to {_number(rules.at_most)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _indented(lines: list[str]) -> str:
    return "".join(f"    {line}\n" for line in lines)
