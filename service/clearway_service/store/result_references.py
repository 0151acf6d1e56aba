"""References from states to stored results, as kept in the table of stored results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from google.protobuf.message import DecodeError

from clearway.v1 import state_pb2
from clearway_service.core.locations import SERVICE_SCHEME, is_digest, is_location_of
from clearway_service.core.states import State

# The first bytes of the fields `encoding` and `location` of a serialized Data.
_ENCODING, _LOCATION = 0x0A, 0x1A
_LONG = 0x80


class Keep(IntEnum):
    """Why a stored result is not deleted, apart from its age and cache entries. The highest value counts."""

    NOTHING = 0
    # Its location does not match its SHA-256, which an earlier version accepted. It is listed for people to
    # look at.
    ODD_LOCATION = 1
    # A state without a cache key refers to it.
    STATE = 2


class Reference(NamedTuple):
    """A state's reference to a stored result, in the order of ``columns.STORED_RESULT``.

    Attributes:
        name: The SHA-256 of the result, or its location if the state has none.
        location: The location where the client stored it.
        state_id: The state.
        size: The number of bytes, as the state reports it.
        cache_key: The state's cache key, or an empty string.
        created: When the state was entered, in microseconds since 1970.
        referred: The same.
        keep: A ``Keep``.
    """

    name: str
    location: str
    state_id: str
    size: int
    cache_key: str
    created: int
    referred: int
    keep: int


def references_to(states: Iterable[State]) -> Iterator[Reference]:
    """Yield the references of states to stored results. Most states contain their data and have none."""
    for state in states:
        if state.data is not None and _may_have_location(state.data):
            reference = reference_of(state.id, state.data, state.cache_key, state.timestamp)
            if reference is not None:
                yield reference


def reference_of(state_id: str, data: bytes, cache_key: str, entered: int) -> Reference | None:
    """Return a state's reference to a stored result, or None if it has none.

    Args:
        state_id: The state.
        data: Its serialized ``Data``.
        cache_key: Its cache key, or an empty string.
        entered: When it was entered, in microseconds since 1970.
    """
    message = _parsed(data)
    if not message.location:
        return None
    keep = Keep.NOTHING if cache_key else Keep.STATE
    if keep is Keep.NOTHING and not is_location_of(message.location, message.sha256):
        keep = Keep.ODD_LOCATION
    name = _name(message)
    return Reference(name, message.location, state_id, message.size_bytes, cache_key, entered, entered, keep)


def data_facts(data: bytes | None) -> tuple[int, str]:
    """Return the size of a result in bytes and, for a stored one, its name, as reported by its data."""
    if data is None:
        return 0, ""
    message = _parsed(data)
    return message.size_bytes or len(message.inline), _name(message) if message.location else ""


def _name(message: state_pb2.Data) -> str:
    if is_digest(message.sha256):
        return message.sha256
    digest = message.location.removeprefix(SERVICE_SCHEME)
    return digest if is_digest(digest) else message.location


def _parsed(data: bytes) -> state_pb2.Data:
    try:
        return state_pb2.Data.FromString(data)
    except DecodeError:
        return state_pb2.Data()


def _may_have_location(data: bytes) -> bool:
    """Return False if data certainly has no location, which is cheaper than parsing it.

    Fields are serialized in the order of their numbers, so the location follows the encoding.
    """
    if len(data) < 2 or data[0] != _ENCODING or data[1] >= _LONG:  # noqa: PLR2004 - a tag and a length
        return True
    after = 2 + data[1]
    return after < len(data) and data[after] == _LOCATION
