"""The programs of ``examples/go``, and grpcurl: built once, and run as their users do.

``python -m polyglot.golang`` builds them beforehand.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "examples" / "go"
GRPCURL = "v1.9.4"
_PROGRAMS = ROOT / ".tools" / "go"
_SECONDS = 110


@functools.cache
def build() -> Path:
    """Build what is not up to date, and return the programs' folder.

    Processes that build at the same time wait for each other. Without Go the test that asks is left out.
    """
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    _PROGRAMS.mkdir(parents=True, exist_ok=True)
    with (_PROGRAMS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _go("build", "-o", f"{_PROGRAMS}{os.sep}", "./cmd/...")
        named = _PROGRAMS / f"grpcurl-{GRPCURL}"
        if not named.exists():
            _go("install", f"github.com/fullstorydev/grpcurl/cmd/grpcurl@{GRPCURL}")
            (_PROGRAMS / "grpcurl").rename(named)
    return _PROGRAMS


def _go(*arguments: str) -> None:
    environment = os.environ | {"GOBIN": str(_PROGRAMS)}
    done = subprocess.run(
        ["go", *arguments], cwd=MODULE, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"go {' '.join(arguments)}:\n{done.stdout}{done.stderr}"


def grpcurl() -> str:
    """Return the path of grpcurl."""
    return str(build() / f"grpcurl-{GRPCURL}")


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the programs to its end."""
    command = [str(build() / program), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False)


@contextmanager
def started(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start one of the programs; at the end of the block it is killed, if it has not ended."""
    command = [str(build() / program), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    print(build())
