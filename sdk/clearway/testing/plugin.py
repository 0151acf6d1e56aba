"""The pytest plugin: fixtures for a fresh service and its clock. Loads the service only if one is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from clearway.testing import Clock, Service


@pytest.fixture
def clearway_service() -> Iterator[Service]:
    """A fresh Clearway service for the test, embedded in this process; waits, as for retries, are skipped.

    To use it in all tests, set ``usefixtures = ["clearway_service"]`` in pytest's configuration.
    """
    from clearway.testing import service  # noqa: PLC0415 - loads the service

    with service() as running:
        yield running


@pytest.fixture
def clearway_clock(clearway_service: Service) -> Clock:
    """The clock of the test's Clearway service; move it with ``advance()``."""
    return clearway_service.clock
