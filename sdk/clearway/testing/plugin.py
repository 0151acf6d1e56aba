"""The pytest plugin: fixtures that give a test a service of its own. It loads nothing until one is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from clearway.testing import Clock, Service


@pytest.fixture
def clearway_service() -> Iterator[Service]:
    """Give the test a fresh Clearway service, embedded in this process; waits for retries are skipped.

    To have it in all tests, set ``usefixtures = ["clearway_service"]`` in pytest's settings.
    """
    from clearway.testing import service  # noqa: PLC0415 - loads the service

    with service() as running:
        yield running


@pytest.fixture
def clearway_clock(clearway_service: Service) -> Clock:
    """Give the test the clock of its Clearway service, which it may move."""
    return clearway_service.clock
