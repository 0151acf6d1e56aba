"""A process that logs as the server does, and has an accident: ``log_lines.py ACCIDENT VALUE``."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import warnings

import structlog

from clearway_service.logs.native_lines import relay
from clearway_service.logs.setup import configure, log_unretrieved

logger = logging.getLogger("accidents")


class _Dying:
    def __del__(self) -> None:
        raise ValueError(sys.argv[2])


def _raise(value: str) -> None:
    local = value
    raise ValueError(local)


async def _forget(value: str) -> None:
    asyncio.get_running_loop().set_exception_handler(log_unretrieved)
    forgotten = asyncio.ensure_future(asyncio.to_thread(_raise, value))
    await asyncio.wait([forgotten])


def _exception(value: str) -> None:
    try:
        _raise(value)
    except ValueError:
        logger.exception("it failed")


def _structured(value: str) -> None:
    try:
        _raise(value)
    except ValueError as error:
        structlog.get_logger("accidents").error("it failed", exc_info=error)


def _thread(value: str) -> None:
    thread = threading.Thread(target=_raise, args=(value,), name="poor")
    thread.start()
    thread.join()


def _warning(_value: str) -> None:
    warnings.simplefilter("always")
    warnings.warn("old", DeprecationWarning, stacklevel=1)


def _repeated(value: str) -> None:
    for _ in range(5):
        _exception(value)


def _crash(_value: str) -> None:
    relay()
    configure()
    logger.warning("first")
    os.write(2, b"E0000 00:00:1.5 12 core.cc:1] last words\n")
    os.abort()


ACCIDENTS = {
    "exception": _exception,
    "structured": _structured,
    "uncaught": _raise,
    "thread": _thread,
    "unraisable": lambda _value: _Dying(),
    "unretrieved": lambda value: asyncio.run(_forget(value)),
    "warning": _warning,
    "format": lambda value: logger.warning("%d", value),
    "name": lambda value: logger.warning("the run %s waits", value),
    "structured name": lambda value: structlog.get_logger("accidents").warning("a run waits", run=value),
    "long": lambda value: logger.warning("%s", value * 10_000),
    "repeated": _repeated,
    "crash": _crash,
}


if __name__ == "__main__":
    configure()
    ACCIDENTS[sys.argv[1]](sys.argv[2])
