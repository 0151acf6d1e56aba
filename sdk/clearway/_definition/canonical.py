"""Values as canonical JSON: equal values make equal bytes, in every process and on every machine.

The bytes are those of RFC 8785 (JSON Canonicalization Scheme). What JSON does not have is an object with one
key that begins with ``$``, such as ``{"$datetime": "2026-01-31T12:00:00"}``; ``docs/cache-keys.md`` lists
them.
"""

from __future__ import annotations

from typing import Any

from clearway._canonical import document


def canonical_json(value: Any) -> bytes:
    """Return a value as canonical JSON.

    Raises:
        Exception: A value in it has no content that could be read; what its class raises when it is pickled.
    """
    return document.canonical_json(value)
