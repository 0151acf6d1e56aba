"""The table of all settings of the SDK, the command line, the engine and the server."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from clearway._settings.encodings import BUILT_IN, COMPRESSIONS
from clearway._settings.kinds import (
    Address,
    Choice,
    Choices,
    DatabasePath,
    Flag,
    Host,
    Kind,
    Level,
    Names,
    PathValue,
    Place,
    Places,
    Seconds,
    Secret,
    Whole,
)

PREFIX: Final = "CLEARWAY_"
HOME: Final = "home"
PROFILE: Final = "profile.toml"

_DAY: Final = 86_400
_YEAR: Final = 365 * _DAY
_MIB: Final = 2**20


class Part(Enum):
    """The part of Clearway that uses a setting."""

    ALL = "all parts"
    FLOWS = "flows, tasks and the command line"
    ENGINE = "the engine, embedded or in a server"
    SERVER = "the server alone"


class Setting(NamedTuple):
    """A setting.

    Attributes:
        name: The name in the profile.
        part: The part of Clearway that uses it.
        kind: The kind of values that it takes.
        default: The default value, as the text of a variable.
        what: What the setting means, as one clause of Markdown for the docs.
        in_home: True if the default is a path relative to the home.
        default_of: The name of another setting whose value is the default; empty if ``default`` is.
        at_least: The name of another setting, whose value is the minimum; empty for none.
        empty: True if an empty variable is a value; for other settings it counts as unset.
    """

    name: str
    part: Part
    kind: Kind
    default: str
    what: str
    in_home: bool = False
    default_of: str = ""
    at_least: str = ""
    empty: bool = False

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return f"{PREFIX}{self.name.upper()}"


_ALL: Final = (
    Setting(
        HOME,
        Part.ALL,
        PathValue(),
        "~/.clearway",
        f"the folder of the database, the results and `{PROFILE}`; cannot be set in the profile itself",
    ),
)
_FLOWS: Final = (
    Setting(
        "address",
        Part.FLOWS,
        Address(),
        "",
        "the server's `host:port`; if empty, the engine runs embedded",
        empty=True,
    ),
    Setting(
        "reconnect_timeout",
        Part.FLOWS,
        Seconds(0, _DAY),
        "60",
        "how long to wait for a server that has become unreachable",
    ),
    Setting(
        "max_threads",
        Part.FLOWS,
        Whole(1, 10_000, "threads"),
        "64",
        "how many sync tasks of a flow run at once",
    ),
    Setting(
        "timeout_grace",
        Part.FLOWS,
        Seconds(0, _DAY),
        "10",
        "how long a task run waits after its timeout for sync code that cannot be interrupted",
    ),
    Setting(
        "tasks_refresh_cache",
        Part.FLOWS,
        Flag(),
        "false",
        "whether tasks that do not set `refresh_cache` run even if their result is cached",
    ),
    Setting(
        "local_storage_path",
        Part.FLOWS,
        PathValue(),
        "storage",
        "the directory for results if no other storage is set",
        in_home=True,
    ),
    Setting(
        "result_storage",
        Part.FLOWS,
        Place(),
        "",
        "where larger results are stored: a directory, a URL, or `service://` ([results](results.md))",
        default_of="local_storage_path",
    ),
    Setting(
        "result_extra_storages",
        Part.FLOWS,
        Places(),
        "",
        "further storages, which other programs write to: results are read from them, and "
        "`clearway cache gc` deletes orphaned results in them",
    ),
    Setting(
        "result_inline_bytes",
        Part.FLOWS,
        Whole(0, 65_536, "bytes"),
        "65536",
        "the largest result that is kept in the run's state; 0 for none",
    ),
    Setting(
        "result_serializers",
        Part.FLOWS,
        Choices(*BUILT_IN),
        ",".join(BUILT_IN),
        "the serializers that may be used to write and read results",
    ),
    Setting(
        "result_compression",
        Part.FLOWS,
        Choice(*COMPRESSIONS),
        "none",
        "how results are compressed",
    ),
    Setting(
        "result_max_decompressed_bytes",
        Part.FLOWS,
        Whole(1, 2**50, "bytes"),
        str(2**30),
        "the largest size of a compressed result once it is decompressed",
    ),
    Setting(
        "result_signing_key",
        Part.FLOWS,
        Secret(),
        "",
        "the key that signs results and verifies their signatures; empty for no signatures",
    ),
    Setting(
        "logging_level",
        Part.FLOWS,
        Level(),
        "INFO",
        "the lowest level of runs' log lines that are shown and sent to the service",
    ),
    Setting(
        "logging_log_prints",
        Part.FLOWS,
        Flag(),
        "false",
        "whether `print()` in flows and tasks that do not set `log_prints` is logged",
    ),
    Setting(
        "logging_extra_loggers",
        Part.FLOWS,
        Names(),
        "",
        "loggers whose lines are sent to the service like a run's own if a run logs them",
    ),
    Setting(
        "display",
        Part.FLOWS,
        Choice("auto", "always", "never"),
        "auto",
        "when progress is drawn on the terminal",
    ),
    Setting(
        "debug",
        Part.FLOWS,
        Flag(),
        "false",
        "whether tracebacks include Clearway's own frames",
    ),
)
_ENGINE: Final = (
    Setting(
        "database",
        Part.ENGINE,
        DatabasePath(),
        "clearway.db",
        "the SQLite file; created if it does not exist",
        in_home=True,
    ),
    Setting(
        "synchronous",
        Part.ENGINE,
        Choice("normal", "full"),
        "normal",
        "what a decision survives: `normal`, a crash of any process; `full`, a power failure too "
        "([operations](operations.md))",
    ),
    Setting(
        "lease_seconds",
        Part.ENGINE,
        Seconds(1, _YEAR),
        "30",
        "how long a session lasts without a heartbeat from its client",
    ),
    Setting(
        "broken_stream_grace_seconds",
        Part.ENGINE,
        Seconds(0, _YEAR),
        "10",
        "how long a session lasts after its stream broke, at most its lease",
    ),
    Setting(
        "slot_retry_after_seconds",
        Part.ENGINE,
        Seconds(0, _YEAR),
        "30",
        "how soon a unary caller that does not wait in the queue should try again",
    ),
    Setting(
        "max_slot_wait_seconds",
        Part.ENGINE,
        Seconds(0, _YEAR),
        "3600",
        "how long a unary call may wait in the queue",
    ),
    Setting(
        "max_result_bytes",
        Part.ENGINE,
        Whole(0, 2**50, "bytes"),
        str(2**30),
        "the largest result that `service://` accepts",
    ),
    Setting(
        "max_result_storage_bytes",
        Part.ENGINE,
        Whole(0, 2**60, "bytes"),
        "0",
        "the total size of all results in `service://`; 0 for no limit except the disk's",
    ),
)
_SERVER: Final = (
    Setting(
        "host",
        Part.SERVER,
        Host(),
        "127.0.0.1",
        "the network interface that the server listens on",
    ),
    Setting(
        "port",
        Part.SERVER,
        Whole(0, 65_535),
        "4200",
        "the port that it listens on; 0 picks a free one",
    ),
    Setting(
        "shutdown_grace_seconds",
        Part.SERVER,
        Seconds(0, _DAY),
        "10",
        "how long calls in progress may take when the server shuts down",
    ),
    Setting(
        "max_connection_age_seconds",
        Part.SERVER,
        Seconds(0, 14 * _DAY),  # gRPC counts it in milliseconds in 32 bits
        "0",
        "the age at which a client must open its connection again, so that load balancers redistribute "
        "clients; 0 for no limit",
    ),
    Setting(
        "max_message_bytes",
        Part.SERVER,
        Whole(65_536, 2**31 - 1, "bytes"),
        str(16 * _MIB),
        "the largest message that the server accepts",
    ),
    Setting(
        "max_client_bytes",
        Part.SERVER,
        Whole(_MIB, 2**50, "bytes"),
        str(32 * _MIB),
        "how much one client may have in flight, half of it in requests and half in decisions "
        "([operations](operations.md#memory))",
    ),
    Setting(
        "max_inflight_bytes",
        Part.SERVER,
        Whole(_MIB, 2**50, "bytes"),
        str(256 * _MIB),
        "how much all clients together may have in flight; at least `max_client_bytes`",
        at_least="max_client_bytes",
    ),
)

TABLE: Final = {setting.name: setting for setting in (*_ALL, *_FLOWS, *_ENGINE, *_SERVER)}
"""All settings by name, in the order of the docs."""


def names_of(*parts: Part) -> tuple[str, ...]:
    """Return the names of the settings that the given parts use."""
    return tuple(name for name, setting in TABLE.items() if setting.part in parts)
