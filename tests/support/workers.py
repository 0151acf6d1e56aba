"""Worker processes: clients of a server, or embedded engines, that tests stop, resume and kill."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.waiting import DEADLINE_SECONDS

_TESTS = Path(__file__).parents[1]


class Worker:
    """A process that runs a test module, reports in JSON lines, and takes commands as lines.

    Args:
        module: The module, such as ``support.holding``.
        *arguments: Its command-line arguments.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        inherited = os.environ.get("PYTHONPATH", "")
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(_TESTS), inherited)))},
        )
        self._told: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._told.put(json.loads(line))
        self._told.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            self.errors += [line.rstrip() for line in lines]

    def hear(self, what: str) -> Any:
        """Wait for the process to report ``what``, and return the reported value."""
        while True:
            told = self._told.get(timeout=DEADLINE_SECONDS)
            assert told is not None, f"the worker ended before {what}:\n" + "\n".join(self.errors[-30:])
            if what in told:
                return told[what]

    def said(self) -> list[dict[str, Any]]:
        """Return the reports since the last call, without waiting."""
        said = []
        while not self._told.empty():
            if (told := self._told.get()) is not None:
                said.append(told)
        return said

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def tell(self, line: str) -> None:
        """Send the process a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self._process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait for the process to end, and return its exit code."""
        code = self._process.wait(timeout=2 * DEADLINE_SECONDS)
        for reader in self._readers:
            reader.join()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return code

    @property
    def running(self) -> bool:
        """Whether the process is still running."""
        return self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self.wait()
