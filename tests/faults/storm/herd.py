"""The herd: the storm's client processes, each replaced by a successor when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from faults.storm.evidence import Life, Trouble
from integration.sdk_proxy import Proxy

_TESTS = Path(__file__).parents[2]
_END_SECONDS = 5.0


@dataclass
class Member:
    """A client of the storm.

    Attributes:
        name: Its name, shared by its successors.
        command: The module and its arguments.
        environment: Additional variables.
        proxy: The proxy between it and the server; None if it is embedded.
        stopped: Whether it is stopped by SIGSTOP.
    """

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    proxy: Proxy | None = None
    stopped: bool = False
    process: subprocess.Popen[bytes] | None = None


class Herd:
    """Starts clients, signals them, and records their lifetimes. At the end, all are ended.

    Args:
        folder: The folder for their standard error.

    Attributes:
        members: The clients, by name.
        lives: Each process so far.
        troubles: The faults inflicted on them.
        damage: Processes that ended unexpectedly.
    """

    def __init__(self, folder: Path) -> None:
        self.members: dict[str, Member] = {}
        self.lives: list[Life] = []
        self.troubles: list[Trouble] = []
        self.damage: list[str] = []
        self._folder = folder

    def add(self, member: Member) -> None:
        """Add a client and start it."""
        self.members[member.name] = member
        self._start(member)

    def _start(self, member: Member) -> None:
        inherited = os.environ.get("PYTHONPATH", "")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLEARWAY_")}
        paths = os.pathsep.join(filter(None, (str(_TESTS), inherited)))
        began = time.monotonic()
        with (self._folder / f"{member.name}.err").open("ab") as errors:
            member.process = subprocess.Popen(
                [sys.executable, "-m", *member.command],
                # Closed when the storm ends in any way, so that the client notices.
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=kept | member.environment | {"PYTHONPATH": paths, "PYTHONFAULTHANDLER": "1"},
                start_new_session=True,  # the terminal's Ctrl-C is for the storm alone
            )
        self.lives.append(Life(member.name, member.process.pid, began))

    def replace(self, member: Member, number: signal.Signals) -> None:
        """Send a fatal signal to a client, and start its successor when it has ended."""
        self.end(member, number)
        self._start(member)

    def end(self, member: Member, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a fatal signal to a client, and wait for its end; kill it if necessary."""
        process = member.process
        if process is None:
            return
        if process.poll() is None:
            self._note_death(member, process.pid, number)
            process.send_signal(number)
            if member.stopped:
                process.send_signal(signal.SIGCONT)
                member.stopped = False
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        else:
            self._check_end(member, process.returncode)
        if process.stdin is not None:
            process.stdin.close()
        member.process = None

    def _note_death(self, member: Member, pid: int, number: signal.Signals) -> None:
        now = time.monotonic()
        self.lives = [life._replace(killed=now) if life.pid == pid else life for life in self.lives]
        self.troubles.append(Trouble(member.name, number.name, now, float("inf")))

    def _check_end(self, member: Member, code: int) -> None:
        if code:
            told = (self._folder / f"{member.name}.err").read_text(errors="replace").splitlines()[-12:]
            self.damage.append(f"client {member.name} ended by itself with code {code}:\n" + "\n".join(told))

    def stop(self, member: Member) -> None:
        """Stop a client with SIGSTOP."""
        if member.process is not None and member.process.poll() is None and not member.stopped:
            member.stopped = True
            member.process.send_signal(signal.SIGSTOP)
            self.troubles.append(Trouble(member.name, "SIGSTOP", time.monotonic(), float("inf")))

    def resume(self, member: Member) -> None:
        """Resume a stopped client."""
        if not member.stopped or member.process is None:
            return
        member.stopped = False
        member.process.send_signal(signal.SIGCONT)
        now = time.monotonic()
        for index in range(len(self.troubles) - 1, -1, -1):
            trouble = self.troubles[index]
            if trouble.client == member.name and trouble.what == "SIGSTOP":
                self.troubles[index] = trouble._replace(ended=now)
                return

    def await_ends(self, seconds: float) -> None:
        """Wait for all clients to end; those still running after ``seconds`` count as damage."""
        deadline = time.monotonic() + seconds
        for member in self.members.values():
            process = member.process
            if process is None:
                continue
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.damage.append(
                    f"client {member.name} did not finish within {seconds:g} s after the storm"
                )
            self.end(member)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members.values():
            if member.process is not None and member.process.poll() is None:
                member.process.kill()
                member.process.wait()
            if member.process is not None and member.process.stdin is not None:
                member.process.stdin.close()
            if member.proxy is not None:
                member.proxy.__exit__(None, None, None)
