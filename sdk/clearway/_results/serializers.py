"""Serializes and compresses results.

A value that JSON represents exactly is stored as JSON, bytes are stored as they are, and everything else is
pickled with cloudpickle. Reading JSON or bytes runs no code. Reading a pickle does, so the setting
``CLEARWAY_RESULT_SERIALIZERS`` can forbid it.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from clearway._results.json_values import dump_json, is_exact_json
from clearway._settings.encodings import BUILT_IN, BYTES, CLOUDPICKLE, GZIP, JSON

# Fewer bytes than this are not worth compressing.
_WORTH_COMPRESSING: Final = 512
_MAX_NAME: Final = 64
_PIECE: Final = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Serializer:
    """Converts values of certain types to bytes and back.

    Attributes:
        name: The encoding's name, which is stored with each result.
        takes: The types that it serializes, including their subclasses.
        dumps: Converts a value to bytes.
        loads: Converts these bytes back to the value.
    """

    name: str
    takes: tuple[type, ...]
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


_custom: dict[str, Serializer] = {}
_guard = threading.Lock()


def add_serializer(serializer: Serializer) -> None:
    """Register a serializer; see ``results.register_serializer``."""
    name = serializer.name
    if not 1 <= len(name) <= _MAX_NAME or not name.isprintable() or name in BUILT_IN:
        raise ValueError(
            f"the serializer's name is {name!r}; it must have 1 to {_MAX_NAME} printable characters "
            f"and must not be one of {', '.join(BUILT_IN)}"
        )
    with _guard:
        _custom[name] = serializer


def encode(value: Any, allowed: frozenset[str]) -> tuple[str, bytes]:
    """Return the name of an encoding for a value, and the encoded bytes.

    Args:
        value: The value.
        allowed: The names of the built-in serializers that may be used.

    Raises:
        TypeError: None of the serializers can serialize the value.
    """
    for serializer in _custom.values():
        if isinstance(value, serializer.takes):
            return serializer.name, serializer.dumps(value)
    if JSON in allowed and is_exact_json(value):
        return JSON, dump_json(value).encode("ascii")
    if type(value) is bytes and BYTES in allowed:
        return BYTES, value
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if CLOUDPICKLE not in allowed:
        raise TypeError(
            f"the result, a {kind}, cannot be kept: it would have to be pickled, and the setting "
            f"CLEARWAY_RESULT_SERIALIZERS allows only {', '.join(sorted(allowed))}"
        )
    from clearway._results import pickles  # noqa: PLC0415 - most results are JSON

    try:
        return CLOUDPICKLE, pickles.dumps(value)
    except Exception as error:
        raise TypeError(
            f"the result, a {kind}, cannot be kept: neither JSON nor cloudpickle can hold it ({error}); "
            "return something that can be pickled, such as plain data"
        ) from error


def encode_exception(error: BaseException, allowed: frozenset[str]) -> bytes | None:
    """Return an exception as a pickle; None if pickling is not allowed or it cannot be read back."""
    if CLOUDPICKLE not in allowed:
        return None
    from clearway._results import pickles  # noqa: PLC0415 - as above

    try:
        body = pickles.dumps(error)
        read_back = pickles.loads(body)
    except Exception:  # noqa: BLE001 - a user's class may raise anything here
        return None
    # Unpickling calls __init__ with the exception's args, which for many classes are not the right ones.
    return body if type(read_back) is type(error) else None


def decode(encoding: str, body: bytes, *, own_only: bool = False) -> Any:
    """Return the value that ``encode`` encoded.

    Args:
        encoding: The name of the encoding.
        body: The encoded bytes.
        own_only: True refuses classes of another program, or of an earlier version of this one.

    Raises:
        LookupError: This process does not know the encoding, or a class is refused.
        Exception: Whatever the value's classes raise when decoded.
    """
    if encoding == JSON:
        return json.loads(body)
    if encoding == BYTES:
        return body
    if encoding == CLOUDPICKLE:
        from clearway._results import pickles  # noqa: PLC0415 - as above

        return pickles.loads(body, own_only=own_only)
    serializer = _custom.get(encoding)
    if serializer is None:
        known = ", ".join((*BUILT_IN, *_custom))
        raise LookupError(
            f"it has the encoding {encoding!r}, which is not known here; this process knows {known}; "
            "clearway.results.register_serializer() adds others"
        )
    return serializer.loads(body)


def may_read(encoding: str, allowed: frozenset[str]) -> bool:
    """Return True if results of an encoding may be read; those of user-registered serializers always may."""
    return encoding in allowed or encoding not in BUILT_IN


def compress(body: bytes, compression: str, max_bytes: int) -> tuple[str, bytes]:
    """Return the name of the compression and the compressed bytes; ``""`` and ``body`` if nothing is gained.

    Args:
        body: The bytes.
        compression: The name of the compression to use; empty for none.
        max_bytes: The most that ``decompress`` allows; larger bodies are not compressed, because they could
            not be read.
    """
    if compression == GZIP and _WORTH_COMPRESSING <= len(body) <= max_bytes:
        import gzip  # noqa: PLC0415 - off by default

        smaller = gzip.compress(body, compresslevel=6, mtime=0)
        if len(smaller) < len(body):
            return GZIP, smaller
    return "", body


def decompress(body: bytes, compression: str, max_bytes: int) -> bytes:
    """Return the bytes that ``compress`` compressed.

    Args:
        body: The compressed bytes.
        compression: The name of the compression; empty for none.
        max_bytes: The most bytes to decompress to, as a guard against decompression bombs.

    Raises:
        LookupError: The compression is unknown, or the result would exceed ``max_bytes``.
        OSError: The compressed bytes are damaged.
    """
    if not compression:
        return body
    if compression != GZIP:
        raise LookupError(f"it is compressed by {compression!r}, which is not known here; only {GZIP} is")
    import gzip  # noqa: PLC0415 - as above

    whole = io.BytesIO()
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
        while piece := file.read(_PIECE):
            if whole.tell() + len(piece) > max_bytes:
                raise LookupError(
                    f"it has more than {max_bytes:,} bytes when decompressed, and the setting "
                    "CLEARWAY_RESULT_MAX_DECOMPRESSED_BYTES allows no more"
                )
            whole.write(piece)
    return whole.getvalue()
