"""The conformance runner in Go, which shares nothing with the Python one but the scenarios."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from conformance.reading import read_all
from polyglot.golang import run
from support.server import Server

TESTS = Path(__file__).parents[1]


def test_every_scenario_passes_on_a_server_that_it_starts_moves_and_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "conformance.movable_server", "--database", str(tmp_path / "db")]
    done = run("conformance", "--server", shlex.join(command))
    assert done.returncode == 0, done.stdout + done.stderr
    *played, total = done.stdout.splitlines()
    assert sorted(played) == sorted(f"passed    {each.name}" for each in read_all())
    assert total.startswith(f"{len(played)} passed, 0 failed, 0 left out")


def test_on_a_server_that_runs_what_needs_more_is_left_out(server: Server) -> None:
    done = run("conformance", "--address", server.address)
    assert done.returncode == 0, done.stdout + done.stderr
    left_out = [each for each in read_all() if each.needs - {"wire"}]
    lines = [line for line in done.stdout.splitlines() if line.startswith("left out")]
    assert len(lines) == len(left_out)
    assert (
        "left out  A scheduled run begins at its very time: it needs that the service's clock is moved"
        in lines
    )


def test_a_server_that_does_not_conform_is_told_where(tmp_path: Path) -> None:
    with Server(tmp_path / "server.db", environment={"CLEARWAY_LEASE_SECONDS": "7"}) as server:
        done = run("conformance", "--address", server.address, "--only", "The welcome tells")
    assert done.returncode == 1
    assert 'answer.lease is "7s", expected {"$duration":"30s"}' in done.stdout
    assert "0 passed, 1 failed, 0 left out" in done.stdout
