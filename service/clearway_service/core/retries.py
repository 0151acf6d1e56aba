"""Retries: how many attempts a run has, and how long it waits between them."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import NamedTuple

_DRAW_BITS = 53  # the precision of a float


class RetryPolicy(NamedTuple):
    """When a failed run is tried again.

    Attributes:
        max_attempts: The number of attempts, the first included; at least 1.
        delays: The delays before the first retry, the second and so on, in microseconds; the last one
            applies to all further retries. Empty means no delay.
        jitter_factor: How far delays are randomly spread, as ``spread`` explains; 0 for no jitter.
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
        draw: A uniform random number in [0, 1), which selects the jitter.
    """
    delays, jitter_factor = policy.delays, policy.jitter_factor
    if not delays:
        return 0
    delay = delays[min(attempt, len(delays)) - 1]
    return round(delay * spread(jitter_factor, draw)) if jitter_factor else delay


def spread(jitter_factor: float, draw: float) -> float:
    """Return the random factor for a delay: about 1 on average, and at most ``1 + jitter_factor``.

    Without jitter, runs that failed together because of one outage would all retry together, as a thundering
    herd. The intervals between independent events are exponentially distributed, so delays drawn from that
    distribution do not bunch. Both tails are cut off: the upper one at ``1 + jitter_factor``, the lower one
    where the mean stays within 2 % of 1.

    Args:
        jitter_factor: At least 0, which means no jitter.
        draw: A uniform random number in [0, 1).

    Source: the clamped Poisson interval of Prefect 2's retries (``clamped_poisson_interval`` in its
    ``prefect.utilities.math``), computed as the inverse of the truncated distribution function.
    """
    most = 1 + jitter_factor
    least = -math.log1p(-(2**-most)) / math.log(2)
    above_least, above_most = math.exp(-least), math.exp(-most)
    return -math.log(above_least - draw * (above_least - above_most))


def draw_for(proposal_id: str) -> float:
    """Return a pseudorandom number in [0, 1) for a proposal.

    It is derived from the proposal's id, so that decisions stay deterministic: a batch that is decided again
    after a failed commit draws the same numbers.
    """
    digest = blake2b(proposal_id.encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> (64 - _DRAW_BITS)) / (1 << _DRAW_BITS)
