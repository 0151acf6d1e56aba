"""Selects the storage for large results: a directory, a URL that fsspec supports, or the service itself."""

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
    """Return the storage for a place.

    Args:
        place: A place that this process is configured with, as ``checked_place`` returns it; never one from a
            run's state.
    """
    if place == SERVICE:
        return ServiceStorage()
    return UrlStorage(place) if "://" in place else DirectoryStorage(place)


def digest_of(body: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal; results are stored under it."""
    return sha256(body).hexdigest()
