"""Where results may be kept, as users name it: a directory, or a URL."""

from __future__ import annotations

import os
from typing import Final

FILE: Final = "file://"


def checked_place(value: object) -> str:
    """Return a result storage as it is kept: a URL, or an absolute path.

    Raises:
        ValueError: It is neither; the message says what it must be.
    """
    expected = 'a directory, a URL such as "s3://bucket/results", or "service://"'
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or not value:
        raise ValueError(expected)
    scheme, separator, _ = value.partition("://")
    if not separator:
        return os.path.abspath(os.path.expanduser(value))  # noqa: PTH100, PTH111 - pathlib keeps ".."
    if value.startswith(FILE) and not value.startswith(f"{FILE}/"):  # another place in each process
        raise ValueError('a URL with an absolute path, such as "file:///srv/results"')
    if not scheme.isascii() or not scheme[:1].isalpha() or any(c in " \t\n" for c in value):
        raise ValueError(expected)
    return value
