"""Decoding: parses messages; bytes that are not a valid message are the client's error."""

from __future__ import annotations

import logging
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from clearway_service.errors import InvalidArgumentError

M = TypeVar("M", bound=Message)

logger = logging.getLogger(__name__)


def decode(kind: type[M], body: bytes) -> M:
    """Return the message of ``kind`` that ``body`` holds.

    Raises:
        InvalidArgumentError: ``body`` is not a valid message of ``kind``.
    """
    try:
        return kind.FromString(body)
    except DecodeError:
        name = kind.DESCRIPTOR.full_name
        logger.warning("%d bytes from a client are no %s", len(body), name, extra={"repeats": True})
        raise InvalidArgumentError(
            f"the request's {len(body)} bytes are no valid {name}; they must be one, encoded by protobuf"
        ) from None
