"""Real processes that hold the slots of a limit, and others that wait for one."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clearway import get_client
from integration.cli_process import started
from integration.sdk_messages import SECONDS, wait_until

_SCRIPT = str(Path(__file__).with_name("cli_holder.py"))


@contextmanager
def holding() -> Iterator[subprocess.Popen[str]]:
    """Start a process whose task holds a slot of the tag ``disk`` until it is told to end."""
    with started(sys.executable, _SCRIPT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process


@contextmanager
def waiting(tag: str, position: int) -> Iterator[subprocess.Popen[str]]:
    """Start such a process where no slot is free; it stands in the queue at a position."""
    with started(sys.executable, _SCRIPT) as process:
        with get_client() as client:
            wait_until(lambda: client.read_concurrency_limit_by_tag(tag).waiting == position)
        yield process


def end(process: subprocess.Popen[str]) -> None:
    """Let the task of a process end, and the process with it."""
    _, told = process.communicate("go on\n", timeout=SECONDS)
    assert process.returncode == 0, told
