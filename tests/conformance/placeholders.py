"""Placeholders: stand in scenarios for values that are known only at play time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import uuid_utils

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_NAMED = re.compile(r"(id|text|saved)\.([a-z][a-z0-9_]*)")
_NOW = re.compile(r"now(?:([+-][0-9]+(?:\.[0-9]+)?)s)?")
_RIGHT = "`${id.name}`, `${text.name}`, `${saved.name}`, `${now}` or `${now+10s}`"


class UnknownPlaceholderError(ValueError):
    """A placeholder is unknown; the message lists the known ones."""


def strings(value: Any) -> Iterator[str]:
    """Yield all strings in a JSON value, except keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def saved_names(value: Any) -> Iterator[str]:
    """Yield the names of saved values that a JSON value refers to.

    Raises:
        UnknownPlaceholderError: It has an unknown placeholder.
    """
    for text in strings(value):
        for inner in _PLACEHOLDER.findall(text):
            named = _NAMED.fullmatch(inner)
            if named is None and _NOW.fullmatch(inner) is None:
                raise UnknownPlaceholderError(f"${{{inner}}} is no placeholder; it must be {_RIGHT}")
            if named is not None and named[1] == "saved":
                yield named[2]


@dataclass
class Values:
    """The values of placeholders while a scenario is played.

    Attributes:
        now: The service's clock at the start of the scenario.
        saved: The values saved from responses, by name.
    """

    now: datetime
    saved: dict[str, Any] = field(default_factory=dict)
    _made: dict[str, str] = field(default_factory=dict)

    def fill(self, value: Any) -> Any:
        """Return a JSON value with all its placeholders replaced."""
        if isinstance(value, str):
            return _PLACEHOLDER.sub(lambda found: self._value(found[1]), value)
        if isinstance(value, Mapping):
            return {key: self.fill(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each) for each in value]
        return value

    def _value(self, inner: str) -> str:
        if named := _NAMED.fullmatch(inner):
            if named[1] == "saved":
                return str(self.saved[named[2]])
            if inner not in self._made:
                id_ = str(uuid_utils.uuid7())
                self._made[inner] = id_ if named[1] == "id" else f"{named[2]}-{id_}"
            return self._made[inner]
        time = _NOW.fullmatch(inner)
        if time is None:
            raise UnknownPlaceholderError(f"${{{inner}}} is no placeholder; it must be {_RIGHT}")
        moment = self.now + timedelta(seconds=float(time[1] or 0))
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
