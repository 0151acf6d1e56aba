"""Which storage keeps large results: a directory, a URL that fsspec knows, or the service itself."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from clearway._results.directory_storage import DirectoryStorage
from clearway._results.service_storage import ServiceStorage
from clearway._results.url_storage import UrlStorage
from clearway._settings.paths import SERVICE

if TYPE_CHECKING:
    from clearway._results.storage import Storage


def storage_for(place: str) -> Storage:
    """Return the storage at a place.

    Args:
        place: As ``checked_place`` returns it: what this process was configured with, never what a state
            says.
    """
    if place == SERVICE:
        return ServiceStorage()
    return UrlStorage(place) if "://" in place else DirectoryStorage(place)


def digest_of(body: bytes) -> str:
    """Return the name of bytes: their SHA-256, hexadecimal."""
    return sha256(body).hexdigest()
