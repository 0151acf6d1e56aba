"""What the stubs of other languages are called: said in each proto, and the same in all."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from google.protobuf.descriptor_pb2 import FileOptions

import clearway.v1

MODULES = [
    module.name for module in pkgutil.iter_modules(clearway.v1.__path__) if module.name.endswith("_pb2")
]


@pytest.mark.parametrize("module", MODULES)
def test_a_proto_names_its_packages(module: str) -> None:
    options: FileOptions = importlib.import_module(f"clearway.v1.{module}").DESCRIPTOR.GetOptions()
    assert options.go_package == "github.com/clearway/clearway/examples/go/gen/clearway/v1;clearwayv1"
    assert (options.java_package, options.java_multiple_files) == ("io.clearway.v1", True)
    name = "".join(word.capitalize() for word in module.removesuffix("_pb2").split("_"))
    assert options.java_outer_classname == f"{name}Proto"
    assert options.csharp_namespace == "Clearway.V1"


def test_all_protos_are_looked_at() -> None:
    assert len(MODULES) == 13
