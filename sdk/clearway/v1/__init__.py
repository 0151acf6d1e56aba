"""The messages and stubs of the protocol, generated from `protos/` by `make protos`.

Only this file is written by hand: it has the version of the distribution, which service and SDK send each other.
"""

__version__ = "0.2.0"
