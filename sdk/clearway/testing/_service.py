"""A service of its own for one test, with its files in memory where the system has room for them there."""

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

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of a random name is made in it
_ROOM: Final = 256 * 1024 * 1024  # a container may have as little as 64 MiB there
# What would lead out of the service's own folder.
_ELSEWHERE: Final = ("CLEARWAY_DATABASE", "CLEARWAY_LOCAL_STORAGE_PATH", "CLEARWAY_RESULT_STORAGE")


@dataclass(frozen=True, slots=True)
class Service:
    """A service under test: flows that are called meanwhile run on it, and ``get_client()`` asks it.

    Attributes:
        clock: Its clock.
        home: The folder with its database and results, which is removed in the end.
    """

    clock: Clock
    home: Path


@contextmanager
def service(*, skip_waits: bool = True) -> Iterator[Service]:
    """Give this process a fresh service, embedded in it, for as long as the block lasts.

    It knows no run, limit, cache entry or result of before, and leaves none behind. Nothing in the home of
    the user is read or written. ``CLEARWAY_HOME`` and ``CLEARWAY_ADDRESS`` are set meanwhile, so that
    processes that are started keep to it too; and ``CLEARWAY_DISPLAY`` to ``never``, where it is not set.
    Blocks may be nested; they belong to the process, not to a thread.

    Args:
        skip_waits: Whether time jumps on as soon as all runs only wait, so that a retry delay of an hour
            takes milliseconds. False lets it pass as it does outside, beside what ``clock.advance`` does.

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
    """Return the bytes of a database without a run; to make them anew takes longer than all else here."""
    return empty_database()


@contextmanager
def _environment(home: Path) -> Iterator[None]:
    """Let the environment name a home, and nothing that lies elsewhere."""
    ours = {
        "CLEARWAY_HOME": str(home),
        "CLEARWAY_ADDRESS": "",
        "CLEARWAY_DISPLAY": os.environ.get("CLEARWAY_DISPLAY") or "never",  # a test's output is its own
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
