"""Canonical JSON: equal values have equal bytes, in every process and on every machine.

The format is RFC 8785 (JSON Canonicalization Scheme). A value of a type that JSON lacks becomes an object
with one key that begins with ``$``, such as ``{"$datetime": "2026-01-31T12:00:00"}``; ``docs/cache-keys.md``
lists these forms.
"""

from __future__ import annotations

from typing import Any

from clearway._canonical import document


def canonical_json(value: Any) -> bytes:
    """Return a value as canonical JSON.

    Raises:
        Exception: Part of the value has no content to hash; it is the error that its class raises when
            pickled.
    """
    return document.canonical_json(value)
