"""Density: bounds the number of fields of a serialized message before it is parsed.

An empty item takes two bytes on the wire and about fifty in memory, and a 16 MiB message of empty items takes
seconds to parse, during which nothing else runs.
"""

from __future__ import annotations

from functools import lru_cache

from google.protobuf.descriptor import Descriptor

from clearway_service.errors import InvalidArgumentError

# Messages up to this size are parsed whatever they contain.
_SMALL_BYTES = 65_536
# The most fields of a larger message: no valid call has more than 10,000 log lines with six fields each.
_FIELDS = 131_072
# The most submessages: a fixed number, plus one per this many bytes of the message; a log line takes 40.
_MESSAGES = 4_096
_BYTES_A_MESSAGE = 16
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MORE = 0x80


def check_density(body: bytes, descriptor: Descriptor) -> None:
    """Check that a large message does not consist of very small fields.

    Args:
        body: The serialized message. A malformed one passes here and fails when it is parsed.
        descriptor: Its type.

    Raises:
        InvalidArgumentError: It has too many fields for its size.
    """
    if len(body) <= _SMALL_BYTES:
        return
    fields, rest = _FIELDS, _MESSAGES + len(body) // _BYTES_A_MESSAGE
    todo = [(descriptor, 0, len(body))]
    while todo:
        kind, at, end = todo.pop()
        messages = _messages(kind)
        while at < end:
            fields -= 1
            if fields < 0 or rest < 0:
                raise InvalidArgumentError(
                    f"the message has {len(body)} bytes in too many fields; send fewer items at once"
                )
            tag, at = _varint(body, at)
            wire = tag & 7
            if wire == _BYTES:
                size, at = _varint(body, at)
                inner = messages.get(tag >> 3)
                if inner is not None:
                    rest -= 1
                    todo.append((inner, at, min(at + size, end)))
                at += size
            elif wire == _VARINT:
                at = _varint(body, at)[1]
            elif wire in {_FIXED_64, _FIXED_32}:
                at += 8 if wire == _FIXED_64 else 4
            else:
                return


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return a varint and the offset after it; a malformed one ends after the message."""
    value = shift = 0
    while at < len(body):
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            return value, at
        shift += 7
        if shift > 63:  # noqa: PLR2004 - a number has 64 bits
            break
    return 0, len(body)


@lru_cache(maxsize=256)
def _messages(descriptor: Descriptor) -> dict[int, Descriptor]:
    """Return the types of a message's submessage fields, by field number."""
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}
