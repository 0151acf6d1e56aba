"""``protos/stubs.py``: what it replaces, what it leaves alone, and what it calls stale."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from support.documents import ROOT

# A plugin that protoc's protocol allows: it writes one file.
PLUGIN = f"""#!{sys.executable}
import sys
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorResponse
answer = CodeGeneratorResponse()
answer.file.add(name="v1/made.txt", content="made")
sys.stdin.buffer.read()
sys.stdout.buffer.write(answer.SerializeToString())
"""


@pytest.fixture(scope="module")
def stubs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stubs_program", ROOT / "protos" / "stubs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plugin(tmp_path: Path) -> dict[str, str]:
    """Return a plugin of the template, whose folder has a hand-written file and an old package."""
    program = tmp_path / "protoc-gen-one"
    program.write_text(PLUGIN)
    program.chmod(0o755)
    (tmp_path / "out" / "v0").mkdir(parents=True)
    (tmp_path / "out" / "v0" / "old.txt").write_text("old")
    (tmp_path / "out" / "go.mod").write_text("module out\n")
    return {"local": str(program), "out": "out"}


def test_generating_replaces_packages_and_keeps_files_written_by_hand(
    stubs: ModuleType, plugin: dict[str, str], tmp_path: Path
) -> None:
    stubs.generate([plugin], tmp_path)
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert found == {"go.mod", "v1/made.txt"}


def test_only_generated_files_can_be_stale(
    stubs: ModuleType, plugin: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    stubs.generate([plugin], fresh)
    monkeypatch.setattr(stubs, "ROOT", tmp_path)
    assert stubs.stale([plugin], fresh) == ["out/v0/old.txt", "out/v1/made.txt"]


def test_the_template_writes_committed_files_where_their_packages_are(stubs: ModuleType) -> None:
    committed = {plugin["out"] for plugin in stubs.plugins("") if not plugin["out"].startswith("gen/")}
    assert committed == {"protos/go", "examples/typescript/gen"}
    assert all(stubs.packages(ROOT / folder) for folder in committed)
