"""``python -m clearway_service.backup``: implements ``clearway backup`` and ``clearway restore``."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TextIO

from clearway._settings.errors import SettingError
from clearway._settings.sources import Sources
from clearway_service.backup.errors import BackupError
from clearway_service.backup.manifest import DATABASE, MANIFEST, Manifest
from clearway_service.backup.restoring import restore, verify
from clearway_service.backup.saving import save
from clearway_service.errors import ClearwayError
from clearway_service.result_files.folder import beside
from clearway_service.texts import plain

_USAGE, _FAILURE, _INTERRUPTED = 2, 1, 130
# The database's server goes first if both want the processor.
_NICE = 10
# A manifest may contain any text as its time.
_LONGEST_TIME = 40


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="clearway backup", description="Back up and restore a database.")
    commands = parser.add_subparsers(required=True)
    saving = commands.add_parser("save")
    saving.add_argument("file", type=Path)
    saving.add_argument("--database")
    saving.add_argument("--no-results", action="store_true")
    saving.set_defaults(run=_save)
    verifying = commands.add_parser("verify")
    verifying.add_argument("file", type=Path)
    verifying.set_defaults(run=_verify)
    restoring = commands.add_parser("restore")
    restoring.add_argument("file", type=Path)
    restoring.add_argument("--database")
    restoring.set_defaults(run=_restore)
    given = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    run: Callable[[argparse.Namespace], tuple[str, ...]] = given.run
    try:
        _show(sys.stdout, *run(given))
    except SettingError as error:
        return _fail(error, _USAGE)
    except (BackupError, ClearwayError) as error:
        return _fail(error, _FAILURE)
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", _FAILURE)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _save(given: argparse.Namespace) -> tuple[str, ...]:
    begun = time.monotonic()
    os.nice(_NICE)
    database = _database(given)
    manifest, size = save(database, given.file.absolute(), with_results=not given.no_results)
    lost = len(manifest.missing_results) + len(manifest.damaged_results)
    if lost:
        _show(
            sys.stderr,
            f"Warning: {_counted(lost, 'result')} that the runs refer to {'is' if lost == 1 else 'are'} "
            f"missing from {beside(database)}, or damaged; see missing_results and damaged_results in the "
            f"backup's {MANIFEST}.",
        )
    return (f"Saved {_holds(manifest)} to {given.file}: {_size(size)} in {_seconds(begun)}.",)


def _verify(given: argparse.Namespace) -> tuple[str, ...]:
    begun = time.monotonic()
    manifest = verify(given.file.absolute())
    return (
        f"{given.file} is sound: {_holds(manifest)}, of {_created(manifest)}; checked in {_seconds(begun)}.",
    )


def _restore(given: argparse.Namespace) -> tuple[str, ...]:
    begun = time.monotonic()
    database = _database(given)
    manifest = restore(given.file.absolute(), database)
    return (
        f"Restored {_holds(manifest)}, of {_created(manifest)}, to {database} in {_seconds(begun)}.",
        f"Next: clearway server start --database {shlex.quote(str(database))}",
        "Runs that were Running when it was taken become Crashed when their sessions' leases expire.",
    )


def _database(given: argparse.Namespace) -> Path:
    sources = Sources(os.environ, {} if given.database is None else {"database": given.database})
    if given.database is None:
        sources.check_profile()
    for warning in sources.unknown_variables():
        _show(sys.stderr, f"Warning: {warning}")
    database: Path = sources.get("database")
    return database


def _holds(manifest: Manifest) -> str:
    flow_runs, task_runs = _counted(manifest.flow_runs, "flow run"), _counted(manifest.task_runs, "task run")
    return f"{flow_runs}, {task_runs} and {_counted(len(manifest.files.keys() - {DATABASE}), 'result')}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _created(manifest: Manifest) -> str:
    return manifest.created[:_LONGEST_TIME]


def _size(size: int) -> str:
    number, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:  # noqa: PLR2004 - the units are binary
            break
        number, unit = number / 1024, larger
    return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"


def _seconds(begun: float) -> str:
    return f"{time.monotonic() - begun:.1f} s"


def _fail(error: object, code: int) -> int:
    _show(sys.stderr, f"Error: {error}")
    return code


def _show(stream: TextIO, *lines: str) -> None:
    """Write lines; file names and manifest texts in them can neither control a terminal nor add lines."""
    stream.writelines(f"{plain(line)}\n" for line in lines)


def _stop(number: int, _frame: object) -> NoReturn:
    """End as by Ctrl-C, so that nothing is left behind."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
