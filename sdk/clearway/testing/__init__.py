"""For tests of flows and tasks: a service of their own, made in milliseconds, and a clock to move.

    import clearway.testing

    def test_it_is_retried():
        with clearway.testing.service() as service:
            assert nightly() == 3  # with retry_delay_seconds=60: the waits are skipped
            service.clock.advance(hours=24)
            assert nightly() == 3  # what was cached for a day has expired

With pytest there is nothing to import: the fixture ``clearway_service`` is such a service, and
``clearway_clock`` its clock.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clearway.testing._clock import Clock
    from clearway.testing._service import Service, service

__all__ = ["Clock", "Service", "service"]

# Loaded when first used, since pytest imports this package in every project that has Clearway installed.
_MODULE_OF = {"Clock": "_clock", "Service": "_service", "service": "_service"}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
