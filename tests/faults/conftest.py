"""What the fault tests share: servers that lose patience quickly."""

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
    """Run a server that soon gives up a stream that broke, and nobody else."""
    grace = {"CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "0.3"}
    with Server(tmp_path / "server.db", environment=grace) as running:
        yield running


@pytest.fixture
def impatient_server(tmp_path: Path) -> Iterator[Server]:
    """Run a server with a short lease, and a shorter grace for streams that broke."""
    with Server(tmp_path / "server.db", environment=IMPATIENT) as running:
        yield running
