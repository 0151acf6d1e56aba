"""Fixtures of the fault tests: servers with short leases and graces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server import Server

LEASE_SECONDS = 2
IMPATIENT = {
    "CLEARWAY_LEASE_SECONDS": str(LEASE_SECONDS),
    "CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "0.3",
}


@pytest.fixture
def unforgiving_server(tmp_path: Path) -> Iterator[Server]:
    """Run a server with a short grace for broken streams, and the default lease."""
    grace = {"CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "0.3"}
    with Server(tmp_path / "server.db", environment=grace) as running:
        yield running


@pytest.fixture
def impatient_server(tmp_path: Path) -> Iterator[Server]:
    """Run a server with a short lease, and a shorter grace for broken streams."""
    with Server(tmp_path / "server.db", environment=IMPATIENT) as running:
        yield running
