"""Locations: checks that a result's location is derived from the result's SHA-256.

A location is a hint from the writing client to readers. No file is opened or deleted by it: a reader finds a
result by its SHA-256 in the storage that it has configured.
"""

from __future__ import annotations

import re
import unicodedata

SERVICE_SCHEME = "service://"
RIGHT = (
    "`service://SHA256` or ROOT/XX/SHA256, where SHA256 is data.sha256, XX its first two digits, and ROOT an "
    "absolute path or a URL, without empty, `.` or `..` segments and without control characters"
)

_DIGEST = re.compile("[0-9a-f]{64}")
# A `file:` URL has no host, so its path begins right after the slashes. Schemes may be chained, as in
# `simplecache::s3://`.
_ROOT = re.compile(r"(?:file://)?/(?P<path>.+)|(?P<scheme>[A-Za-z][^/\\\s]*)://(?P<rest>.+)", re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:[/\\](?P<path>.+)", re.DOTALL)
_NO_SEGMENTS = frozenset({"", ".", ".."})


def is_digest(text: str) -> bool:
    """Return True if ``text`` is a SHA-256 of 64 lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def is_location_of(location: str, digest: str) -> bool:
    """Return True if ``location`` is a valid place for the result ``digest`` in some storage.

    Args:
        location: The location, unchecked, as a client sent it.
        digest: The SHA-256 of the result, unchecked.
    """
    if not is_digest(digest):
        return False
    tail = f"/{digest[:2]}/{digest}"
    if not location.endswith(tail):
        return location == SERVICE_SCHEME + digest
    root = location.removesuffix(tail)
    found = _ROOT.fullmatch(root)
    if found is not None:
        # The service's own storage has no folders that a client could name, and a `file:` URL no host.
        if found["scheme"] in ("service", "file"):
            return False
        segments = (found["path"] or found["rest"]).split("/")
    elif (drive := _DRIVE.fullmatch(root)) is not None:
        segments = re.split(r"[/\\]", drive["path"])
    else:
        return False
    return _NO_SEGMENTS.isdisjoint(segments) and not any(
        unicodedata.category(character) == "Cc" for character in location
    )
