"""Checks of the options of flows and tasks: a wrong value raises at the definition."""

from __future__ import annotations

import math
from datetime import timedelta

from clearway._base.plain_times import plain_length
from clearway._base.texts import encodable

_MAX_NAME = 200  # a run's name may have 255 characters: this name and a number
_MAX_VERSION = 255
_MAX_RETRIES = 10_000
MAX_DELAY = 365 * 24 * 3600.0


def checked_name(kind: str, name: object) -> str:
    """Return the name of a flow or task after checking it.

    Raises:
        TypeError: The name is not a string.
        ValueError: The name is empty, too long, or cannot be encoded as UTF-8.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a {kind} is {name!r}; it must be a string")
    if not 1 <= len(name) <= _MAX_NAME:
        raise ValueError(
            f"the name of a {kind} has {len(name)} characters; it must have 1 to {_MAX_NAME}: {name!r}"
        )
    if encodable(name) != name:
        raise ValueError(
            f"the name of a {kind} is {name!r}, which UTF-8 cannot encode; remove the lone surrogates"
        )
    return name


def checked_version(owner: str, version: object) -> str | None:
    """Return the option ``version`` after checking it; see ``checked_name`` for the exceptions."""
    if version is None:
        return None
    if not isinstance(version, str):
        raise TypeError(f"the version of {owner} is {version!r}; it must be a string, such as '1.2'")
    if len(version) > _MAX_VERSION:
        raise ValueError(
            f"the version of {owner} has {len(version)} characters; it may have {_MAX_VERSION} at most"
        )
    return version


def checked_description(owner: str, description: object) -> str | None:
    """Return the option ``description`` after checking it; see ``checked_name`` for the exceptions."""
    if description is None or isinstance(description, str):
        return description
    raise TypeError(
        f"the description of {owner} is {description!r}; it must be a string, or None for the docstring"
    )


def checked_retries(owner: str, retries: object) -> int:
    """Return the option ``retries`` after checking it; see ``checked_name`` for the exceptions."""
    if not isinstance(retries, int) or isinstance(retries, bool):
        raise TypeError(f"retries of {owner} is {retries!r}; it must be a whole number from 0")
    if not 0 <= retries <= _MAX_RETRIES:
        raise ValueError(f"retries of {owner} is {retries}; it must be from 0 to {_MAX_RETRIES:,}")
    return retries


def checked_delay(owner: str, seconds: object, option: str = "retry_delay_seconds") -> float:
    """Return a delay in seconds after checking it; see ``checked_name`` for the exceptions."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"{option} of {owner} is {seconds!r}; it must be a number of seconds")
    if not (math.isfinite(seconds) and 0 <= seconds <= MAX_DELAY):
        raise ValueError(f"{option} of {owner} is {seconds}; it must be from 0 to {MAX_DELAY:,.0f}")
    return float(seconds)


def checked_timeout(owner: str, seconds: object) -> float | None:
    """Return the option ``timeout_seconds`` after checking it; see ``checked_name`` for the exceptions.

    Returns:
        Seconds; None, also for 0, means no limit.
    """
    if seconds is None:
        return None
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(
            f"timeout_seconds of {owner} is {seconds!r}; it must be a number of seconds, "
            "or 0 or None for no limit"
        )
    if not (math.isfinite(seconds) and 0 <= seconds <= MAX_DELAY):
        raise ValueError(
            f"timeout_seconds of {owner} is {seconds}; it must be above 0 and at most {MAX_DELAY:,.0f}, "
            "or 0 or None for no limit"
        )
    return float(seconds) or None


def checked_log_prints(owner: str, given: object) -> bool | None:
    """Return the option ``log_prints`` after checking it; None means that it is inherited."""
    if given is None or isinstance(given, bool):
        return given
    raise TypeError(
        f"log_prints of {owner} is {given!r}; it must be True or False, or None for what is set elsewhere"
    )


def checked_choice(option: str, owner: str, given: object) -> bool | None:
    """Return an option that is True, False or None after checking it; None means the default."""
    if given is None or isinstance(given, bool):
        return given
    raise TypeError(f"{option} of {owner} is {given!r}; it must be True or False, or None for the default")


def checked_flag(option: str, owner: str, given: object) -> bool:
    """Return an option that is True or False after checking it."""
    if isinstance(given, bool):
        return given
    raise TypeError(f"{option} of {owner} is {given!r}; it must be True or False")


def checked_expiration(owner: str, expiration: object) -> timedelta | None:
    """Return the option ``cache_expiration`` after checking it; None means that entries never expire."""
    if expiration is None:
        return None
    if not isinstance(expiration, timedelta):
        raise TypeError(
            f"cache_expiration of {owner} is {expiration!r}; it must be a timedelta, or None for ever"
        )
    length = plain_length(expiration)
    if length <= timedelta(0):
        raise ValueError(f"cache_expiration of {owner} is {expiration}; it must be above 0")
    return length
