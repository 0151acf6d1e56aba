"""Run the benchmarks: ``make bench``, or ``python -m benchmarks --rounds 5 --only "map over"``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import picture, table
from benchmarks.catalogue import measurements
from benchmarks.figures import write
from benchmarks.measuring import chosen, measure, report, screen
from support.server import Server

_ROOT = Path(__file__).parents[1]
_RECORD = _ROOT / "benchmarks" / "results" / "latest.json"
_PICTURE = _ROOT / "docs" / "figures.svg"
_DOCUMENTS = (_ROOT / "README.md", _ROOT / "docs" / "performance.md")


def main() -> None:
    """Measure and print the figures; a full run also updates the JSON file, the chart and the docs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="the number of rounds (default 5)")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only names that contain NAME; may be repeated"
    )
    parser.add_argument(
        "--small", action="store_true", help="a hundredth of the large sizes, as a smoke test"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file only")
    arguments = parser.parse_args()
    console = screen()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(folder / "server.db"))
        echo = stack.enter_context(_echo_server())
        stack.callback(echo.kill)
        assert echo.stdout is not None
        bare = f"127.0.0.1:{echo.stdout.readline().strip()}"
        wanted = measurements(server.address, bare, folder, 100 if arguments.small else 1, stack)
        if arguments.only:
            wanted = chosen(wanted, arguments.only)
        if not wanted:
            parser.error(f"no measurement matches: {', '.join(arguments.only)}")
        record = measure(wanted, arguments.rounds, console)
    report(record, console)
    if arguments.json:
        write(record, arguments.json)
    elif not (arguments.only or arguments.small):
        write(record, _RECORD)
        _PICTURE.write_text(picture.draw(record), encoding="utf-8")
        for document in filter(table.is_marked, _DOCUMENTS):
            document.write_text(table.fill(document.read_text(encoding="utf-8"), record), encoding="utf-8")
        console.print(f"Written: {_RECORD}, {_PICTURE} and the tables in the documentation")


def _echo_server() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.bare"], stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    main()
