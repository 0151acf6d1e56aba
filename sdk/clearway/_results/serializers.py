"""How results become bytes and are read again: encodings, each with its name, and compression.

JSON is used where JSON holds a value exactly, bytes are kept as they are, and everything else is pickled with
cloudpickle. Reading JSON or bytes runs no code; reading a pickle does, so it can be refused by the setting
``CLEARWAY_RESULT_SERIALIZERS``.
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

# A text of this many bytes gains nothing by compression.
_WORTH_COMPRESSING: Final = 512
_MAX_NAME: Final = 64
_PIECE: Final = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Serializer:
    """A way to keep values of certain types.

    Attributes:
        name: The encoding's name, as it stands in a result.
        takes: The types whose values it keeps; subclasses count.
        dumps: Makes bytes of a value.
        loads: Makes the value of bytes.
    """

    name: str
    takes: tuple[type, ...]
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


_custom: dict[str, Serializer] = {}
_guard = threading.Lock()


def add_serializer(serializer: Serializer) -> None:
    """Use a serializer from now on; see ``results.register_serializer``."""
    name = serializer.name
    if not 1 <= len(name) <= _MAX_NAME or not name.isprintable() or name in BUILT_IN:
        raise ValueError(
            f"the serializer's name is {name!r}; it must have 1 to {_MAX_NAME} printable characters "
            f"and be none of {', '.join(BUILT_IN)}"
        )
    with _guard:
        _custom[name] = serializer


def encode(value: Any, allowed: frozenset[str]) -> tuple[str, bytes]:
    """Return a value's encoding and its bytes.

    Args:
        value: The value.
        allowed: The names of the serializers that may be used.

    Raises:
        TypeError: None of them can hold the value.
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
            f"CLEARWAY_RESULT_SERIALIZERS allows {', '.join(sorted(allowed))} only"
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
    """Return an exception as a pickle; None where it may not be pickled, or cannot be read back."""
    if CLOUDPICKLE not in allowed:
        return None
    from clearway._results import pickles  # noqa: PLC0415 - as above

    try:
        body = pickles.dumps(error)
        read_back = pickles.loads(body)
    except Exception:  # noqa: BLE001 - a user's class may raise whatever it likes here
        return None
    # Many an exception's __init__ wants other arguments than it kept.
    return body if type(read_back) is type(error) else None


def decode(encoding: str, body: bytes, *, own_only: bool = False) -> Any:
    """Return the value of bytes.

    Args:
        encoding: How they were made.
        body: The bytes.
        own_only: Whether to refuse classes of other programs, or of an earlier version of this one.

    Raises:
        LookupError: The encoding is not known here, or a class is refused.
        Exception: What the bytes' own classes raise.
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
            f"it has the encoding {encoding!r}, which is not known here; known are {known}, and what "
            "clearway.results.register_serializer() adds"
        )
    return serializer.loads(body)


def may_read(encoding: str, allowed: frozenset[str]) -> bool:
    """Return whether results of an encoding may be read; those added here by the user always may."""
    return encoding in allowed or encoding not in BUILT_IN


def compress(body: bytes, compression: str, max_bytes: int) -> tuple[str, bytes]:
    """Return bytes compressed, and how; as they are where that would gain nothing.

    Args:
        body: The bytes.
        compression: How they are compressed.
        max_bytes: How many are decompressed at most: more are not compressed, as they could not be read.
    """
    if compression == GZIP and _WORTH_COMPRESSING <= len(body) <= max_bytes:
        import gzip  # noqa: PLC0415 - off by default

        smaller = gzip.compress(body, compresslevel=6, mtime=0)
        if len(smaller) < len(body):
            return GZIP, smaller
    return "", body


def decompress(body: bytes, compression: str, max_bytes: int) -> bytes:
    """Return bytes as they were before ``compress``.

    Args:
        body: The compressed bytes.
        compression: How they were compressed.
        max_bytes: How many may come of them. No more are made, whatever the compressed bytes say.

    Raises:
        LookupError: The compression is not known, or more than ``max_bytes`` would come of it.
        OSError: The bytes are not what they should be.
    """
    if not compression:
        return body
    if compression != GZIP:
        raise LookupError(f"it is compressed by {compression!r}, which is not known here; known is {GZIP}")
    import gzip  # noqa: PLC0415 - as above

    whole = io.BytesIO()
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
        while piece := file.read(_PIECE):
            if whole.tell() + len(piece) > max_bytes:
                raise LookupError(
                    f"more than {max_bytes:,} bytes would come of decompressing it, and the setting "
                    "CLEARWAY_RESULT_MAX_DECOMPRESSED_BYTES allows no more"
                )
            whole.write(piece)
    return whole.getvalue()
