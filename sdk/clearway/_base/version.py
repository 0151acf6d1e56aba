"""The version of this package, as a constant: to look it up in the package's metadata costs 40 ms."""

from __future__ import annotations

from typing import Final

from clearway.v1 import __version__

VERSION: Final = __version__
