"""The version of this package, as a constant because reading the package's metadata takes 40 ms."""

from __future__ import annotations

from typing import Final

from clearway.v1 import __version__

VERSION: Final = __version__
