"""What all tests share: a home of their own, and real servers in other processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server import Server


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a ``CLEARWAY_HOME`` of its own, and no other setting from outside."""
    import os  # noqa: PLC0415 - only to read what is to be removed

    for name in [name for name in os.environ if name.startswith("CLEARWAY_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "home"
    monkeypatch.setenv("CLEARWAY_HOME", str(path))
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run a server in another process, on a free port and a database of its own."""
    with Server(tmp_path / "server.db") as running:
        yield running
