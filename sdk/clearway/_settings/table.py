"""The table of all settings, of the SDK, the command line, the engine and the server."""

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
    """What uses a setting."""

    ALL = "all parts"
    FLOWS = "flows, tasks and the command line"
    ENGINE = "the engine, embedded or in a server"
    SERVER = "the server alone"


class Setting(NamedTuple):
    """A setting.

    Attributes:
        name: Its name in the profile.
        part: What uses it.
        kind: What values it takes.
        default: Its value where none is given, as it would be written in a variable.
        what: What it says, in one clause of Markdown, for the docs.
        in_home: Whether the default is a path within the home.
        default_of: The setting whose value is the default, where ``default`` is empty.
        at_least: The setting that this one must not be below.
        empty: Whether an empty variable is a value; for other settings it counts as unset.
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
        """Its environment variable."""
        return f"{PREFIX}{self.name.upper()}"


_ALL: Final = (
    Setting(
        HOME,
        Part.ALL,
        PathValue(),
        "~/.clearway",
        f"where the database, results and `{PROFILE}` are; not a line of the profile itself",
    ),
)
_FLOWS: Final = (
    Setting(
        "address",
        Part.FLOWS,
        Address(),
        "",
        "`host:port` of the server; empty: the engine runs embedded",
        empty=True,
    ),
    Setting(
        "reconnect_timeout",
        Part.FLOWS,
        Seconds(0, _DAY),
        "60",
        "how long a server that was reached before may be away",
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
        "how long a task run's sync code, where it cannot be interrupted, has to end after its timeout",
    ),
    Setting(
        "tasks_refresh_cache",
        Part.FLOWS,
        Flag(),
        "false",
        "whether tasks without `refresh_cache` of their own run even if the cache has their key",
    ),
    Setting(
        "local_storage_path",
        Part.FLOWS,
        PathValue(),
        "storage",
        "the directory of results for which no other storage is set",
        in_home=True,
    ),
    Setting(
        "result_storage",
        Part.FLOWS,
        Place(),
        "",
        "where larger results are kept: a directory, a URL, or `service://` ([results](results.md))",
        default_of="local_storage_path",
    ),
    Setting(
        "result_extra_storages",
        Part.FLOWS,
        Places(),
        "",
        "further storages, those that other programs write to: results are read from them, and "
        "`clearway cache gc` deletes orphaned ones in them",
    ),
    Setting(
        "result_inline_bytes",
        Part.FLOWS,
        Whole(0, 65_536, "bytes"),
        "65536",
        "the largest result that travels within its state; 0 for none",
    ),
    Setting(
        "result_serializers",
        Part.FLOWS,
        Choices(*BUILT_IN),
        ",".join(BUILT_IN),
        "which serializers may be used, to write results and to read them",
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
        "the key by which results are signed and checked; empty for neither",
    ),
    Setting(
        "logging_level",
        Part.FLOWS,
        Level(),
        "INFO",
        "the least level of runs' log lines that are shown and sent",
    ),
    Setting(
        "logging_log_prints",
        Part.FLOWS,
        Flag(),
        "false",
        "whether `print()` in flows and tasks without `log_prints` of their own becomes log lines",
    ),
    Setting(
        "logging_extra_loggers",
        Part.FLOWS,
        Names(),
        "",
        "loggers whose lines are kept like a run's own if a run logs them",
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
        "whether tracebacks show the frames of Clearway itself too",
    ),
)
_ENGINE: Final = (
    Setting(
        "database",
        Part.ENGINE,
        DatabasePath(),
        "clearway.db",
        "the SQLite file; made if it does not exist",
        in_home=True,
    ),
    Setting(
        "synchronous",
        Part.ENGINE,
        Choice("normal", "full"),
        "normal",
        "what a decision outlives: `normal`, the end of any process; `full`, a power failure too "
        "([operations](operations.md))",
    ),
    Setting(
        "lease_seconds",
        Part.ENGINE,
        Seconds(1, _YEAR),
        "30",
        "how long a session outlives a silent client",
    ),
    Setting(
        "broken_stream_grace_seconds",
        Part.ENGINE,
        Seconds(0, _YEAR),
        "10",
        "how long a session outlives a stream that broke, at most its lease",
    ),
    Setting(
        "slot_retry_after_seconds",
        Part.ENGINE,
        Seconds(0, _YEAR),
        "30",
        "when a unary caller that does not wait in the queue should try again",
    ),
    Setting(
        "max_slot_wait_seconds",
        Part.ENGINE,
        Seconds(0, _YEAR),
        "3600",
        "how long a unary caller may wait in the queue",
    ),
    Setting(
        "max_result_bytes",
        Part.ENGINE,
        Whole(0, 2**50, "bytes"),
        str(2**30),
        "the largest result that `service://` takes",
    ),
    Setting(
        "max_result_storage_bytes",
        Part.ENGINE,
        Whole(0, 2**60, "bytes"),
        "0",
        "how much `service://` takes in all; 0 for no limit but the disk's",
    ),
)
_SERVER: Final = (
    Setting(
        "host",
        Part.SERVER,
        Host(),
        "127.0.0.1",
        "where the server listens",
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
        "how long calls may take after the server was told to stop",
    ),
    Setting(
        "max_connection_age_seconds",
        Part.SERVER,
        Seconds(0, 14 * _DAY),  # gRPC takes milliseconds in 32 bits
        "0",
        "how old a connection may be before its client has to open another, so that load balancers spread "
        "clients again; 0 for any age",
    ),
    Setting(
        "max_message_bytes",
        Part.SERVER,
        Whole(65_536, 2**31 - 1, "bytes"),
        str(16 * _MIB),
        "the largest message that the server takes",
    ),
    Setting(
        "max_client_bytes",
        Part.SERVER,
        Whole(_MIB, 2**50, "bytes"),
        str(32 * _MIB),
        "how much one client may have under way, half of it in requests, half in decisions "
        "([operations](operations.md#memory))",
    ),
    Setting(
        "max_inflight_bytes",
        Part.SERVER,
        Whole(_MIB, 2**50, "bytes"),
        str(256 * _MIB),
        "how much all clients may have under way together; at least `max_client_bytes`",
        at_least="max_client_bytes",
    ),
)

TABLE: Final = {setting.name: setting for setting in (*_ALL, *_FLOWS, *_ENGINE, *_SERVER)}
"""All settings by name, in the order of the docs."""


def names_of(*parts: Part) -> tuple[str, ...]:
    """Return the names of the settings that some parts use."""
    return tuple(name for name, setting in TABLE.items() if setting.part in parts)
