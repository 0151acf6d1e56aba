"""Imports ``service/request_validation_sources.py``, which is not part of the package, as a module."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from clearway.v1.options_pb2 import FieldRules
from support.documents import ROOT

_found = spec_from_file_location(
    "request_validation_sources", ROOT / "service" / "request_validation_sources.py"
)
assert _found is not None
assert _found.loader is not None
_module = module_from_spec(_found)
_found.loader.exec_module(_module)

READ: frozenset[str] = _module.READ


def request_messages() -> list[Descriptor]:
    """Return the types of messages that clients send, nested ones included, without duplicates."""
    found: list[Descriptor] = _module.request_messages()
    return found


def rules_of(field: FieldDescriptor) -> FieldRules:
    """Return the rules of a field, possibly empty."""
    rules: FieldRules = _module.rules_of(field)
    return rules
