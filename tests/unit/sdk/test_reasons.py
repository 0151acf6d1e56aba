"""Programs look at types and reasons; the names and messages of states are for people."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import clearway
import clearway_cli

NAMES = {"Cached", "AwaitingRetry", "Retrying", "Rerunning", "NotReady", "TimedOut"}
FILES = [
    path
    for package in (clearway, clearway_cli)
    for path in Path(package.__file__ or "").parent.rglob("*.py")
    if not path.name.endswith(("_pb2.py", "_pb2_grpc.py"))
]


def compared(tree: ast.AST) -> Iterator[str]:
    """Yield the strings that something is compared with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare | ast.MatchValue):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def test_no_client_of_ours_decides_by_the_name_of_a_state() -> None:
    assert len(FILES) > 100
    found = {str(path): NAMES & set(compared(ast.parse(path.read_text()))) for path in FILES}
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize(
    "source", ["state.name == 'Cached'", "'NotReady' in names", "match x:\n case 'Cached': pass"]
)
def test_such_a_decision_would_be_found(source: str) -> None:
    assert NAMES & set(compared(ast.parse(source)))
