"""Runs ``clearway`` as a user does: its entry point, in a process of its own."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What changes how wide and how colourful people like their tables.
_TASTE = {"COLUMNS", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"}
CLEARWAY = str(Path(sys.executable).with_name("clearway"))


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line; no call of the tests ends in a traceback."""
    done = subprocess.run(
        [CLEARWAY, *arguments],
        env={name: value for name, value in os.environ.items() if name not in _TASTE} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def impostors(folder: Path) -> Path:
    """Write modules into a folder that leave a file when they are imported; return that file's path."""
    mark = folder / "imported"
    for name in ("clearway_service", "sqlite3", "tarfile"):
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\nraise SystemExit(3)\n")
    return mark


@contextmanager
def started(*command: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command that goes on; at the end of the block it is killed, if it has not ended."""
    with subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def answer(*arguments: str, **variables: str) -> str:
    """Run the command line and return what it printed; it must go well and complain of nothing."""
    done = run(*arguments, **variables)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def complaint(code: int, *arguments: str, **variables: str) -> str:
    """Run the command line and return what it complained of; it must end with ``code``, and no answer."""
    done = run(*arguments, **variables)
    assert (done.returncode, done.stdout) == (code, ""), done
    return done.stderr


def at_terminal(*arguments: str, typed: str | None = None, prompt: str = "") -> tuple[int, str]:
    """Run the command line at a terminal, and return its exit code and what the terminal showed.

    When ``prompt`` is seen, ``typed`` is typed; where that is None, Ctrl-C is pressed.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [CLEARWAY, *arguments],
        env={name: value for name, value in os.environ.items() if name not in _TASTE} | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen, asked = "", not prompt
        while True:
            try:
                seen += os.read(ours, 65_536).decode()
            except OSError:  # nobody has the other end open any more
                break
            if not asked and prompt in seen:
                asked = True
                if typed is None:
                    process.send_signal(signal.SIGINT)
                else:
                    os.write(ours, typed.encode())
    os.close(ours)
    assert "Traceback" not in seen, seen
    return process.returncode, seen.replace("\r\n", "\n")
