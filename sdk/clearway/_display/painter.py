"""The thread that draws the progress."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from clearway._display.lines import last_line, progress_lines
from clearway._display.screen import Screen
from clearway._display.snapshot import Counts, Observer, Snapshot

if TYPE_CHECKING:
    from clearway._display.subjects import DrawnAttempt, DrawnFlowRun

_log = logging.getLogger("clearway.display")

_FIRST_SECONDS: Final = 0.3
_SECONDS: Final = 0.1
_COST: Final = 25.0
"""How many times as long as it worked the thread rests, which limits its share of one core."""


class Painter:
    """Draws the progress of the outermost flow runs, from the start of the first to the end of the last.

    Nothing is drawn for flow runs that end within 0.3 s.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._screen = Screen()
        self._tops: dict[DrawnFlowRun, float] = {}
        self._scopes: dict[str, DrawnAttempt] = {}
        self._ended: dict[str, Counts] = {}  # by flow run; those of an earlier attempt are replaced
        self._stopped = threading.Event()

    def begin(self, run: DrawnFlowRun, scope: DrawnAttempt) -> None:
        """Show an attempt of a flow run, be it the outermost one or a subflow."""
        with self._guard:
            if run.parent is None and run not in self._tops:
                self._tops[run] = time.monotonic()
                if len(self._tops) == 1:
                    self._start()
            if self._tops:
                self._scopes[run.run_id] = scope
                self._ended.pop(run.run_id, None)

    def end_attempt(self, run: DrawnFlowRun, scope: DrawnAttempt) -> None:
        """Show the counts of an attempt that has ended, instead of its runs."""
        with self._guard:
            if self._scopes.pop(run.run_id, None) is not None:
                self._ended[run.run_id] = Counts.of(scope)

    def shows(self, run: DrawnFlowRun) -> bool:
        """Return whether ``finish`` leaves a line about an outermost flow run."""
        return run in self._tops

    def finish(self, run: DrawnFlowRun, how: str) -> None:
        """Leave a line that says how an outermost flow run ended; none if ``how`` is empty."""
        line = last_line(run.name, how) if how else ""
        with self._guard:
            if self._tops.pop(run, None) is None:
                return
            if self._tops:
                self._screen.say(line)
                return
            self._stopped.set()
            self._ended.clear()
        self._screen.stop(line)

    def forget(self) -> None:
        """Draw nothing any more; called in a forked process."""
        self._guard = threading.Lock()
        self._tops.clear()
        self._scopes.clear()
        self._screen.forget()

    def _start(self) -> None:
        self._stopped = threading.Event()
        self._screen.start()
        threading.Thread(
            target=self._run, args=(self._stopped,), name="clearway-display", daemon=True
        ).start()

    def _counts(self) -> Counts:
        total = Counts()
        for counts in self._ended.values():
            total += counts
        for scope in self._scopes.values():
            total += Counts.of(scope)
        return total

    def _run(self, stopped: threading.Event) -> None:
        observer = Observer()
        frame = 0
        pause = _FIRST_SECONDS
        while not stopped.wait(pause):
            began = time.thread_time()
            try:
                self._draw(observer, frame, stopped)
            except Exception:  # noqa: BLE001 - a display error must never harm a run
                _log.debug("the progress could not be drawn", exc_info=True)
                return
            frame += 1
            pause = max(_SECONDS, _COST * (time.thread_time() - began))

    def _draw(self, observer: Observer, frame: int, stopped: threading.Event) -> None:
        with self._guard:
            if not self._tops:
                return
            (top, began), *others = self._tops.items()
            title = f"{top.name} and {len(others)} more" if others else top.name
            snapshot = Snapshot(title, time.monotonic() - began, self._counts())
            scopes = list(self._scopes.values())
        observer.look(snapshot, scopes)
        size = shutil.get_terminal_size()
        drawn = _rendered(snapshot, frame, size.columns - 1)[: max(1, size.lines - 1)]
        with self._guard:
            if not stopped.is_set():
                self._screen.draw(drawn)


def _rendered(snapshot: Snapshot, frame: int, width: int) -> list[str]:
    from rich.console import Console  # noqa: PLC0415 - loaded with the first drawing

    out: Any = getattr(sys.stderr, "real", sys.stderr)
    console = Console(
        file=StringIO(),
        force_terminal=True,
        width=max(width, 1),
        color_system=None if os.environ.get("NO_COLOR") else "standard",
        highlight=False,
        legacy_windows=False,
    )
    unicode = "utf" in (getattr(out, "encoding", "") or "").lower()
    rendered = []
    for line in progress_lines(snapshot, frame, unicode=unicode):
        line.truncate(console.width, overflow="ellipsis" if unicode else "crop")
        with console.capture() as capture:
            console.print(line, no_wrap=True, end="", soft_wrap=True)
        rendered.append(capture.get())
    return rendered
