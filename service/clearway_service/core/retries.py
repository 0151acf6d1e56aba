"""Retries: how long a run waits before its next attempt."""

from __future__ import annotations

import math
from hashlib import blake2b

_DRAW_BITS = 53  # as many as a float holds exactly


def retry_delay(delays: tuple[int, ...], attempt: int, jitter_factor: float, draw: float) -> int:
    """Return how long a run waits before attempt ``attempt + 1``, in microseconds.

    Args:
        delays: Before the first retry, the second and so on; the last holds for those after it. None is 0.
        attempt: Attempts already made, from 1.
        jitter_factor: How far the delay is spread; 0 takes it as it is.
        draw: From 0 and below 1, drawn evenly; says where in its spread the delay is.
    """
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
