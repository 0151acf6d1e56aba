"""Manifest: the contents of a backup, with each file's size and SHA-256. It is the archive's last file."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from clearway_service.backup.errors import BackupError, DamagedBackupError, LaterBackupError

FORMAT = 1
MANIFEST, DATABASE, RESULTS = "manifest.json", "clearway.db", "results"
# Enough for some two million results.
MAX_BYTES = 512 * 1024 * 1024

_SHA256 = re.compile("[0-9a-f]{64}")
_RESULT_NAME = re.compile(f"{RESULTS}/([0-9a-f]{{2}})/(\\1[0-9a-f]{{62}})")
_CHECKSUM = "checksum"

T = TypeVar("T")


class Entry(NamedTuple):
    """A file of a backup: its size and SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The contents of a backup.

    Attributes:
        clearway: The version that made it.
        schema: The database's revision.
        created: When the database's snapshot was taken, in UTC.
        flow_runs: The number of flow runs in the database.
        task_runs: The number of task runs in the database.
        with_results: Whether the results of the service's own storage were to be included.
        files: All files except this one, by name.
        missing_results: The SHA-256 of results that the database refers to and that did not exist.
        damaged_results: The same for results with other bytes, or that were not regular files.
    """

    clearway: str
    schema: str
    created: str
    flow_runs: int
    task_runs: int
    with_results: bool
    files: dict[str, Entry]
    missing_results: list[str]
    damaged_results: list[str]

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON.

        Raises:
            BackupError: It has more results than a backup can hold.
        """
        body: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        body["files"] = {name: entry._asdict() for name, entry in self.files.items()}
        body[_CHECKSUM] = _checksum(body)
        written = json.dumps(body, indent=1).encode()
        if len(written) > MAX_BYTES:
            raise BackupError(
                f"there are {len(self.files) - 1:,} results, more than a backup can hold; leave them out "
                "with --no-results and copy their folder separately"
            )
        return written

    @classmethod
    def from_bytes(cls, text: bytes) -> Manifest:
        """Return the manifest in ``text``.

        Raises:
            LaterBackupError: It is of a later format.
            DamagedBackupError: It is not a manifest, or not what was written.
        """
        try:
            body: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DamagedBackupError(f"its {MANIFEST} cannot be read") from error
        if not isinstance(body, dict):
            raise DamagedBackupError(f"its {MANIFEST} is not a JSON object")
        format_ = _get(body, "format", int)
        if format_ != FORMAT:
            raise LaterBackupError(
                f"it has the backup format {format_}, and this version of Clearway reads {FORMAT}: use the "
                f"version that made it ({str(body.get('clearway'))[:40]!r}), or a later one"
            )
        if body.pop(_CHECKSUM, None) != _checksum(body):
            raise DamagedBackupError(f"its {MANIFEST} is not what was written: the checksum differs")
        return cls(
            clearway=_get(body, "clearway", str),
            schema=_get(body, "schema", str),
            created=_get(body, "created", str),
            flow_runs=_get(body, "flow_runs", int),
            task_runs=_get(body, "task_runs", int),
            with_results=_get(body, "with_results", bool),
            files=_files(_get(body, "files", dict)),
            missing_results=_digests(body, "missing_results"),
            damaged_results=_digests(body, "damaged_results"),
        )


def result_name(digest: str) -> str:
    """Return the name of a result's file."""
    return f"{RESULTS}/{digest[:2]}/{digest}"


def _checksum(body: dict[str, Any]) -> str:
    return sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _get(body: dict[str, Any], name: str, kind: type[T]) -> T:
    value = body.get(name)
    if type(value) is not kind:
        raise DamagedBackupError(f"its {MANIFEST} has no valid {name!r}")
    return value


def _digests(body: dict[str, Any], name: str) -> list[str]:
    digests = _get(body, name, list)
    if not all(isinstance(each, str) and _SHA256.fullmatch(each) for each in digests):
        raise DamagedBackupError(f"its {MANIFEST} has no valid {name!r}")
    return digests


def _files(found: dict[str, Any]) -> dict[str, Entry]:
    files = {}
    for name, entry in found.items():
        if not isinstance(entry, dict):
            raise DamagedBackupError(f"its {MANIFEST} has no valid entry for {name[:80]!r}")
        size, digest = _get(entry, "size", int), _get(entry, "sha256", str)
        result = _RESULT_NAME.fullmatch(name)
        if name != DATABASE and not (result and result[2] == digest):
            raise DamagedBackupError(f"{name[:80]!r} is not a file of a backup")
        files[name] = Entry(size, digest)
    if DATABASE not in files:
        raise DamagedBackupError(f"its {MANIFEST} lists no {DATABASE}")
    return files
