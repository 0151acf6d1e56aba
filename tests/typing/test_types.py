"""What the SDK's types promise, as mypy and pyright see it in a user's program.

The programs in ``cases`` assert types. A line with an error that is to be found says so in an ignoring
comment, and an ignoring comment that ignores nothing is an error.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def check(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)  # without its cache, mypy reads all that the SDK imports
def test_mypy_agrees() -> None:
    pytest.importorskip("mypy", reason="mypy is not installed: pip install mypy")
    check("mypy", "--config-file", "mypy.ini", "cases")


@pytest.mark.timeout(300)
def test_pyright_agrees() -> None:
    pytest.importorskip(
        "basedpyright", reason="basedpyright, which is pyright with all it needs, is not installed"
    )
    check("basedpyright", "--project", "pyrightconfig.json")
