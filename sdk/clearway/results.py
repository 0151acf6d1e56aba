"""Results of runs, kept as files that are named by what they hold.

A result is JSON where JSON holds it exactly, and cloudpickle otherwise. The service keeps a reference to it
only.
Loading a cloudpickle result runs code that is in it: use storage that only trusted people can write to.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clearway import _cloudpickle
from clearway._json_values import dump_json, is_exact_json
from clearway._settings import get_settings
from clearway.exceptions import MissingResult

if TYPE_CHECKING:
    from clearway.run_errors import RunError
    from clearway.v1 import state_pb2

_log = logging.getLogger("clearway.results")

JSON: Final = "json"
CLOUDPICKLE: Final = "cloudpickle"
_REMEMBERED: Final = 100_000
_UNREAD: Final = object()


@dataclass(frozen=True, slots=True)
class StoredResult:
    """Where a result is, and what it must be when it is read.

    Attributes:
        encoding: How the bytes were made.
        location: The file with the bytes; empty where they are in ``inline``.
        inline: The bytes themselves; None where they are at ``location``.
        size: Their number.
        sha256: Their SHA-256, hexadecimal; empty where it was not computed.
        error: The exception that a run ended with, in its portable form; None where it ended otherwise.
    """

    encoding: str
    location: str = ""
    inline: bytes | None = None
    size: int = 0
    sha256: str = ""
    error: RunError | None = None
    _value: list[Any] = field(default_factory=lambda: [_UNREAD], init=False, repr=False, compare=False)

    def load(self) -> Any:
        """Return the value, read once and then kept.

        Raises:
            MissingResult: The bytes are gone, damaged, or cannot be understood.
        """
        if self._value[0] is _UNREAD:
            self._value[0] = _decode(self, self._read())
        return self._value[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredResult, (
            self.encoding,
            self.location,
            self.inline,
            self.size,
            self.sha256,
            self.error,
        )

    def _read(self) -> bytes:
        if self.inline is not None:
            body = self.inline
        elif not self.location:
            raise MissingResult("the exception could not be pickled where it was raised")
        else:
            try:
                body = Path(self.location).read_bytes()
            except OSError as error:
                raise MissingResult(
                    f"the result expected at {self.location} cannot be read: {error.strerror or error}; "
                    "was the storage removed, or is it on another machine?",
                    self.location,
                ) from error
        if self.sha256 and (len(body) != self.size or sha256(body).hexdigest() != self.sha256):
            where = self.location or "the state itself"
            raise MissingResult(
                f"the result in {where} is damaged: it is not the {self.size} bytes that were written",
                self.location,
            )
        return body

    def to_proto(self) -> state_pb2.Data:
        """Return the protocol's message."""
        from clearway.v1.state_pb2 import Data  # noqa: PLC0415 - messages are loaded when first needed

        message = Data(encoding=self.encoding, size=self.size, sha256=self.sha256)
        if self.inline is not None:
            message.inline = self.inline
        elif self.location:
            message.location = self.location
        if self.error is not None:
            message.error.CopyFrom(self.error.to_proto())
        return message

    @staticmethod
    def from_proto(message: state_pb2.Data) -> StoredResult:
        """Return the reference in a message."""
        inline = message.inline if message.WhichOneof("body") == "inline" else None
        error = None
        if message.HasField("error"):
            from clearway.run_errors import RunError  # noqa: PLC0415 - most runs have none

            error = RunError.from_proto(message.error)
        return StoredResult(message.encoding, message.location, inline, message.size, message.sha256, error)


class ResultStore:
    """Writes and reads results in a directory. Safe for use by many threads and processes at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: set[str] = set()

    def store(self, value: Any) -> state_pb2.Data:
        """Write a value, unless this process has written an equal one.

        Returns:
            The reference for a state's data.

        Raises:
            TypeError: The value can be held by neither JSON nor cloudpickle.
            OSError: The file cannot be written.
        """
        if is_exact_json(value):
            return self._write(JSON, dump_json(value).encode("ascii"))
        return self._write(CLOUDPICKLE, _pickle(value))

    def store_exception(self, error: BaseException) -> state_pb2.Data:
        """Write an exception, where it can be pickled and read back.

        Returns:
            The reference for a state's data, with the exception's portable form; that alone where the
            exception cannot be written.
        """
        from clearway.run_errors import RunError  # noqa: PLC0415 - most runs have none
        from clearway.v1.state_pb2 import Data  # noqa: PLC0415 - messages are loaded when first needed

        report = RunError.from_exception(error)
        body = _pickle_exception(error)
        try:
            data = Data() if body is None else self._write(CLOUDPICKLE, body)
        except OSError as failure:
            _log.warning("the exception %s is kept in its portable form only: %s", report.type_name, failure)
            data = Data()
        data.error.CopyFrom(report.to_proto())
        return data

    def load(self, data: state_pb2.Data | StoredResult) -> Any:
        """Return the value of a reference.

        Raises:
            MissingResult: The bytes are gone, damaged, or cannot be understood.
        """
        result = data if isinstance(data, StoredResult) else StoredResult.from_proto(data)
        try:
            return result.load()
        except MissingResult:
            self._written.discard(result.sha256)  # so that storing it again repairs it
            raise

    def _write(self, encoding: str, body: bytes) -> state_pb2.Data:
        from clearway.v1.state_pb2 import Data  # noqa: PLC0415 - messages are loaded when first needed

        digest = sha256(body).hexdigest()
        folder = f"{self._directory}/{digest[:2]}"  # a hot path, for which pathlib is slow
        target = f"{folder}/{digest}"
        if digest not in self._written:
            _write_atomically(folder, target, body)
            if len(self._written) >= _REMEMBERED:
                self._written.clear()
            self._written.add(digest)
        return Data(encoding=encoding, location=target, size=len(body), sha256=digest)


def _write_atomically(folder: str, target: str, body: bytes) -> None:
    """Write a file that others see whole or not at all."""
    temporary = f"{target}.{os.getpid()}-{threading.get_ident()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        descriptor = os.open(temporary, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
        descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            view = memoryview(body)
            while view:
                view = view[file.write(view) :]
        os.replace(temporary, target)  # noqa: PTH105 - a hot path
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _pickle(value: Any) -> bytes:
    try:
        return _cloudpickle.dumps(value)
    except Exception as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(
            f"the result, a {kind}, cannot be kept: neither JSON nor cloudpickle can hold it ({error}); "
            "return something that can be pickled, such as plain data"
        ) from error


def _pickle_exception(error: BaseException) -> bytes | None:
    try:
        body = _cloudpickle.dumps(error)
        read_back = _cloudpickle.loads(
            body
        )  # many an exception's __init__ wants other arguments than it kept
    except Exception:  # noqa: BLE001 - a user's class may raise whatever it likes here
        return None
    return body if type(read_back) is type(error) else None


def _decode(result: StoredResult, body: bytes) -> Any:
    try:
        if result.encoding == JSON:
            return json.loads(body)
        if result.encoding == CLOUDPICKLE:
            return _cloudpickle.loads(body)
    except Exception as error:
        where = result.location or "the state itself"
        raise MissingResult(
            f"the {result.encoding} result in {where} cannot be loaded: {type(error).__name__}: {error}",
            result.location,
        ) from error
    raise MissingResult(
        f"the result has the encoding {result.encoding!r}, which Python's SDK cannot read; "
        f"it reads {JSON} and {CLOUDPICKLE}",
        result.location,
    )


_stores: dict[Path, ResultStore] = {}


def get_store() -> ResultStore:
    """Return this process's store, in the directory that the settings name."""
    directory = get_settings().local_storage_path
    return _stores.get(directory) or _stores.setdefault(directory, ResultStore(directory))


def forget_store(directory: Path) -> None:
    """Forget what was written in a directory, since it is gone. For tests."""
    _stores.pop(directory, None)
