"""The SDK's settings, read once on first use."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clearway._base.errors import InvalidSetting
from clearway._settings.errors import SettingError

if TYPE_CHECKING:
    from clearway._settings.sources import Sources


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that the SDK and the command line use; ``clearway._settings.table`` describes each.

    Attributes:
        sources: The sources of the settings, where the embedded engine finds its own.
    """

    home: Path
    address: str | None
    reconnect_timeout: float
    max_threads: int
    timeout_grace: float
    tasks_refresh_cache: bool
    local_storage_path: Path
    result_storage: str
    result_extra_storages: tuple[str, ...]
    result_inline_bytes: int
    result_serializers: frozenset[str]
    result_compression: str
    result_max_decompressed_bytes: int
    result_signing_key: str = field(repr=False)
    logging_level: int
    logging_log_prints: bool
    logging_extra_loggers: tuple[str, ...]
    display: str
    debug: bool
    database: Path
    sources: Sources = field(repr=False, compare=False)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read all settings: from environment variables, then the profile in the home, then defaults.

    Args:
        environ: The environment variables.

    Raises:
        InvalidSetting: A value is not allowed, or the profile is unreadable or has an unknown key.
    """
    from clearway._settings.sources import Sources  # noqa: PLC0415 - not needed to define a flow
    from clearway._settings.table import Part, names_of  # noqa: PLC0415 - as above

    sources = Sources(environ)
    names = (*names_of(Part.ALL, Part.FLOWS), "database")
    try:
        sources.check_profile()
        values: dict[str, Any] = {name: sources.get(name) for name in names}
    except SettingError as error:
        raise InvalidSetting(str(error)) from None
    return Settings(**values, sources=sources)


_lock = threading.Lock()
_settings: Settings | None = None
_has_warned = False


def get_settings() -> Settings:
    """Return the settings of this process; the first call reads them.

    Raises:
        InvalidSetting: See ``read_settings``.
    """
    global _settings  # noqa: PLW0603 - one per process
    if _settings is None:
        with _lock:
            if _settings is None:
                _settings = read_settings(os.environ)
    return _settings


def unknown_variables() -> Iterator[str]:
    """Yield a warning for each variable ``CLEARWAY_*`` that is not a setting; once per process."""
    global _has_warned  # noqa: PLW0603 - one per process
    if not _has_warned:
        _has_warned = True
        yield from get_settings().sources.unknown_variables()


def exchange_settings(settings: Settings | None) -> Settings | None:
    """Replace the settings of this process; return the previous ones, None if not read yet. For tests."""
    global _settings
    before, _settings = _settings, settings
    return before


def forget_settings() -> None:
    """Make the next ``get_settings()`` read the settings again. For tests that change the environment."""
    global _settings, _has_warned
    _settings, _has_warned = None, False
