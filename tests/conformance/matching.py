"""Matching: compares a response, as protobuf JSON, with the fields in a scenario."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

# The matchers of `{"$matcher": argument}`, with the type of the argument.
MATCHERS: dict[str, type] = {
    "$any": bool,
    "$contains": str,
    "$matches": str,
    "$time": str,
    "$duration": str,
    "$between": list,
    "$length": int,
    "$includes": list,
}
_SECONDS = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)s")


def seconds(text: str) -> float:
    """Return the seconds of a duration in protobuf JSON, such as ``1.5s``.

    Raises:
        ValueError: It has another form.
    """
    found = _SECONDS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no span of time; it must be written as '1.5s'")
    return float(found[1])


@dataclass(frozen=True)
class Matcher:
    """Compares responses with expectations.

    Args:
        start: The service's clock at the start of the scenario.
        slack: The tolerance of times: 0 if the clock stands still, otherwise the scenario's duration so far.
    """

    start: datetime
    slack: timedelta

    def differences(self, expected: Any, actual: Any, where: str = "") -> Iterator[str]:
        """Yield the differences; fields without an expectation are ignored."""
        if isinstance(expected, Mapping) and len(expected) == 1 and next(iter(expected)) in MATCHERS:
            name, argument = next(iter(expected.items()))
            if not self._matches(name, argument, actual):
                yield f"{where or 'the answer'} is {_shown(actual)}, expected {name} {argument!r}"
        elif isinstance(expected, Mapping):
            if not isinstance(actual, Mapping):
                yield f"{where or 'the answer'} is {_shown(actual)}, expected a message"
                return
            for key, value in expected.items():
                yield from self.differences(value, actual.get(key), f"{where}.{key}" if where else key)
        elif isinstance(expected, list):
            items = actual if isinstance(actual, list) else []
            if len(items) != len(expected):
                yield f"{where} has {len(items)} items, expected {len(expected)}: {_shown(actual)}"
                return
            for place, (value, item) in enumerate(zip(expected, items, strict=True)):
                yield from self.differences(value, item, f"{where}.{place}")
        elif not _same(expected, actual):
            yield f"{where or 'the answer'} is {_shown(actual)}, expected {_shown(expected)}"

    def _matches(self, name: str, argument: Any, actual: Any) -> bool:
        if name == "$time":
            return isinstance(actual, str) and self._near(_time(actual) - self.start, argument)
        if name == "$duration":
            return isinstance(actual, str) and self._near(timedelta(seconds=seconds(actual)), argument)
        if name == "$includes":
            items = actual or ()
            return all(any(not list(self.differences(value, item)) for item in items) for value in argument)
        return _PLAIN[name](argument, actual)

    def _near(self, actual: timedelta, expected: str) -> bool:
        return abs(actual - timedelta(seconds=seconds(expected))) <= self.slack


def _same(expected: Any, actual: Any) -> bool:
    """Return True if two plain values are equal; a default value equals unset."""
    if expected is None or actual is None:
        return not expected and not actual
    if isinstance(actual, str) and isinstance(expected, int) and not isinstance(expected, bool):
        return str(expected) == actual  # 64-bit numbers are strings in protobuf JSON
    return bool(expected == actual)


def _time(text: str) -> datetime:
    # datetime cannot parse nanoseconds.
    return datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text))


def _shown(value: Any) -> str:
    return "unset" if value is None else repr(value)


def _between(bounds: list[float], actual: Any) -> bool:
    number: float = seconds(actual) if isinstance(actual, str) else actual or 0
    return bounds[0] <= number <= bounds[1]


def _contains(part: str, actual: Any) -> bool:
    return isinstance(actual, str) and part in actual


def _matches_whole(pattern: str, actual: Any) -> bool:
    return isinstance(actual, str) and re.fullmatch(pattern, actual) is not None


_PLAIN: dict[str, Callable[[Any, Any], bool]] = {
    "$any": lambda wanted, actual: (actual is not None) is wanted,
    "$contains": _contains,
    "$matches": _matches_whole,
    "$between": _between,
    "$length": lambda length, actual: len(actual or ()) == length,
}
