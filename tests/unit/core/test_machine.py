"""The core under whatever may happen, over a store of dictionaries."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

from support.machine import CoreMachine
from support.model_loading import Depths

# All of it is computing, and takes long beside other tests that compute too.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

bounded = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class WholeQueues(CoreMachine):
    """With everything loaded."""


class HeadsOfQueues(CoreMachine):
    """With only the heads of queues loaded, as the store does it, but shorter ones."""

    depths = Depths(head=1, woken=3, elders=1)


TestWholeQueues = WholeQueues.TestCase
TestWholeQueues.settings = bounded
TestHeadsOfQueues = HeadsOfQueues.TestCase
TestHeadsOfQueues.settings = bounded
