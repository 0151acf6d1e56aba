"""Retries: how often a run is attempted, and how long it waits before its next attempt."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import NamedTuple

_DRAW_BITS = 53  # as many as a float holds exactly


class RetryPolicy(NamedTuple):
    """When a failed run is tried again.

    Attributes:
        max_attempts: How often the run is attempted in all, from 1.
        delays: How long to wait before the first retry, the second and so on, in microseconds; the last one
            applies to all further retries. Empty means not to wait.
        jitter_factor: How far the delays are spread at random; 0 takes them as they are.
    """

    max_attempts: int = 1
    delays: tuple[int, ...] = ()
    jitter_factor: float = 0.0


NO_RETRIES = RetryPolicy()


def retry_delay(policy: RetryPolicy, attempt: int, draw: float) -> int:
    """Return how long a run waits before attempt ``attempt + 1``, in microseconds.

    Args:
        policy: The run's policy.
        attempt: Attempts already made, from 1.
        draw: From 0 and below 1, drawn evenly; says where in its spread the delay is.
    """
    delays, jitter_factor = policy.delays, policy.jitter_factor
    if not delays:
        return 0
    delay = delays[min(attempt, len(delays)) - 1]
    return round(delay * spread(jitter_factor, draw)) if jitter_factor else delay


def spread(jitter_factor: float, draw: float) -> float:
    """Return by what a delay is multiplied: about 1 in the mean, and ``1 + jitter_factor`` at most.

    Runs that failed together, because what they all need was away, would otherwise come back together. The
    times between independent events are distributed exponentially, so delays that are drawn from there do not
    bunch. Both tails are cut off: the upper one at ``1 + jitter_factor``, the lower one where the mean stays
    within 2 % of 1.

    Args:
        jitter_factor: From 0, for no spread at all.
        draw: From 0 and below 1.

    Source: the clamped Poisson interval by which Prefect 2 spreads its retries (``clamped_poisson_interval``
    in its ``prefect.utilities.math``), as the inverse of the cut distribution function.
    """
    most = 1 + jitter_factor
    least = -math.log1p(-(2**-most)) / math.log(2)
    above_least, above_most = math.exp(-least), math.exp(-most)
    return -math.log(above_least - draw * (above_least - above_most))


def draw_for(proposal_id: str) -> float:
    """Return what chance says about a proposal, from 0 and below 1.

    Taken from the proposal's id, so that deciding stays a function of its inputs: a batch that is decided
    anew after a failed commit draws the same.
    """
    digest = blake2b(proposal_id.encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> (64 - _DRAW_BITS)) / (1 << _DRAW_BITS)
