"""Parses the paths and result storages in settings."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Final

SERVICE: Final = "service://"
"""The result storage of the service itself."""

# These become plain directories: fsspec supports them too, but follows links.
_LOCAL: Final = frozenset({"file", "local"})
_NO_SEGMENTS: Final = frozenset({"", ".", ".."})
_MAX_PLACE: Final = 1_900  # the service accepts locations of at most 2,048 characters
_EXPECTED: Final = 'a directory, a URL such as "s3://bucket/results", or "service://"'
_PRIVATE: Final = 0o700


def absolute_path(text: str) -> str:
    """Return a path made absolute, with a leading ``~`` or ``~user`` replaced by that user's home directory.

    Raises:
        ValueError: The user has no known home directory.
    """
    path = os.path.expanduser(text)  # noqa: PTH111 - pathlib keeps ".."
    if path.startswith("~"):
        user = path[1:].partition("/")[0]
        whose = f"of a user {user!r}" if user else "for this user (HOME is not set)"
        raise ValueError(f"a path without ~, since there is no home directory {whose}")
    return os.path.abspath(path)  # noqa: PTH100 - as above


def make_private_folder(path: str | os.PathLike[str]) -> None:
    """Create a folder that only its owner can access, with any missing parent folders.

    Folders that already exist keep their modes.

    Raises:
        OSError: A folder cannot be created.
    """
    try:
        os.mkdir(path, _PRIVATE)  # noqa: PTH102 - pathlib sets the mode of the last folder only
    except FileExistsError:
        if not os.path.isdir(path):  # noqa: PTH112 - as above
            raise
    except FileNotFoundError:
        make_private_folder(os.path.dirname(path))  # noqa: PTH120 - as above
        make_private_folder(path)


def checked_place(value: object) -> str:
    """Return a result storage in canonical form: an absolute path or a URL.

    Raises:
        ValueError: ``value`` is neither; the message says what it must be.
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or not value:
        raise ValueError(_EXPECTED)
    if len(value) > _MAX_PLACE or any(unicodedata.category(character) == "Cc" for character in value):
        raise ValueError(f"{_EXPECTED}, of {_MAX_PLACE:,} characters at most, without control characters")
    if "://" not in value:
        return _one_slash(absolute_path(value))
    return _checked_url(value)


def without_credentials(place: str) -> str:
    """Return a storage's URL with its password, and everything after a ``?``, replaced by ``***``."""
    if "://" not in place:
        return place
    before, question, _ = re.sub("(://[^/@:]*:)[^/@]*@", r"\1***@", place).partition("?")
    return f"{before}?***" if question else before


def _checked_url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if not scheme.isascii() or not scheme[:1].isalpha() or any(c in " /\\" for c in scheme) or " " in rest:
        raise ValueError(_EXPECTED)
    scheme = scheme.lower()
    if scheme in _LOCAL:
        if not rest.startswith("/"):  # a relative path, which would depend on the working directory
            raise ValueError('a URL with an absolute path, such as "file:///srv/results"')
        return _one_slash(os.path.abspath(rest))  # noqa: PTH100 - as above
    rest = rest.rstrip("/")
    if scheme == "service":
        if rest:
            raise ValueError('"service://", with nothing after it')
        return SERVICE
    if not _NO_SEGMENTS.isdisjoint(rest.split("/")):
        raise ValueError('a URL without empty, "." or ".." segments, such as "s3://bucket/results"')
    return f"{scheme}://{rest}"


def _one_slash(path: str) -> str:
    return path[1:] if path.startswith("//") else path  # in POSIX, two may mean something else
