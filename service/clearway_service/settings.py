"""Settings of the service: defaults, then the profile, ``CLEARWAY_*`` variables, the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

DEFAULT_HOME = Path("~/.clearway")
PROFILE = "profile.toml"
MAX_PORT = 65_535
SYNCHRONOUS = ("normal", "full")
# What SQLite or others take for memory, a URI or a URL, of which pathlib leaves one slash.
_NO_PATH = re.compile("(:memory:|file:.*|[a-z][a-z0-9+.-]+:/.*)", re.IGNORECASE | re.DOTALL)


class SettingError(ValueError):
    """A setting has a value that is not allowed; the message says which and what would be right."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What the service can be told.

    Attributes:
        database: The SQLite file; made where it does not exist. ``CLEARWAY_DATABASE``.
        synchronous: What a decision outlives: ``normal``, the end of any process; ``full``, also a loss of
            power, at the price of a wait for the disk with each commit. ``CLEARWAY_SYNCHRONOUS``.
        host: The address to listen on. ``CLEARWAY_HOST``.
        port: The port to listen on; 0 picks a free one. ``CLEARWAY_PORT``.
        lease: How long a session outlives a lost client. From 1 second. ``CLEARWAY_LEASE_SECONDS``.
        broken_stream_grace: How long a session outlives a stream that broke, at most its lease.
            ``CLEARWAY_BROKEN_STREAM_GRACE_SECONDS``.
        slot_retry_after: What a unary caller is told to wait for a slot.
            ``CLEARWAY_SLOT_RETRY_AFTER_SECONDS``.
        max_slot_wait: How long a unary caller may wait in the queue. ``CLEARWAY_MAX_SLOT_WAIT_SECONDS``.
        shutdown_grace: How long calls in flight may take when the server is told to stop.
            ``CLEARWAY_SHUTDOWN_GRACE_SECONDS``.
        max_connection_age: How old a connection may be before its client is asked to open another, which lets
            load balancers spread clients anew; 0 for any age. ``CLEARWAY_MAX_CONNECTION_AGE_SECONDS``.
        max_message_bytes: The largest message taken. ``CLEARWAY_MAX_MESSAGE_BYTES``.
        max_client_bytes: How many bytes of requests without a decision, and of decisions that it has not
            taken, one client may have. From 1 MiB. ``CLEARWAY_MAX_CLIENT_BYTES``.
        max_inflight_bytes: How many all clients may have together. From ``max_client_bytes``.
            ``CLEARWAY_MAX_INFLIGHT_BYTES``.
        max_result_bytes: The largest result that the service's own storage takes.
            ``CLEARWAY_MAX_RESULT_BYTES``.
        max_result_storage_bytes: How much that storage takes in all; 0 for no limit but the disk's.
            ``CLEARWAY_MAX_RESULT_STORAGE_BYTES``.
        extend_leases: Whether opening the database gives all sessions a new lease, as a server does, whose
            clients could not reach it while it was away.
    """

    database: Path = field(default_factory=lambda: DEFAULT_HOME.expanduser() / "clearway.db")
    synchronous: str = "normal"
    host: str = "127.0.0.1"
    port: int = 4200
    lease: timedelta = timedelta(seconds=30)
    broken_stream_grace: timedelta = timedelta(seconds=10)
    slot_retry_after: timedelta = timedelta(seconds=30)
    max_slot_wait: timedelta = timedelta(hours=1)
    shutdown_grace: timedelta = timedelta(seconds=10)
    max_connection_age: timedelta = timedelta(0)
    max_message_bytes: int = 16 * 1024 * 1024
    max_client_bytes: int = 32 * 1024 * 1024
    max_inflight_bytes: int = 256 * 1024 * 1024
    max_result_bytes: int = 1024 * 1024 * 1024
    max_result_storage_bytes: int = 0
    extend_leases: bool = False

    def __post_init__(self) -> None:
        _require(
            not _NO_PATH.fullmatch(str(self.database)),
            "CLEARWAY_DATABASE",
            repr(str(self.database)),
            "the path of a file, no URL; databases in memory are not supported",
        )
        right = " or ".join(f"`{value}`" for value in SYNCHRONOUS)
        _require(self.synchronous in SYNCHRONOUS, "CLEARWAY_SYNCHRONOUS", repr(self.synchronous), right)
        _require(0 <= self.port <= MAX_PORT, "port", self.port, f"a number from 0 to {MAX_PORT}")
        _require(self.lease >= timedelta(seconds=1), "lease", self.lease, "1 second or more")
        for name in (
            "broken_stream_grace",
            "slot_retry_after",
            "max_slot_wait",
            "shutdown_grace",
            "max_connection_age",
        ):
            value: timedelta = getattr(self, name)
            _require(value >= timedelta(0), name, value, "0 seconds or more")
        _require(
            self.max_message_bytes >= 64 * 1024, "max_message_bytes", self.max_message_bytes, "65536 or more"
        )
        _require(
            self.max_client_bytes >= 1024 * 1024, "max_client_bytes", self.max_client_bytes, "1048576 or more"
        )
        _require(
            self.max_inflight_bytes >= self.max_client_bytes,
            "max_inflight_bytes",
            self.max_inflight_bytes,
            f"max_client_bytes, {self.max_client_bytes}, or more",
        )
        for name in ("max_result_bytes", "max_result_storage_bytes"):
            number: int = getattr(self, name)
            _require(number >= 0, name, number, "0 or more")

    @property
    def stream_grace(self) -> timedelta:
        """How long a session outlives a stream that broke."""
        return min(self.broken_stream_grace, self.lease)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ServiceSettings:
        """Return the settings that ``environment`` asks for, and after it the profile in the home.

        Raises:
            SettingError: A variable has a value that is not allowed, or the profile cannot be read.
        """
        home = Path(environment.get("CLEARWAY_HOME") or DEFAULT_HOME).expanduser()
        environment = _read_profile(home / PROFILE) | dict(environment)
        database = environment.get("CLEARWAY_DATABASE")
        defaults = cls()
        return cls(
            database=Path(database).expanduser() if database else home / "clearway.db",
            synchronous=(environment.get("CLEARWAY_SYNCHRONOUS") or defaults.synchronous).lower(),
            host=environment.get("CLEARWAY_HOST") or defaults.host,
            port=_integer(environment, "CLEARWAY_PORT", defaults.port),
            lease=_seconds(environment, "CLEARWAY_LEASE_SECONDS", defaults.lease),
            broken_stream_grace=_seconds(
                environment, "CLEARWAY_BROKEN_STREAM_GRACE_SECONDS", defaults.broken_stream_grace
            ),
            slot_retry_after=_seconds(
                environment, "CLEARWAY_SLOT_RETRY_AFTER_SECONDS", defaults.slot_retry_after
            ),
            max_slot_wait=_seconds(environment, "CLEARWAY_MAX_SLOT_WAIT_SECONDS", defaults.max_slot_wait),
            shutdown_grace=_seconds(environment, "CLEARWAY_SHUTDOWN_GRACE_SECONDS", defaults.shutdown_grace),
            max_connection_age=_seconds(
                environment, "CLEARWAY_MAX_CONNECTION_AGE_SECONDS", defaults.max_connection_age
            ),
            max_message_bytes=_integer(environment, "CLEARWAY_MAX_MESSAGE_BYTES", defaults.max_message_bytes),
            max_client_bytes=_integer(environment, "CLEARWAY_MAX_CLIENT_BYTES", defaults.max_client_bytes),
            max_inflight_bytes=_integer(
                environment, "CLEARWAY_MAX_INFLIGHT_BYTES", defaults.max_inflight_bytes
            ),
            max_result_bytes=_integer(environment, "CLEARWAY_MAX_RESULT_BYTES", defaults.max_result_bytes),
            max_result_storage_bytes=_integer(
                environment, "CLEARWAY_MAX_RESULT_STORAGE_BYTES", defaults.max_result_storage_bytes
            ),
            extend_leases=True,
        )


def _read_profile(path: Path) -> dict[str, str]:
    """Return a profile's settings as the variables that they stand for; none where there is no profile."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    import tomllib  # noqa: PLC0415 - few have a profile

    try:
        profile = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(path, error) from error
    return {f"CLEARWAY_{name.upper()}": str(value) for name, value in profile.items()}


def _unreadable(path: Path, error: Exception) -> SettingError:
    return SettingError(f"the profile {path} cannot be read: {error}")


def _require(condition: bool, name: str, value: object, right: str) -> None:
    if not condition:
        raise SettingError(f"{name} is {value}; it must be {right}")


def _integer(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise SettingError(f"{name} is {text!r}; it must be a whole number") from None


def _seconds(environment: Mapping[str, str], name: str, default: timedelta) -> timedelta:
    text = environment.get(name)
    if not text:
        return default
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        raise SettingError(f"{name} is {text!r}; it must be a number of seconds") from None
