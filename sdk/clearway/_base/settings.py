"""The SDK's settings: variables ``CLEARWAY_*``, then ``$CLEARWAY_HOME/profile.toml``, then defaults.

They are read once, when first needed, and do not change afterwards.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from clearway._base.encodings import BUILT_IN, COMPRESSIONS
from clearway._base.errors import InvalidSetting
from clearway._base.locations import checked_place

PROFILE = "profile.toml"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_DISPLAYS = ("auto", "always", "never")
_MAX_PORT = 65_535
_MAX_INLINE = 65_536
_MAX_DECOMPRESSED = 2**50
_MAX_THREADS = 10_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What the SDK can be told from outside.

    Attributes:
        home: Where the files of this user are.
        address: The server's ``host:port``; None runs the engine embedded in this process.
        local_storage_path: The directory in which results are kept that no other storage was asked for.
        result_storage: Where results are kept that are too large to travel within their state: a directory's
            path, or a URL. By default ``local_storage_path``.
        result_extra_storages: Further storages that results are read from, and deleted in by ``clearway cache
            gc``: those that other programs write to.
        result_inline_bytes: Up to how many bytes a result travels within its state. From 0 to 65,536.
        result_serializers: The serializers that may be used, to write results and to read them.
        result_compression: How results are compressed: ``none`` or ``gzip``.
        result_max_decompressed_bytes: How many bytes a compressed result may have once it is decompressed.
            From 1 to 2**50 (1 PiB).
        result_signing_key: The key by which results are signed and checked; empty for neither.
        database: The embedded engine's SQLite file.
        logging_level: The least level of log lines of runs that are shown and sent.
        logging_log_prints: Whether ``print()`` in flows and tasks that do not say becomes log lines.
        tasks_refresh_cache: Whether tasks that do not say run although the cache has their key.
        max_threads: How many threads a flow's submitted tasks share at most.
        reconnect_timeout: For how many seconds a server that was reached before may be away.
        timeout_grace: For how many seconds a task run that timed out is kept open for its sync code to end,
            where that code could not be interrupted.
        debug: Whether tracebacks show the frames of Clearway itself too.
        logging_extra_loggers: Loggers whose lines, where a run logs them, are kept like the run's own.
        display: When a flow's progress is drawn on the terminal: ``auto``, ``always`` or ``never``.
    """

    home: Path
    address: str | None
    local_storage_path: Path
    result_storage: str
    result_extra_storages: tuple[str, ...]
    result_inline_bytes: int
    result_serializers: frozenset[str]
    result_compression: str
    result_max_decompressed_bytes: int
    result_signing_key: str = field(repr=False)
    database: Path
    logging_level: int
    logging_log_prints: bool
    tasks_refresh_cache: bool
    max_threads: int
    reconnect_timeout: float
    timeout_grace: float
    debug: bool
    logging_extra_loggers: tuple[str, ...]
    display: str


def _path(value: object) -> Path:
    if not isinstance(value, str):
        raise ValueError("a path")  # noqa: TRY004 - one kind of error for all that is wrong with a value
    return Path(os.path.abspath(os.path.expanduser(value)))  # noqa: PTH100, PTH111 - pathlib keeps ".."


def _address(value: object) -> str | None:
    expected = 'host:port, such as "127.0.0.1:4200", without a scheme'
    if not isinstance(value, str):
        raise ValueError(expected)  # noqa: TRY004
    if not value:
        return None
    host, _, port = value.rpartition(":")
    bare_ipv6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not host or bare_ipv6 or any(c in "/ \t\n" for c in value):
        raise ValueError(expected)
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= _MAX_PORT):
        raise ValueError(f"{expected}, with a port from 1 to {_MAX_PORT:,}")
    return value


def _level(value: object) -> int:
    name = value.upper() if isinstance(value, str) else ""
    if name not in _LEVELS:
        raise ValueError(f"one of {', '.join(_LEVELS)}")
    return logging.getLevelNamesMapping()[name]


def _flag(value: object) -> bool:
    word = value.lower() if isinstance(value, str) else value
    if word in (True, "true", "yes", "on", "1"):
        return True
    if word in (False, "false", "no", "off", "0"):
        return False
    raise ValueError("true or false")


def _threads(value: object) -> int:
    return _whole_number(value, 1, _MAX_THREADS)


def _seconds(value: object) -> float:
    expected = "a number of seconds from 0 to 86,400"
    try:
        number = float(value) if isinstance(value, str | int | float) else -1.0
    except ValueError:
        raise ValueError(expected) from None
    if not 0 <= number <= 86_400:  # noqa: PLR2004 - one day, as the message says
        raise ValueError(expected)
    return number


def _place(value: object) -> str:
    return "" if value == "" else checked_place(value)


def _places(value: object) -> tuple[str, ...]:
    places = value.split(",") if isinstance(value, str) else value
    if not isinstance(places, list) or not all(isinstance(place, str) for place in places):
        raise ValueError(
            'directories and URLs with commas between them, such as "/srv/results,s3://bucket/results"'
        )
    return tuple(checked_place(place.strip()) for place in places if place.strip())


def _inline_bytes(value: object) -> int:
    return _whole_number(value, 0, _MAX_INLINE)


def _decompressed_bytes(value: object) -> int:
    return _whole_number(value, 1, _MAX_DECOMPRESSED)


def _whole_number(value: object, least: int, most: int) -> int:
    expected = f"a whole number from {least:,} to {most:,}"
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(expected) from None
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise ValueError(expected)
    return number


def _serializers(value: object) -> frozenset[str]:
    names = value.split(",") if isinstance(value, str) else value
    expected = f"one or more of {', '.join(BUILT_IN)}, with commas between them"
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(expected)
    chosen = frozenset(name.strip() for name in names)
    if not chosen or not chosen <= set(BUILT_IN):
        raise ValueError(expected)
    return chosen


def _compression(value: object) -> str:
    if value not in COMPRESSIONS:
        raise ValueError(f"one of {', '.join(COMPRESSIONS)}")
    return str(value)


def _key(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")  # noqa: TRY004
    return value


def _names(value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError('names of loggers with commas between them, such as "sqlalchemy.engine,my_package"')
    return tuple(name.strip() for name in names if name.strip())


def _display(value: object) -> str:
    word = value.lower() if isinstance(value, str) else ""
    if word not in _DISPLAYS:
        raise ValueError(f"one of {', '.join(_DISPLAYS)}")
    return word


_DEFAULTS: dict[str, Callable[[Path], object]] = {
    "address": lambda _: "",
    "local_storage_path": lambda home: str(home / "storage"),
    "result_storage": lambda _: "",
    "result_extra_storages": lambda _: "",
    "result_inline_bytes": lambda _: 65_536,
    "result_serializers": lambda _: ",".join(BUILT_IN),
    "result_compression": lambda _: "none",
    "result_max_decompressed_bytes": lambda _: 2**30,
    "result_signing_key": lambda _: "",
    "database": lambda home: str(home / "clearway.db"),
    "logging_level": lambda _: "INFO",
    "logging_log_prints": lambda _: False,
    "tasks_refresh_cache": lambda _: False,
    "max_threads": lambda _: 64,
    "reconnect_timeout": lambda _: 60,
    "timeout_grace": lambda _: 10,
    "debug": lambda _: False,
    "logging_extra_loggers": lambda _: "",
    "display": lambda _: "auto",
}
_READERS: dict[str, Callable[[object], Any]] = {
    "home": _path,
    "address": _address,
    "local_storage_path": _path,
    "result_storage": _place,
    "result_extra_storages": _places,
    "result_inline_bytes": _inline_bytes,
    "result_serializers": _serializers,
    "result_compression": _compression,
    "result_max_decompressed_bytes": _decompressed_bytes,
    "result_signing_key": _key,
    "database": _path,
    "logging_level": _level,
    "logging_log_prints": _flag,
    "tasks_refresh_cache": _flag,
    "max_threads": _threads,
    "reconnect_timeout": _seconds,
    "timeout_grace": _seconds,
    "debug": _flag,
    "logging_extra_loggers": _names,
    "display": _display,
}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read all settings anew.

    An empty variable counts as unset; only ``CLEARWAY_ADDRESS=`` says something: run embedded, whatever the
    profile names.

    Args:
        environ: The environment variables.

    Raises:
        InvalidSetting: A value is not allowed, or the profile cannot be read.
    """
    home: Path = _read("home", environ.get("CLEARWAY_HOME") or "~/.clearway", "CLEARWAY_HOME")
    profile_path = home / PROFILE
    profile = _read_profile(profile_path)
    values: dict[str, Any] = {"home": home}
    for name, default in _DEFAULTS.items():
        variable = f"CLEARWAY_{name.upper()}"
        given = environ.get(variable)
        if given or (given is not None and name == "address"):
            values[name] = _read(name, given, variable)
        elif name in profile:
            values[name] = _read(name, profile[name], f"{name} in {profile_path}")
        else:
            values[name] = _read(name, default(home), name)
    values["result_storage"] = values["result_storage"] or str(values["local_storage_path"])
    return Settings(**values)


def _read(name: str, value: object, source: str) -> Any:
    try:
        return _READERS[name](value)
    except ValueError as error:
        raise InvalidSetting(f"{source} is {value!r}; it must be {error}") from None


def _read_profile(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"the profile {path} cannot be read: {error}") from None
    import tomllib  # noqa: PLC0415 - few have a profile

    try:
        profile = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSetting(f"the profile {path} is not TOML: {error}") from None
    known = {field.name for field in fields(Settings)} - {"home"}
    unknown = sorted(profile.keys() - known)
    if unknown:
        raise InvalidSetting(
            f"the profile {path} sets {', '.join(unknown)}, which is no setting; "
            f"the settings are {', '.join(sorted(known))}"
        )
    return profile


_lock = threading.Lock()
_settings: Settings | None = None


def get_settings() -> Settings:
    """Return the settings of this process, reading them when asked for the first time."""
    global _settings  # noqa: PLW0603 - one per process
    if _settings is None:
        with _lock:
            if _settings is None:
                _settings = read_settings(os.environ)
    return _settings


def exchange_settings(settings: Settings | None) -> Settings | None:
    """Make other settings those of this process; return the ones before, None if not read yet. For tests."""
    global _settings
    before, _settings = _settings, settings
    return before


def forget_settings() -> None:
    """Have the next ``get_settings()`` read them anew. For tests, which change the environment."""
    global _settings  # noqa: PLW0603
    _settings = None
