"""A digest of the arguments of a call, by which another attempt of its flow knows the call again."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from clearway._canonical.document import ArgumentError, arguments_text


class ArgumentsDigest(NamedTuple):
    """What identifies the arguments of a call.

    Attributes:
        digest: SHA-256 of their canonical text, 64 hexadecimal digits; empty if there is none.
        reason: Why there is none, naming the argument, as a part of a sentence; empty if there is one.
    """

    digest: str
    reason: str = ""


def arguments_digest(arguments: Mapping[str, Any]) -> ArgumentsDigest:
    """Return a digest of arguments by parameter: equal for equal ones, in every process.

    It takes time that is linear in the number of their objects. Their content is as in ``task_input_hash``;
    futures among them have to be replaced by their results first.
    """
    try:
        return ArgumentsDigest(sha256(arguments_text(arguments)).hexdigest())
    except ArgumentError as error:
        kind = type(error.value).__qualname__
        return ArgumentsDigest("", f"its argument {error.name!r}, a {kind}, cannot be compared: {error}")
