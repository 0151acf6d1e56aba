"""A flow whose database is deleted or replaced: it fails with a clear exception, and loses no decision."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("sdk_lost_database.py")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("deleted", "was deleted or moved away"),
        ("replaced", "was replaced by another file"),
        ("log", "clearway.db-wal, which is part of the database, was deleted"),
    ],
)
def test_a_flow_whose_database_is_lost_fails_with_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, said: str
) -> None:
    monkeypatch.setenv("CLEARWAY_DATABASE", str(tmp_path / "clearway.db"))
    done = subprocess.run(
        [sys.executable, PROGRAM, how], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout == "worked\n"  # the task after the loss was never run
    (raised,) = [line for line in done.stderr.splitlines() if line.startswith("clearway.exceptions.")]
    assert raised.startswith("clearway.exceptions.ServerUnavailable: the ")
    assert said in raised
    assert done.stderr.count("the store accepts no transactions") == 1
