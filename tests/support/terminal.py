"""A terminal emulator: runs a program, and lets tests read what a user would see."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from support.waiting import DEADLINE_SECONDS

_CONTROL = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")
_PAUSE_SECONDS = 0.2


class Screen:
    """The screen of a terminal; it supports only the control sequences that Clearway sends."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._lines = [""]
        self._row = self._column = 0
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        """All lines, including those scrolled off the screen."""
        return [line.rstrip() for line in self._lines]

    def feed(self, text: str) -> None:
        """Process output text."""
        text, self._rest = self._rest + text, ""
        position = 0
        while position < len(text):
            character = text[position]
            if character == "\x1b":
                control = _CONTROL.match(text, position)
                if control is None:
                    self._rest = text[position:]
                    return
                self._control(control[1], control[2])
                position = control.end()
                continue
            self._take(character)
            position += 1

    def _take(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._row += 1
            if self._row == len(self._lines):
                self._lines.append("")
        else:
            if self._column == self._columns:
                self._column = 0
                self._take("\n")
            line = self._lines[self._row].ljust(self._column)
            self._lines[self._row] = line[: self._column] + character + line[self._column + 1 :]
            self._column += 1

    def _control(self, arguments: str, kind: str) -> None:
        if kind == "A":
            self._row = max(0, self._row - int(arguments or 1))
        elif kind == "J":
            assert arguments in ("", "0")
            self._lines[self._row] = self._lines[self._row][: self._column]
            del self._lines[self._row + 1 :]
        else:
            assert kind == "m", f"the terminal was sent {kind!r}"


class Terminal:
    """A program on its own terminal. As a context manager, it is started, and killed at the end.

    Args:
        command: The program and its arguments.
        columns: The width of the terminal.

    Attributes:
        screen: The current screen.
        seen: All states of the screen so far.
    """

    def __init__(self, command: Sequence[str], columns: int = 200, **variables: str) -> None:
        self.screen = Screen(columns)
        self.seen: list[list[str]] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        left_out = {"COLUMNS", "LINES", "NO_COLOR", "TERM"}
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=environment | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | variables,
        )
        os.close(theirs)

    def wait_for(self, condition: Callable[[list[str]], object], what: str) -> list[str]:
        """Read until the screen meets a condition; return its lines."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition(self.screen.lines):
            assert time.monotonic() < deadline, f"{what} was not seen:\n" + "\n".join(self.screen.lines)
            if not self._read():
                assert condition(self.screen.lines), f"{what}:\n" + "\n".join(self.screen.lines)
        return self.screen.lines

    def wait_text(self, text: str) -> list[str]:
        """Read until a text is on the screen; return its lines."""
        return self.wait_for(lambda lines: any(text in line for line in lines), repr(text))

    def enter(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    def send(self, number: signal.Signals) -> None:
        """Send the program a signal; SIGINT is Ctrl-C."""
        self._process.send_signal(number)

    def end(self) -> tuple[int, list[str]]:
        """Read until the program has ended; return its exit code and the lines of the screen."""
        while self._read():
            pass
        return self._process.wait(DEADLINE_SECONDS), self.screen.lines

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], _PAUSE_SECONDS)
        if not ready:
            return True
        try:
            data = os.read(self._ours, 65_536)
        except OSError:  # the other end is closed
            return False
        self.screen.feed(self._decoder.decode(data))
        self.seen.append(self.screen.lines)
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)
