"""The names of the encodings and compressions of results."""

from __future__ import annotations

from typing import Final

JSON: Final = "json"
BYTES: Final = "bytes"
CLOUDPICKLE: Final = "cloudpickle"
BUILT_IN: Final = (JSON, BYTES, CLOUDPICKLE)
GZIP: Final = "gzip"
NO_COMPRESSION: Final = "none"
COMPRESSIONS: Final = (NO_COMPRESSION, GZIP)
