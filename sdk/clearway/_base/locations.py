"""How a storage of results is spelled, and where in it a result is.

A result is addressed by its SHA-256 within a storage that the reader configured. A location in a state came
from a client: it is compared with that address, and never opened.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Final

SERVICE: Final = "service://"
# fsspec would read these with the local file system too; a directory of ours follows no links.
_LOCAL: Final = frozenset({"file", "local"})
_NO_SEGMENTS: Final = frozenset({"", ".", ".."})
_MAX_PLACE: Final = 1_900  # the service takes locations of 2,048 characters
_EXPECTED: Final = 'a directory, a URL such as "s3://bucket/results", or "service://"'
_DIGEST: Final = re.compile("[0-9a-f]{64}")


def checked_place(value: object) -> str:
    """Return the canonical spelling of a result storage: an absolute path, or a URL.

    Raises:
        ValueError: It is neither; the message says what it must be.
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or not value:
        raise ValueError(_EXPECTED)
    if len(value) > _MAX_PLACE or any(unicodedata.category(character) == "Cc" for character in value):
        raise ValueError(f"{_EXPECTED}, of {_MAX_PLACE:,} characters at most, without control characters")
    if "://" not in value:
        return _absolute(os.path.expanduser(value))  # noqa: PTH111 - pathlib keeps ".."
    return _checked_url(value)


def _checked_url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if not scheme.isascii() or not scheme[:1].isalpha() or any(c in " /\\" for c in scheme) or " " in rest:
        raise ValueError(_EXPECTED)
    scheme = scheme.lower()
    if scheme in _LOCAL:
        if not rest.startswith("/"):  # another place in each process
            raise ValueError('a URL with an absolute path, such as "file:///srv/results"')
        return _absolute(rest)
    rest = rest.rstrip("/")
    if scheme == "service":
        if rest:
            raise ValueError('"service://", with nothing after it')
        return SERVICE
    if not _NO_SEGMENTS.isdisjoint(rest.split("/")):
        raise ValueError('a URL without empty, "." or ".." segments, such as "s3://bucket/results"')
    return f"{scheme}://{rest}"


def _absolute(path: str) -> str:
    whole = os.path.abspath(path)  # noqa: PTH100 - pathlib keeps ".."
    return whole[1:] if whole.startswith("//") else whole  # POSIX lets two slashes mean something else


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
    """Return whether a text is a SHA-256 in lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def digest_in(location: str) -> str:
    """Return the SHA-256 that a location ends with; empty where it ends otherwise."""
    digest = location.rpartition("/")[2]
    return digest if is_digest(digest) else ""
