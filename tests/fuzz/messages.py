"""Messages: generated from descriptors, mutated encodings, and arbitrary bytes."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from clearway.v1.state_pb2 import ProposedState
from fuzz.agreement import make_agree
from fuzz.values import SURROGATE, Values, rules_of

_MOST_DEEP = 6
_HONEST = 0.05
_MANY = (1_001, 4_097)
_FEWEST = 16
_LENGTH_DELIMITED = 2
# How often some fields are set: without required fields, or with mutually exclusive ones, hardly any message
# is accepted. Requirements that are rules in the protos are known from there.
_REQUIRED = "id task_run_id state encoding sha256 size_bytes filter"
_SELDOM = (
    "initial_state scheduled_time cache_expiration all error refresh_cache no_retry cache_single_flight "
    "parent_task_run_id"
)
_ALWAYS = 0.98
_SHARES = (
    dict.fromkeys(_REQUIRED.split(), _ALWAYS) | {"session_id": 0.4} | dict.fromkeys(_SELDOM.split(), 0.15)
)
_LONE_SURROGATES = b"\xed\xa0\x80\xed\xbf\xbf"


class Maker:
    """Generates encoded messages.

    Args:
        values: Generates the values of fields.
    """

    def __init__(self, values: Values) -> None:
        self._values = values
        self._chance = values.chance

    def encoded(self, type_: Descriptor) -> bytes:
        """Return a message of a type, honest or hostile, or malformed bytes."""
        drawn = self._chance.random()
        if drawn < 0.5:
            return self.valid(type_, self._chance.choice([0.0, 0.0, 0.03]))
        if drawn < 0.7:
            return self.valid(type_, self._chance.choice([0.1, 0.4, 1.0]))
        if drawn < 0.85:
            return self._mutated(self.valid(type_, self._chance.choice([0.0, 0.3])))
        if drawn < 0.95:
            return self._chance.randbytes(self._chance.choice([1, 2, 5, 20, 200, 5_000]))
        return self._deep(type_)

    def valid(self, type_: Descriptor, hostility: float) -> bytes:
        """Return the encoding of a message with fields of the right types."""
        message = self.message(type_, hostility)
        body = message.SerializeToString()
        return body.replace(SURROGATE.encode(), _LONE_SURROGATES)

    def message(self, type_: Descriptor, hostility: float, depth: int = 0) -> Message:
        """Return a message; ``hostility`` is the probability of a hostile value per field."""
        message = GetMessageClass(type_)()
        times = {
            "google.protobuf.Timestamp": self._values.moment,
            "google.protobuf.Duration": self._values.span,
        }
        if type_.full_name in times and self._chance.random() >= hostility:
            message.seconds, message.nanos = times[type_.full_name]()  # type: ignore[attr-defined]
            return message
        for field in self._chosen(type_):
            self._fill(message, field, hostility, depth)
        if isinstance(message, ProposedState) and hostility < _HONEST:
            make_agree(message, self._values.moment())
        if self._chance.random() < hostility / 4:
            message.MergeFromString(self._unknown_field())
        return message

    def _chosen(self, type_: Descriptor) -> Iterator[FieldDescriptor]:
        # Most fields exclude others, so messages with few fields are accepted most often.
        density = self._chance.choice([0.25, 0.5, 0.9])
        picked = {oneof.name: self._chance.choice(oneof.fields).name for oneof in type_.oneofs}
        for field in type_.fields:
            oneof = field.containing_oneof
            if oneof is not None and len(oneof.fields) > 1:
                if picked[oneof.name] == field.name:
                    yield field
            elif self._chance.random() < (
                _ALWAYS if rules_of(field).required else _SHARES.get(field.name, density)
            ):
                yield field

    def _fill(self, message: Message, field: FieldDescriptor, hostility: float, depth: int) -> None:
        hostile = self._chance.random() < hostility
        if field.is_repeated:
            count = self._chance.choice([0, 1, 1, 2, 3])
            if hostile and depth < 2 and self._chance.random() < 0.1:
                most = rules_of(field).max_items
                count = self._chance.choice([most, most + 1] if most else _MANY)
            self._fill_several(
                getattr(message, field.name), field, count, hostility if count < 5 else 0, depth
            )
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth < _MOST_DEEP:
                part = self.message(field.message_type, hostility, depth + 1)
                getattr(message, field.name).CopyFrom(part)
        else:
            setattr(message, field.name, self._scalar(field, hostile=hostile))

    def _fill_several(
        self, several: list[object], field: FieldDescriptor, count: int, hostility: float, depth: int
    ) -> None:
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            many = count >= _FEWEST
            several.extend(
                self._scalar(field, hostile=not many and self._chance.random() < hostility)
                for _ in range(count)
            )
            return
        if depth >= _MOST_DEEP:
            return
        if count >= _FEWEST:
            several.extend([self.message(field.message_type, 0, _MOST_DEEP - 1)] * count)
            return
        several.extend(self.message(field.message_type, hostility, depth + 1) for _ in range(count))

    def _scalar(self, field: FieldDescriptor, *, hostile: bool) -> object:
        return self._values.hostile(field) if hostile else self._values.plausible(field)

    def _unknown_field(self) -> bytes:
        number = self._chance.choice([99, 1_000, 18_999, 536_870_911])
        return delimited(number, self._chance.randbytes(self._chance.choice([0, 3, 1_000])))

    def _mutated(self, body: bytes) -> bytes:
        changed = bytearray(body)
        for _ in range(self._chance.choice([1, 1, 2, 5])):
            if not changed:
                break
            at = self._chance.randrange(len(changed))
            match self._chance.randrange(6):
                case 0:
                    changed[at] ^= 1 << self._chance.randrange(8)
                case 1:
                    changed[at] = self._chance.choice([0, 0x7F, 0x80, 0xFF])
                case 2:
                    del changed[at : at + self._chance.choice([1, 4, 50])]
                case 3:
                    changed[at:at] = self._chance.randbytes(self._chance.choice([1, 4, 50]))
                case 4:
                    del changed[at:]
                case _:
                    changed += changed[at : at + 200]
        return bytes(changed)

    def _deep(self, type_: Descriptor) -> bytes:
        """Return a deeply nested message if the type is recursive, else noise."""
        path = _path_to_recursion(type_)
        if path is None:
            return self._mutated(self._unknown_field() * 20)
        body, deep = b"", self._chance.choice([15, 16, 17, 50, 98, 101, 5_000])
        for _ in range(deep):
            body = delimited(path[-1].number, body)
        for field in reversed(path[:-1]):
            body = delimited(field.number, body)
        return self.valid(type_, 0.0) + body


def delimited(number: int, body: bytes) -> bytes:
    """Return the encoding of a length-delimited field."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _path_to_recursion(type_: Descriptor) -> list[FieldDescriptor] | None:
    """Return the path of fields to a recursive field, including it; None without one."""
    todo: list[tuple[Descriptor, list[FieldDescriptor]]] = [(type_, [])]
    seen = {type_.full_name}
    while todo:
        each, path = todo.pop(0)
        for field in each.fields:
            if field.type != FieldDescriptor.TYPE_MESSAGE:
                continue
            if field.message_type.full_name == each.full_name:
                return [*path, field]
            if field.message_type.full_name not in seen:
                seen.add(field.message_type.full_name)
                todo.append((field.message_type, [*path, field]))
    return None
