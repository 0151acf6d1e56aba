"""The Clearway service: it decides, durably, which state a run may enter."""

from clearway.v1 import __version__

__all__ = ["__version__"]
