"""``python -m clearway_service``: run the server until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
import os
import sys

# Set before gRPC is loaded, which would otherwise log addresses that are in use, as we do ourselves.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from clearway._settings.showing import show
from clearway._settings.sources import DEFAULT, Sources
from clearway._settings.table import HOME
from clearway_service import __version__
from clearway_service.errors import ClearwayError
from clearway_service.logs.native_lines import relay
from clearway_service.logs.setup import configure
from clearway_service.server import serve
from clearway_service.settings import ATTRIBUTES, ServiceSettings, SettingError
from clearway_service.texts import plain

try:
    from uvloop import run
except ImportError:  # it does not support Windows
    from asyncio import run  # type: ignore[assignment]  # it takes fewer arguments

_USAGE = 2
_FAILURE = 1
_LOGGER = "clearway_service"


def main(arguments: list[str] | None = None) -> int:
    """Run the server with command-line ``arguments``; return the exit code."""
    parser = argparse.ArgumentParser(prog="clearway server start", description="Run the Clearway server.")
    parser.add_argument("--host", help="the address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", help="the port to listen on; 0 picks a free one (default 4200)")
    parser.add_argument("--database", help="the SQLite file (default ~/.clearway/clearway.db)")
    parser.add_argument("--version", action="version", version=__version__)
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    configure()
    sources = Sources(os.environ, given)
    try:
        settings = ServiceSettings.from_sources(sources)
    except SettingError as error:
        return _fail(error, _USAGE)
    if not sys.stderr.isatty() and os.environ["GRPC_VERBOSITY"].upper() != "NONE":
        relay()
        configure()
    for warning in sources.unknown_variables():
        logging.getLogger(_LOGGER).warning("%s", warning)
    try:
        run(serve(settings, _given(sources)))
    except (ClearwayError, OSError) as error:
        return _fail(error, _FAILURE)
    return 0


def _given(sources: Sources) -> dict[str, str]:
    """Return the settings that are not defaults, each with its source; secrets are masked."""
    shown = (show(sources, name) for name in (HOME, *ATTRIBUTES))
    return {each.setting.name: f"{each.value} ({each.source})" for each in shown if each.source != DEFAULT}


def _fail(error: Exception, code: int) -> int:
    """Report why the server does not run: in the log or, at a terminal, as plain text."""
    if sys.stderr.isatty():
        sys.stderr.write(f"Error: {plain(str(error))}\n")
    else:
        logging.getLogger(_LOGGER).critical("the server does not run: %s", error)
    return code


if __name__ == "__main__":
    sys.exit(main())
