"""Backups: their duration, idle and at full load, and their cost to concurrent proposals."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from benchmarks.measuring import Measurement
from benchmarks.populated import populate
from benchmarks.processes import output, variables
from support.server import Server

_STREAMS, _IN_FLIGHT = 20, 50
_SECONDS = 5.0
_LONGEST_LOAD = 120.0
_PAUSE = 0.05
_CLEARWAY = str(Path(sys.executable).with_name("clearway"))


class _Loaded(NamedTuple):
    """Seconds of a backup under load, and transitions per second before it and during it."""

    seconds: float
    before: float
    during: float


class Place:
    """A database with a given number of task runs, created on first use.

    Args:
        folder: The folder for the database and its backups.
        task_runs: The number of task runs in the database.
        stack: Cleans up.
    """

    def __init__(self, folder: Path, task_runs: int, stack: ExitStack) -> None:
        self._folder = folder
        self._task_runs = task_runs
        self._stack = stack

    @cached_property
    def database(self) -> Path:
        """The file."""
        self._folder.mkdir()
        path = self._folder / "some.db"
        populate(path, self._task_runs)
        return path

    def vacuum(self) -> float:
        """Return the duration of SQLite's own copy, in seconds."""
        target = self.database.with_name("copy.db")
        begun = time.perf_counter()
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
        taken = time.perf_counter() - begun
        target.unlink()
        return taken

    def backup(self) -> float:
        """Return the duration of the ``clearway backup`` process, in seconds."""
        target = self.database.with_name("backup.tar")
        begun = time.perf_counter()
        output([_CLEARWAY, "backup", str(target), "--database", str(self.database)], {})
        taken = time.perf_counter() - begun
        target.unlink()
        return taken

    @cached_property
    def loaded(self) -> _Loaded:
        """A backup while a server decides proposals on the database at full speed."""
        server = self._stack.enter_context(Server(self.database))
        sizes = (str(_STREAMS), str(_IN_FLIGHT), str(_LONGEST_LOAD))
        client = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load_client", server.address, *sizes],
            env=variables({}),
            stdout=subprocess.DEVNULL,
        )
        self._stack.callback(client.kill)
        reader = self._stack.enter_context(closing(sqlite3.connect(self.database)))

        def begun_runs() -> int:
            number: int = reader.execute("SELECT max(seq) FROM task_run").fetchone()[0]
            return number

        first = begun_runs()
        while begun_runs() < first + _STREAMS * _IN_FLIGHT:
            time.sleep(_PAUSE)
        counts, times = [begun_runs()], [time.perf_counter()]
        time.sleep(_SECONDS)
        counts, times = [*counts, begun_runs()], [*times, time.perf_counter()]
        seconds = self.backup()
        counts, times = [*counts, begun_runs()], [*times, time.perf_counter()]
        client.kill()
        client.wait()
        server.stop()
        # Each run soon ends after its start, so it makes two transitions.
        before, during = (
            2 * (counts[each + 1] - counts[each]) / (times[each + 1] - times[each]) for each in (0, 1)
        )
        return _Loaded(seconds, before, during)


def backups(folder: Path, task_runs: int, stack: ExitStack) -> list[Measurement]:
    """Return the measurements of backups.

    Args:
        folder: The folder for the database.
        task_runs: The number of task runs in it, with two states each.
        stack: Cleans up.
    """
    place = Place(folder / "backups", task_runs, stack)
    size = f"{task_runs:,} task runs"
    bare, idle, rate = f"bare VACUUM INTO, {size}", f"backup of {size}", "decisions before a backup"
    return [
        Measurement(bare, "s", place.vacuum),
        Measurement(idle, "s", place.backup, bare),
        Measurement(f"{idle}, at full load", "s", lambda: place.loaded.seconds, idle, once=True),
        Measurement(rate, "transitions/s", lambda: place.loaded.before, more_is_better=True, once=True),
        Measurement(
            "decisions during a backup",
            "transitions/s",
            lambda: place.loaded.during,
            rate,
            more_is_better=True,
            once=True,
        ),
    ]
