"""A real server in another process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from support.payloads import assert_json_lines, assert_no_payload
from support.wall_clock import WallClock

_START_SECONDS = 30


class Server:
    """A server process. As a context manager, it is started, and killed at the end.

    At the end, its log must be JSON without ``PAYLOAD``, whatever clients sent.

    Args:
        database: Its SQLite file.
        port: The port; 0 picks a free one, which is kept across restarts.
        environment: Additional variables, such as ``CLEARWAY_LEASE_SECONDS``.
        clock: The wall clock of the process; None for the machine's.

    Attributes:
        address: ``host:port``, as in ``CLEARWAY_ADDRESS``.
        log: The lines that the server has written so far, across restarts.
    """

    def __init__(
        self,
        database: Path,
        port: int = 0,
        environment: dict[str, str] | None = None,
        clock: WallClock | None = None,
    ) -> None:
        self.database = database
        self.address = f"127.0.0.1:{port}"
        self.log: list[str] = []
        self._environment = environment or {}
        self._module: tuple[str, ...] = ("clearway_service",)
        if clock is not None:
            self._module = clock.module("clearway_service")
            paths = [os.fspath(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
            self._environment |= {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, and wait until it listens."""
        command = [sys.executable, "-m", *self._module, "--port", self.address.rpartition(":")[2]]
        self._process = subprocess.Popen(
            [*command, "--database", str(self.database)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | self._environment,
        )
        listening = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process, listening), daemon=True)
        self._reader.start()
        if not listening.wait(_START_SECONDS) or self._process.poll() is not None:
            raise RuntimeError("the server did not start:\n" + "\n".join(self.log))

    def _read(self, process: subprocess.Popen[str], listening: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self.log.append(line.rstrip())
                if line.startswith("{") and (event := json.loads(line)).get("event") == "listening":
                    self.address = event["address"]
                    listening.set()
        listening.set()

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal that does not end it."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> int:
        """Stop the process with SIGTERM; return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        assert self._reader is not None
        self._process.send_signal(number)
        code = self._process.wait(timeout=_START_SECONDS)
        self._reader.join()
        return code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        if error is None:
            assert_json_lines(self.log)
            assert_no_payload(self.log)
