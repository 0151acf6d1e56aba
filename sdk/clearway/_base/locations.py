"""Computes the locations of results within storages.

A reader finds a result by its SHA-256 in the storages that it is configured with. A location in a run's state
comes from a client, so it is only compared with the computed location and never opened.
"""

from __future__ import annotations

import re
from typing import Final

from clearway._settings.paths import SERVICE

_DIGEST: Final = re.compile("[0-9a-f]{64}")


def location_in(place: str, digest: str) -> str:
    """Return the location of a result in a storage.

    Args:
        place: The storage, as ``checked_place`` returns it.
        digest: The result's SHA-256; see ``is_digest``.
    """
    if place == SERVICE:
        return f"{SERVICE}{digest}"
    return f"{place}/{digest[:2]}/{digest}"


def is_digest(text: str) -> bool:
    """Return True if a text is a SHA-256 in lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def digest_in(location: str) -> str:
    """Return the SHA-256 that a location ends with; empty if it does not end with one."""
    digest = location.rpartition("/")[2]
    return digest if is_digest(digest) else ""
