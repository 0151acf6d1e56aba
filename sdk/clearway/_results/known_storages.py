"""The storages that this process is configured with: it reads and deletes results only in these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from clearway._base.locations import is_digest, location_in
from clearway._settings.paths import SERVICE

if TYPE_CHECKING:
    from clearway._base.settings import Settings

_SHOWN: Final = 8

# An ordered set of places in canonical form. No lock is needed, because setdefault and pop are atomic.
_registered: dict[str, None] = {}


def register_place(place: str) -> None:
    """Add a storage that this process's own code named, so that its results may be read.

    Args:
        place: The storage, as ``checked_place`` returns it.
    """
    _registered.setdefault(place)


def forget_place(place: str) -> None:
    """Remove a storage. For tests."""
    _registered.pop(place, None)


def registered_places() -> tuple[str, ...]:
    """Return the storages that this process's own code named."""
    return tuple(_registered)


def configured_places(settings: Settings) -> tuple[str, ...]:
    """Return the storages that this process may read: those of its settings and those that its code named."""
    return tuple(dict.fromkeys(_places(settings)))


def _places(settings: Settings) -> Iterator[str]:
    yield settings.result_storage
    yield SERVICE
    yield str(settings.local_storage_path)
    yield from settings.result_extra_storages
    yield from tuple(_registered)


def place_of(location: str, digest: str, settings: Settings) -> str | None:
    """Return the configured storage in which a result with this SHA-256 has exactly this location.

    Returns:
        The storage; None if there is none, or if ``digest`` is not a valid SHA-256.
    """
    if not is_digest(digest):
        return None
    for place in _places(settings):
        if location_in(place, digest) == location:
            return place
    return None


def why_foreign(location: str, digest: str, settings: Settings) -> str:
    """Return why ``place_of`` found no storage, and how to change that, as the end of a message.

    Args:
        location: The result's location, as a client reported it.
        digest: The result's SHA-256, as a client reported it; may be empty.
        settings: The settings of this process.
    """
    if not is_digest(digest):
        return "has no valid SHA-256, by which results are found in a storage"
    folder = location.removesuffix(f"/{digest[:2]}/{digest}")
    if folder == location:
        return (
            "is not where a storage keeps a result with its SHA-256: <storage>/<first two digits>/<SHA-256>"
        )
    places = configured_places(settings)
    shown = ", ".join(places[:_SHOWN]) + (", ..." if len(places) > _SHOWN else "")
    return (
        f"is in none of the storages that this process is configured with ({shown}); "
        "if you trust that storage, add it to the setting CLEARWAY_RESULT_EXTRA_STORAGES"
    )
