"""The Clearway service: decides durably which states runs may enter."""

from clearway.v1 import __version__

__all__ = ["__version__"]
