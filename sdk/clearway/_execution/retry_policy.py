"""Filling in the retry policy of a run's spec from its flow's or task's options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clearway.v1.retry_pb2 import RetryPolicy


class Retried(Protocol):
    """The retry options of a flow or task."""

    retries: int
    retry_delay_seconds: float | list[float]
    retry_jitter_factor: float | None


def fill_retry_policy(policy: RetryPolicy, definition: Retried) -> None:
    """Fill in the retry policy of a spec, in place; for runs with at least one retry."""
    policy.max_attempts = definition.retries + 1
    delays = definition.retry_delay_seconds
    for seconds in delays if isinstance(delays, list) else [delays]:
        policy.delays.add().FromNanoseconds(int(seconds * 1e9))
    if definition.retry_jitter_factor:
        policy.jitter_factor = definition.retry_jitter_factor
