"""No two modules need each other, and each room says which way it may import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [
    ROOT / "sdk" / "clearway",
    ROOT / "service" / "clearway_service",
    ROOT / "cli" / "clearway_cli",
]
SDK_ROOMS = sorted(
    path.parent
    for path in PACKAGES[0].rglob("__init__.py")
    if any(part.startswith("_") for part in path.parent.relative_to(ROOT).parts)
)
SERVICE_ROOMS = sorted(path.parent for path in PACKAGES[1].glob("*/__init__.py"))


def modules(package: Path) -> dict[str, Path]:
    """Return the files of a package by module, without those that are generated."""
    found = {}
    for path in package.rglob("*.py"):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        if "v1" not in parts:
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield what a module imports, wherever in it: also within functions, and for type checkers only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".")[: len(name.split(".")) - node.level + (path.name == "__init__.py")]
                base = ".".join(filter(None, (*parents, base)))
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in known else base


def ring_in(package: Path) -> list[str]:
    """Return the modules of a ring of imports, each of which needs the next; empty where there is none."""
    known = modules(package)
    # What the package itself offers is loaded when it is first used: it stands above all of its modules.
    del known[package.name]
    graph = {name: {*imports(name, path, known)} & known.keys() - {name} for name, path in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring: list[str] = error.args[1]
        return ring[::-1]
    return []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_no_import_leads_back_to_where_it_came_from(package: Path) -> None:
    assert len(modules(package)) > 20
    assert ring_in(package) == []


@pytest.mark.parametrize(
    "second",
    [
        "import pack.first",
        "from pack import first",
        "from . import first",
        "from .first import A",
        "def late():\n    from pack.first import A",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.first import A",
    ],
)
def test_a_ring_is_found_however_its_modules_import(tmp_path: Path, second: str) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "first.py").write_text("from pack.second import B\nclass A: ...")
    (package / "second.py").write_text("class B: ...")
    assert ring_in(package) == []
    (package / "second.py").write_text(f"{second}\nclass B: ...")
    assert sorted(set(ring_in(package))) == ["pack.first", "pack.second"]


@pytest.mark.parametrize("room", [*SDK_ROOMS, *SERVICE_ROOMS], ids=lambda room: str(room.relative_to(ROOT)))
def test_a_room_says_what_it_is_for_and_which_way_it_may_import(room: Path) -> None:
    whole = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
    says = (ast.get_docstring(whole) or "").splitlines()
    assert re.search("may import |imports nothing", says[0], re.IGNORECASE)
    # The store loads what is built with SQLAlchemy when it is first asked for.
    assert room.name == "store" or (len(says) == 1 and len(whole.body) == 1)


def test_all_private_modules_are_in_rooms() -> None:
    assert SDK_ROOMS
    assert [path.name for path in PACKAGES[0].glob("_*.py")] == ["__init__.py"]


def test_the_service_has_its_rooms() -> None:
    rooms = ["api", "backup", "core", "engine", "logs", "result_files", "store"]
    assert [room.name for room in SERVICE_ROOMS] == rooms
