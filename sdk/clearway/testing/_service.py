"""A fresh embedded service for a test, with its files in memory if there is enough room."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clearway._base.clock import exchange_clock
from clearway._base.settings import exchange_settings, read_settings
from clearway._transport.current import disconnect, exchange_transport
from clearway._transport.embedded import empty_database
from clearway.context import FlowRunContext
from clearway.results import forget_store
from clearway.testing._activity import Activity
from clearway.testing._clock import Clock
from clearway.testing._transport import WatchedTransport

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only a folder with a random name is created in it
_ROOM: Final = 256 * 1024 * 1024  # a container may have as little as 64 MiB there
# Variables that could point outside the service's own folder.
_ELSEWHERE: Final = ("CLEARWAY_DATABASE", "CLEARWAY_LOCAL_STORAGE_PATH", "CLEARWAY_RESULT_STORAGE")


@dataclass(frozen=True, slots=True)
class Service:
    """A service under test: flows called in its block run on it, and ``get_client()`` connects to it.

    Attributes:
        clock: The service's clock.
        home: The folder with its database and results, which is deleted at the end of the block.
    """

    clock: Clock
    home: Path


@contextmanager
def service(*, skip_waits: bool = True) -> Iterator[Service]:
    """Run this process on a fresh embedded service inside the block.

    The service starts without runs, limits, cache entries or results, and is deleted afterwards. Nothing in
    the user's home is read or written. Inside the block, the environment variable ``CLEARWAY_HOME`` is the
    service's folder and ``CLEARWAY_ADDRESS`` is empty, so that child processes use that folder too;
    ``CLEARWAY_DISPLAY`` is ``never`` unless it is already set. The block applies to the whole process, not
    only to this thread. Blocks may be nested.

    Args:
        skip_waits: True, the default, moves the clock forward as soon as all runs are only waiting, so a
            retry delay of an hour takes milliseconds. False lets time pass at normal speed, except for
            ``clock.advance``.

    Yields:
        The service.

    Raises:
        RuntimeError: The caller is in a flow.
        InvalidSetting: A ``CLEARWAY_*`` variable has a value that is not allowed.
    """
    if FlowRunContext.get() is not None:
        raise RuntimeError(
            "clearway.testing.service() was called in a flow; call the flow in its block instead"
        )
    with ExitStack() as stack:
        home = _folder()
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        stack.enter_context(_environment(home))
        settings = read_settings(os.environ)
        settings.database.write_bytes(_template())
        stack.callback(exchange_settings, exchange_settings(settings))
        stack.callback(forget_store, settings.local_storage_path)

        activity = Activity()
        clock = Clock(activity, skips_waits=skip_waits)
        transport = WatchedTransport(settings.database, clock.microseconds, activity)
        stack.callback(exchange_transport, exchange_transport(transport))
        stack.callback(disconnect)
        stack.callback(exchange_clock, exchange_clock(clock))
        stack.callback(clock.close)
        clock.start(transport.clock_moved)
        yield Service(clock, home)


def _folder() -> Path:
    memory = os.access(_IN_MEMORY, os.W_OK) and shutil.disk_usage(_IN_MEMORY).free >= _ROOM
    return Path(tempfile.mkdtemp(prefix="clearway-test-", dir=_IN_MEMORY if memory else None))


@functools.cache
def _template() -> bytes:
    """Return the bytes of an empty database; creating one is the slowest step, so it is done once."""
    return empty_database()


@contextmanager
def _environment(home: Path) -> Iterator[None]:
    """Set the environment variables of a service under test, and restore them afterwards."""
    ours = {
        "CLEARWAY_HOME": str(home),
        "CLEARWAY_ADDRESS": "",
        "CLEARWAY_DISPLAY": os.environ.get("CLEARWAY_DISPLAY") or "never",  # keeps tests' output clean
    }
    before = {name: os.environ.get(name) for name in (*_ELSEWHERE, *ours)}
    for name in _ELSEWHERE:
        os.environ.pop(name, None)
    os.environ |= ours
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
