"""Slicing: splits large messages of a stream, so that parsing one does not block other clients for long."""

from __future__ import annotations

from clearway.v1 import proposal_pb2
from clearway_service.api.decoding import decode
from clearway_service.api.density import check_density
from clearway_service.api.field_checks import check_items
from clearway_service.errors import InvalidArgumentError

# How many proposals are parsed at once.
SLICE = 64
# A message of at most this many bytes is parsed whole.
WHOLE_BYTES = 65_536
_PROPOSALS = proposal_pb2.ProposeRequest.PROPOSALS_FIELD_NUMBER
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MAX_VARINT = 10


def slices(body: bytes, most: int) -> list[bytes]:
    """Split one message into several with the same content: first all other fields, then the proposals.

    Several serialized messages in a row are equivalent to one with all their fields; see "Last One Wins" in
    protobuf's description of its encoding.

    Args:
        body: A serialized ``ProposeRequest``.
        most: How many proposals it may have; other fields, three times as many.

    Raises:
        InvalidArgumentError: It has more, or is malformed.
    """
    if len(body) <= WHOLE_BYTES:
        return [body]
    others: list[bytes] = []
    proposals: list[tuple[int, int]] = []
    at = 0
    while at < len(body):
        tag, begins = _varint(body, at)
        end = _end(body, tag & 7, begins)
        if tag >> 3 == _PROPOSALS:
            proposals.append((at, end))
            check_items("proposals", len(proposals), most)
        else:
            others.append(body[at:end])
            check_items("other fields than proposals", len(others), 3 * most)
        at = end
    parts = [b"".join(others)]
    first = 0
    for number, (_begin, end) in enumerate(proposals, 1):
        if number % SLICE == 0 or number == len(proposals) or end - proposals[first][0] > WHOLE_BYTES:
            parts.append(b"".join(body[a:b] for a, b in proposals[first:number]))
            first = number
    return parts


def parse(body: bytes) -> proposal_pb2.ProposeRequest:
    """Parse a message of a stream.

    Raises:
        InvalidArgumentError: It is malformed, or has too many fields for its size.
    """
    check_density(body, proposal_pb2.ProposeRequest.DESCRIPTOR)
    return decode(proposal_pb2.ProposeRequest, body)


def _end(body: bytes, kind: int, at: int) -> int:
    """Return the offset after a field."""
    if kind == _VARINT:
        at = _varint(body, at)[1]
    elif kind == _BYTES:
        size, at = _varint(body, at)
        at += size
    elif kind == _FIXED_64:
        at += 8
    elif kind == _FIXED_32:
        at += 4
    else:
        raise _malformed()
    if at > len(body):
        raise _malformed()
    return at


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return a varint and the offset after it."""
    value = 0
    for shift, byte in enumerate(body[at : at + _MAX_VARINT]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, at + shift + 1
    raise _malformed()


def _malformed() -> InvalidArgumentError:
    return InvalidArgumentError(
        "the message is no valid clearway.v1.ProposeRequest; it must be one, encoded by protobuf"
    )
