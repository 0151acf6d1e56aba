"""A few lines at the bottom of the terminal that make way for all other output."""

from __future__ import annotations

import builtins
import logging
import sys
import threading
from typing import Any, Final, TextIO

_ERASE_BELOW: Final = "\x1b[J"


class Screen:
    """Draws lines below all that the program writes, and takes them away before it writes.

    While it is on, ``sys.stdout`` and ``sys.stderr``, and the log handlers that write to them, go through it.
    A line that the program has begun and not ended, such as a prompt, is left alone until it ends.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._height = 0
        self._on = False
        self._line_begun = False
        self._paused = 0
        self._out: TextIO = sys.stderr
        self._guarded: list[GuardedStream] = []
        self._moved: list[tuple[logging.StreamHandler[Any], TextIO]] = []
        self._input = builtins.input

    @property
    def is_on(self) -> bool:
        """Whether the program's output goes through the screen."""
        return self._on

    def start(self) -> None:
        """Redirect the program's output through the screen."""
        with self._lock:
            if self._on:
                return
            self._on, self._line_begun, self._paused = True, False, 0
            self._out = sys.stderr
            self._guarded = [GuardedStream(self, sys.stderr)]
            if sys.stdout.isatty():
                self._guarded.append(GuardedStream(self, sys.stdout))
            self._swap(self._guarded)
            self._input = builtins.input
            builtins.input = self._ask

    def stop(self, last_line: str = "") -> None:
        """Take the lines away, write a last one, and let everything be written directly again."""
        with self._lock:
            if not self._on:
                return
            self.erase()
            for guarded in self._guarded:
                *others, last = guarded.take_begun() or [""]
                self.write(guarded.real, "".join(f"{text}\n" for text in others) + last)
            self._on = False
            for guarded in self._guarded:
                if sys.stderr is guarded:
                    sys.stderr = guarded.real
                if sys.stdout is guarded:
                    sys.stdout = guarded.real
            for handler, stream in self._moved:
                handler.setStream(stream)
            self._moved.clear()
            if builtins.input == self._ask:
                builtins.input = self._input
            self.say(last_line)

    def say(self, line: str) -> None:
        """Write a line of our own among the program's output."""
        if line:
            with self._lock:
                self.erase()
                self._out.write(("\n" if self._line_begun else "") + line + "\n")
                self._out.flush()
                self._line_begun = False

    def draw(self, lines: list[str]) -> None:
        """Draw lines in place of the previous ones, unless the program is in the middle of a line.

        Args:
            lines: Each narrower than the terminal, and fewer than its height.
        """
        with self._lock:
            if self._on and not self._line_begun and not self._paused:
                self._out.write(self._erasing() + "\n".join(lines))
                self._out.flush()
                self._height = len(lines)

    def erase(self) -> None:
        """Erase the drawn lines."""
        with self._lock:
            if self._height:
                self._out.write(self._erasing())
                self._out.flush()
                self._height = 0

    def write(self, real: TextIO, text: str) -> int:
        """Write the program's own output."""
        with self._lock:
            if not self._on:
                return real.write(text)
            self.erase()
            written = real.write(text)
            if text:
                self._line_begun = not text.endswith("\n")
                if self._line_begun:
                    real.flush()
            return written

    def forget(self) -> None:
        """Leave the terminal alone; called in a forked process, which has no painter."""
        self._lock = threading.RLock()
        self._on, self._height = False, 0

    def _erasing(self) -> str:
        if not self._height:
            return ""
        up = f"\x1b[{self._height - 1}A" if self._height > 1 else ""
        return f"\r{up}{_ERASE_BELOW}"

    def _ask(self, prompt: object = "", /) -> str:
        """Replace ``input``, whose prompt does not go through ``sys.stdout``."""
        with self._lock:
            self.erase()
            self._paused += 1
        try:
            return self._input(prompt)
        finally:
            self._paused -= 1

    def _swap(self, guarded: list[GuardedStream]) -> None:
        for stream in guarded:
            if sys.stderr is stream.real:
                sys.stderr = stream
            if sys.stdout is stream.real:
                sys.stdout = stream
        loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
        for logger in loggers:
            for handler in getattr(logger, "handlers", ()):
                for stream in guarded:
                    if type(handler) is logging.StreamHandler and handler.stream is stream.real:
                        self._moved.append((handler, handler.stream))
                        handler.setStream(stream)


class GuardedStream:
    """A standard stream whose writes go through a screen; other methods are the stream's own.

    ``print`` makes separate writes for a text and its newline. So a thread's text is held back until its line
    ends or the thread flushes; otherwise the lines of several threads would be mixed up.
    """

    def __init__(self, screen: Screen, real: TextIO) -> None:
        self.real = real
        self._screen = screen
        self._begun: dict[int, str] = {}  # by thread

    def write(self, text: str) -> int:
        """Write text; an unfinished line is held back until it ends or is flushed."""
        if not self._screen.is_on:
            return self.real.write(text)
        thread = threading.get_ident()
        lines, newline, rest = (self._begun.pop(thread, "") + text).rpartition("\n")
        if "\r" in rest:  # a progress bar of the program's own
            lines, newline, rest = lines + newline + rest, "", ""
        if rest:
            self._begun[thread] = rest
        if lines or newline:
            self._screen.write(self.real, lines + newline)
        return len(text)

    def flush(self) -> None:
        """Write the calling thread's unfinished line."""
        begun = self._begun.pop(threading.get_ident(), "")
        if begun:
            self._screen.write(self.real, begun)
        self.real.flush()

    def take_begun(self) -> list[str]:
        """Return the unfinished lines of all threads, and forget them."""
        begun = [self._begun.pop(thread, "") for thread in list(self._begun)]
        return [text for text in begun if text]

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __iter__(self) -> Any:
        return iter(self.real)
