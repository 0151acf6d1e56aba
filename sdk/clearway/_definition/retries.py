"""The options of flows and tasks for retries and the delays before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from clearway._definition.option_checks import MAX_DELAY, checked_delay
from clearway._definition.warnings import warn_of_definition

RetryDelays: TypeAlias = Sequence[float] | Callable[[int], Sequence[float]]

RetryConditionFn: TypeAlias = Callable[..., Any]
"""``(task, task_run, state)``, sync or async, returning a bool."""

_MAX_DELAYS = 50
_MAX_JITTER = 100


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Return a value for ``retry_delay_seconds`` that doubles the delay with each retry.

        @task(retries=5, retry_delay_seconds=exponential_backoff(10))

    Args:
        backoff_factor: The delay before the first retry, in seconds. Delays are capped at 365 days.

    Raises:
        TypeError: ``backoff_factor`` is not a number.
        ValueError: ``backoff_factor`` is negative, or above 365 days.
    """
    first = checked_delay("exponential_backoff", backoff_factor, "backoff_factor")

    def doubling(retries: int) -> list[float]:
        return [min(first * 2.0**number, MAX_DELAY) for number in range(min(retries, _MAX_DELAYS))]

    return doubling


def checked_delays(owner: str, given: float | RetryDelays, retries: int) -> float | list[float]:
    """Return the option ``retry_delay_seconds`` after checking it: one delay for all retries, or a list.

    Args:
        owner: The flow or task, for messages.
        given: A number of seconds, a list of them, or a function that takes the number of retries and returns
            such a list.
        retries: The number of retries.

    Raises:
        TypeError: ``given`` is none of these.
        ValueError: A delay is negative, too long or not finite, or the list is empty or too long.
    """
    made = given(retries) if callable(given) else given
    if isinstance(made, (str, bytes)) or not isinstance(made, Sequence):
        return checked_delay(owner, made)
    delays = [
        checked_delay(owner, delay, f"retry_delay_seconds[{index}]") for index, delay in enumerate(made)
    ]
    if len(delays) > _MAX_DELAYS or not (delays or callable(given)):
        raise ValueError(
            f"retry_delay_seconds of {owner} has {len(delays)} delays; it must have 1 to {_MAX_DELAYS}, "
            "of which the last applies to all further retries"
        )
    if len(delays) > retries:
        unused = len(delays) - retries
        warn_of_definition(
            f"retry_delay_seconds of {owner} has {len(delays)} delays, and retries is {retries}: "
            f"the last {unused} will never be used"
        )
    return delays


def checked_jitter(owner: str, factor: object) -> float | None:
    """Return the option ``retry_jitter_factor`` after checking it.

    Raises:
        TypeError: ``factor`` is not a number.
        ValueError: ``factor`` is below 0 or above 100.
    """
    if factor is None:
        return None
    if not isinstance(factor, int | float) or isinstance(factor, bool):
        raise TypeError(
            f"retry_jitter_factor of {owner} is {factor!r}; it must be a number, such as 0.5 to lengthen "
            "delays by up to half, or None"
        )
    if not 0 <= factor <= _MAX_JITTER:
        raise ValueError(f"retry_jitter_factor of {owner} is {factor}; it must be from 0 to {_MAX_JITTER}")
    return float(factor)


def checked_condition(owner: str, given: object) -> RetryConditionFn | None:
    """Return the option ``retry_condition_fn`` after checking it.

    Raises:
        TypeError: ``given`` is not a function.
    """
    if given is None or callable(given):
        return given
    raise TypeError(
        f"retry_condition_fn of {owner} is {given!r}; it must be a function of (task, task_run, state)"
    )
