"""``python -m clearway_service``: run the server until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

# Before gRPC is loaded: it writes lines of its own where an address is in use, and we say so ourselves.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from clearway_service import __version__
from clearway_service.errors import ClearwayError
from clearway_service.logs.native_lines import relay
from clearway_service.logs.setup import configure
from clearway_service.server import serve
from clearway_service.settings import ServiceSettings, SettingError
from clearway_service.texts import plain

try:
    from uvloop import run
except ImportError:  # there is none for Windows
    from asyncio import run  # type: ignore[assignment]  # it takes fewer arguments

_USAGE = 2
_FAILURE = 1


def main(arguments: list[str] | None = None) -> int:
    """Run the server with command-line ``arguments``; return the exit code."""
    parser = argparse.ArgumentParser(prog="clearway server start", description="Run the Clearway server.")
    parser.add_argument("--host", help="the address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port to listen on; 0 picks a free one (default 4200)")
    parser.add_argument("--database", type=Path, help="the SQLite file (default ~/.clearway/clearway.db)")
    parser.add_argument("--version", action="version", version=__version__)
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    configure()
    try:
        settings = replace(ServiceSettings.from_environment(), **given)
    except SettingError as error:
        return _fail(error, _USAGE)
    if not sys.stderr.isatty() and os.environ["GRPC_VERBOSITY"].upper() != "NONE":
        relay()
        configure()
    try:
        run(serve(settings))
    except (ClearwayError, OSError) as error:
        return _fail(error, _FAILURE)
    return 0


def _fail(error: Exception, code: int) -> int:
    """Say why the server does not run: as a line of the log or, at a terminal, to a person."""
    if sys.stderr.isatty():
        sys.stderr.write(f"Error: {plain(str(error))}\n")
    else:
        logging.getLogger("clearway_service").critical("the server does not run: %s", error)
    return code


if __name__ == "__main__":
    sys.exit(main())
