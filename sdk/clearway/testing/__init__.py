"""Tools for testing flows and tasks: a fresh service for each test, and a clock that tests can move.

    import clearway.testing

    def test_it_is_retried():
        with clearway.testing.service() as service:
            assert nightly() == 3  # with retry_delay_seconds=60: the waits are skipped
            service.clock.advance(hours=24)
            assert nightly() == 3  # what was cached for a day has expired

With pytest, no import is needed: the fixture ``clearway_service`` is such a service, and ``clearway_clock``
its clock.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clearway.testing._clock import Clock
    from clearway.testing._service import Service, service

__all__ = ["Clock", "Service", "service"]

# Loaded on first use, because pytest imports this package in every project that has Clearway installed.
_MODULE_OF = {"Clock": "_clock", "Service": "_service", "service": "_service"}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
