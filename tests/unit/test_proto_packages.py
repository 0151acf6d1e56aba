"""The packages of the stubs of other languages: named in each proto, and the same in all."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from google.protobuf.descriptor_pb2 import FileOptions

import clearway.v1
from support.documents import ROOT

MODULES = [
    module.name for module in pkgutil.iter_modules(clearway.v1.__path__) if module.name.endswith("_pb2")
]

# Go finds the module of a repository's folder by the folder's path.
GO_MODULE = "github.com/clearway/clearway/protos/go"


@pytest.mark.parametrize("module", MODULES)
def test_a_proto_names_its_packages(module: str) -> None:
    options: FileOptions = importlib.import_module(f"clearway.v1.{module}").DESCRIPTOR.GetOptions()
    assert options.go_package == f"{GO_MODULE}/clearway/v1;clearwayv1"
    assert (options.java_package, options.java_multiple_files) == ("io.clearway.v1", True)
    name = "".join(word.capitalize() for word in module.removesuffix("_pb2").split("_"))
    assert options.java_outer_classname == f"{name}Proto"
    assert options.csharp_namespace == "Clearway.V1"


def test_the_go_package_is_where_the_generated_files_are() -> None:
    assert (ROOT / "protos/go/go.mod").read_text(encoding="utf-8").splitlines()[0] == f"module {GO_MODULE}"
    generated = ROOT / "protos/go/clearway/v1"
    assert {path.name for path in generated.glob("*.pb.go")} >= {
        f"{module.removesuffix('_pb2')}.pb.go" for module in MODULES
    }
    assert not (ROOT / "examples/go/gen").exists()


def test_all_protos_are_looked_at() -> None:
    assert len(MODULES) == 15
