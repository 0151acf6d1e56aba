"""The messages and stubs of the protocol, generated from `protos/`; `make protos` writes them.

Only this file is written by hand: it has the version of the distribution, which service and SDK tell each other.
"""

__version__ = "0.1.0"
