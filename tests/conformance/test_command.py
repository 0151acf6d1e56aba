"""``python -m conformance``, as an implementer of another server uses it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.server import Server

TESTS = Path(__file__).parents[1]


def conformance(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_server_that_runs_is_played_on_and_what_it_cannot_show_is_said(server: Server) -> None:
    done = conformance("--address", server.address, "--only", "schedule.json")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "passed    A time that has passed holds nobody up" in lines
    moved = "left out  A scheduled run begins at its very time: it needs that the service's clock is moved"
    assert moved in lines
    assert lines[-1].startswith("2 passed, 0 failed, 6 left out")


def test_a_server_that_does_not_conform_is_told_where(tmp_path: Path) -> None:
    environment = {"CLEARWAY_LEASE_SECONDS": "7"}
    with Server(tmp_path / "server.db", environment=environment) as server:
        done = conformance("--address", server.address, "--only", "The welcome tells")
    assert done.returncode == 1
    assert "FAILED    sessions.json: 'The welcome tells the lease and what the service takes'" in done.stdout
    assert "lease is '7s', expected $duration '30s'" in done.stdout
    assert "0 passed, 1 failed, 0 left out" in done.stdout
