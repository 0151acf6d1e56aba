"""The typed settings of the service; ``clearway._settings`` defines and reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from clearway._settings.errors import SettingError
from clearway._settings.kinds import Seconds
from clearway._settings.sources import Sources
from clearway._settings.table import TABLE, Part, names_of

__all__ = ["ServiceSettings", "SettingError"]

_SECONDS = "_seconds"


def _typed(name: str, value: Any) -> Any:
    """Convert a parsed value to the type of its attribute."""
    return timedelta(seconds=value) if isinstance(TABLE[name].kind, Seconds) else value


ATTRIBUTES = {name: name.removesuffix(_SECONDS) for name in names_of(Part.ENGINE, Part.SERVER)}
"""The attributes of ``ServiceSettings``, by setting name."""

_DEFAULTS: dict[str, Any] = {
    name: _typed(name, TABLE[name].kind.parse(TABLE[name].default))
    for name in ATTRIBUTES
    if not TABLE[name].in_home
}


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """The settings of the engine and the server, each described in ``clearway._settings.table``.

    Attributes are named like their settings, without the suffix ``_seconds``.

    Attributes:
        extend_leases: Whether opening the database renews the leases of all sessions. A server does, since
            its clients could not reach it while it was down. Not a user setting.

    Raises:
        SettingError: A value is not allowed.
    """

    database: Path = field(default_factory=lambda: Sources({}).get("database"))
    synchronous: str = _DEFAULTS["synchronous"]
    host: str = _DEFAULTS["host"]
    port: int = _DEFAULTS["port"]
    lease: timedelta = _DEFAULTS["lease_seconds"]
    broken_stream_grace: timedelta = _DEFAULTS["broken_stream_grace_seconds"]
    slot_retry_after: timedelta = _DEFAULTS["slot_retry_after_seconds"]
    max_slot_wait: timedelta = _DEFAULTS["max_slot_wait_seconds"]
    shutdown_grace: timedelta = _DEFAULTS["shutdown_grace_seconds"]
    max_connection_age: timedelta = _DEFAULTS["max_connection_age_seconds"]
    max_message_bytes: int = _DEFAULTS["max_message_bytes"]
    max_client_bytes: int = _DEFAULTS["max_client_bytes"]
    max_inflight_bytes: int = _DEFAULTS["max_inflight_bytes"]
    max_result_bytes: int = _DEFAULTS["max_result_bytes"]
    max_result_storage_bytes: int = _DEFAULTS["max_result_storage_bytes"]
    extend_leases: bool = False

    def __post_init__(self) -> None:
        for name, attribute in ATTRIBUTES.items():
            setting, value = TABLE[name], _plain(getattr(self, attribute))
            try:
                setting.kind.parse(value)
            except ValueError as error:
                raise SettingError(f"{setting.variable} is {value!r}; it must be {error}") from None
            if setting.at_least and getattr(self, attribute) < (least := getattr(self, setting.at_least)):
                raise SettingError(
                    f"{setting.variable} is {value}; it must be at least {setting.at_least}, which is {least}"
                )

    @property
    def stream_grace(self) -> timedelta:
        """How long a session outlives a stream that broke."""
        return min(self.broken_stream_grace, self.lease)

    @classmethod
    def from_sources(cls, sources: Sources) -> ServiceSettings:
        """Return the settings of a server from the given sources.

        Raises:
            SettingError: A value is not allowed, or the profile cannot be read or has an unknown key.
        """
        sources.check_profile()
        values = {attribute: _typed(name, sources.get(name)) for name, attribute in ATTRIBUTES.items()}
        return cls(**values, extend_leases=True)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ServiceSettings:
        """Return the settings of a server from environment variables, then the profile, then defaults.

        Raises:
            SettingError: As ``from_sources`` does.
        """
        return cls.from_sources(Sources(environment))


def _plain(value: object) -> object:
    """Convert a typed value to the form that its kind parses."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Path) else value
