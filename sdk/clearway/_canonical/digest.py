"""A digest of a call's arguments, by which another attempt of its flow recognizes the call."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from clearway._canonical.document import ArgumentError, arguments_text


class ArgumentsDigest(NamedTuple):
    """A digest of a call's arguments, or the reason why there is none.

    Attributes:
        digest: The SHA-256 of their canonical text, 64 hexadecimal digits; empty if they have none.
        reason: Why they have none, as a clause that names the argument; empty if there is a digest.
    """

    digest: str
    reason: str = ""


def arguments_digest(arguments: Mapping[str, Any]) -> ArgumentsDigest:
    """Return a digest of arguments by parameter name: equal arguments have equal digests in every process.

    The content of arguments is defined as in ``task_input_hash``. Futures must be replaced by their results
    first. Takes time linear in the number of objects.
    """
    try:
        return ArgumentsDigest(sha256(arguments_text(arguments)).hexdigest())
    except ArgumentError as error:
        kind = type(error.value).__qualname__
        return ArgumentsDigest("", f"its argument {error.name!r}, a {kind}, cannot be compared: {error}")
