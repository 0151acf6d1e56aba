"""Results of runs: how they are stored, read back and verified.

A stored result is bytes with the name of their encoding, their size and their SHA-256. Small results are kept
in the run's state, in the service's database, where every client can read them. Larger ones go to a storage:
a directory on this machine, a URL that fsspec supports, or the service itself. ``docs/results.md`` explains
which storage to choose and which results to trust.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clearway._base.error_kinds import RunErrorKind
from clearway._base.locations import is_digest
from clearway._base.settings import get_settings
from clearway._base.unsigned import marked, marks_unsigned
from clearway._results import serializers
from clearway._results.folders import UnsafePathError
from clearway._results.known_storages import forget_place, place_of, register_place, why_foreign
from clearway._results.serializers import Serializer
from clearway._results.storage import SizeMismatchError
from clearway._results.storages import digest_of, storage_for
from clearway._settings.encodings import CLOUDPICKLE
from clearway._settings.paths import checked_place
from clearway.exceptions import MissingResult, UnreadableResult, UntrustedResult

if TYPE_CHECKING:
    from clearway._base.settings import Settings
    from clearway._results.orphans import OrphanedResult, delete_orphaned_results
    from clearway.run_errors import RunError
    from clearway.v1 import state_pb2

__all__ = ["OrphanedResult", "Serializer", "StoredResult", "delete_orphaned_results", "register_serializer"]

MEMORY: Final = "clearway.memory"
"""The encoding of a result that exists only in the memory of the run's process; the bytes say why."""

_log = logging.getLogger("clearway.results")
_REMEMBERED: Final = 100_000
_MAX_WHY: Final = 2_000  # bytes
_UNREAD: Final = object()
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def register_serializer(
    name: str,
    takes: type | tuple[type, ...],
    dumps: Callable[[Any], bytes],
    loads: Callable[[bytes], Any],
) -> None:
    """Register a serializer for results of certain types, in this process.

    Every process that reads such results must register a serializer under the same name.

        register_serializer("arrow", pa.Table, table_to_bytes, table_from_bytes)

    Args:
        name: The encoding's name, 1 to 64 characters; ``json``, ``bytes`` and ``cloudpickle`` are taken.
        takes: The type or types to serialize, including their subclasses.
        dumps: Converts a value to bytes.
        loads: Converts these bytes back to the value.

    Raises:
        ValueError: The name is not allowed.
    """
    types = takes if isinstance(takes, tuple) else (takes,)
    serializers.add_serializer(Serializer(name, types, dumps, loads))


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A reference to a stored result, with the facts to verify it by.

    Attributes:
        encoding: The name of the serializer, such as ``json`` or ``cloudpickle``.
        location: The path or URL of the bytes; empty if they are in ``inline``. It is read only if it is the
            location of a result with this SHA-256 in a storage that this process is configured with.
        inline: The bytes themselves; None if they are at ``location``.
        size: The number of bytes.
        sha256: Their SHA-256, in hexadecimal; empty if it was not computed.
        compression: The name of their compression; empty if they are not compressed.
        signature: Their HMAC, in hexadecimal; empty if they are not signed.
        error: The portable form of the exception that the run ended with; None if it ended without one.
    """

    encoding: str
    location: str = ""
    inline: bytes | None = None
    size: int = 0
    sha256: str = ""
    compression: str = ""
    signature: str = ""
    error: RunError | None = None
    _value: list[Any] = field(default_factory=lambda: [_UNREAD], init=False, repr=False, compare=False)

    def load(self, *, own_only: bool = False) -> Any:
        """Return the value. The first call reads it; later calls return the same object.

        Args:
            own_only: What to do with an instance of a class from another process's main program, if this
                process's main program has no class of that name with the same fields: True refuses it, False,
                the default, creates such a class.

        Raises:
            MissingResult: The bytes are gone, damaged, or cannot be decoded.
            UntrustedResult: Reading them is refused; nothing was read.
            UnreadableResult: They cannot be read for now; try again later.
        """
        if self._value[0] is _UNREAD:
            self._value[0] = self._decoded(self._read(get_settings()), own_only)
        return self._value[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredResult, (
            self.encoding,
            self.location,
            self.inline,
            self.size,
            self.sha256,
            self.compression,
            self.signature,
            self.error,
        )

    @property
    def where(self) -> str:
        """Where the bytes are, for use in messages."""
        return self.location or "the state itself"

    def signed_text(self) -> str:
        """Return the text that the signature covers; see ``Data.signature`` in the protocol."""
        return f"{self.encoding}\n{self.compression}\n{self.size}\n{self.sha256}\n{self.location}"

    def _read(self, settings: Settings) -> bytes:
        if self.encoding == MEMORY:
            why = marked((self.inline or b"").decode("utf-8", "replace"))
            raise MissingResult(f"the result is only in the memory of the process that ran the run: {why}")
        self._refuse_untrusted(settings)
        if self.size < 0:
            raise MissingResult(
                f"the result in {self.where} is damaged: its reference gives its size as {self.size:,} bytes",
                self.location,
            )
        if self.inline is not None:
            body = self.inline
        elif not self.location:
            raise MissingResult("the exception could not be pickled where it was raised")
        else:
            body = self._fetched(settings)
        if self.sha256 and (len(body) != self.size or digest_of(body) != self.sha256):
            raise self._damaged()
        return body

    def _fetched(self, settings: Settings) -> bytes:
        """Return the bytes that the storage has under this SHA-256; the location itself is never opened."""
        place = place_of(self.location, self.sha256, settings)
        if place is None:
            raise UntrustedResult(
                f"the result expected at {self.location} is not read: it "
                f"{why_foreign(self.location, self.sha256, settings)}",
                self.location,
            )
        try:
            return storage_for(place).read(self.sha256, self.size)
        except SizeMismatchError as error:
            raise self._damaged() from error
        except UnsafePathError as error:
            raise UntrustedResult(
                f"the result expected at {self.location} is not read: {error}", self.location
            ) from error
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingResult(
                f"the result expected at {self.location} cannot be read: {error.strerror or error}; "
                "was the storage removed, or is it on another machine?",
                self.location,
            ) from error
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error

    def _unreadable(self, why: str) -> UnreadableResult:
        return UnreadableResult(
            f"the result in {self.where} cannot be read at present: {why}; "
            "it may well be there, so it is not computed again",
            self.location,
        )

    def _damaged(self) -> MissingResult:
        return MissingResult(
            f"the result in {self.where} is damaged: it is not the {self.size} bytes that were written",
            self.location,
        )

    def _refuse_untrusted(self, settings: Settings) -> None:
        if not serializers.may_read(self.encoding, settings.result_serializers):
            raise UntrustedResult(
                f"the result in {self.where} is of the kind {self.encoding}, which the setting "
                f"CLEARWAY_RESULT_SERIALIZERS does not allow; it allows "
                f"{', '.join(sorted(settings.result_serializers))}",
                self.location,
            )
        if settings.result_signing_key:
            why = ""
            if not self.signature:
                why = "is not signed"
            elif not _is_signed(self, settings.result_signing_key):
                why = "has a signature that was made with another key, or for another result"
            if why:
                raise UntrustedResult(
                    f"the result in {self.where} {why}, and the setting CLEARWAY_RESULT_SIGNING_KEY is set, "
                    "so only results that were signed with it are read",
                    self.location,
                )

    def _decoded(self, body: bytes, own_only: bool) -> Any:
        try:
            most = get_settings().result_max_decompressed_bytes
            whole = serializers.decompress(body, self.compression, most)
            return serializers.decode(self.encoding, whole, own_only=own_only)
        except Exception as error:
            # Unpickling may import a module, which needs file descriptors too.
            if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _EXHAUSTED):
                raise self._unreadable(f"{type(error).__name__}: {error}") from error
            why = str(error) if type(error) is LookupError else f"{type(error).__name__}: {error}"
            raise MissingResult(
                f"the {self.encoding} result in {self.where} cannot be loaded: {why}", self.location
            ) from error

    def to_proto(self) -> state_pb2.Data:
        """Return the reference as a protocol message."""
        message = _data(self.encoding, self.location, self.inline, self.size, self.sha256, self.compression)
        if self.signature:
            message.signature = self.signature
        if self.error is not None:
            message.error.CopyFrom(self.error.to_proto())
        return message

    @staticmethod
    def from_proto(message: state_pb2.Data) -> StoredResult:
        """Return the reference that a protocol message holds."""
        inline = message.inline if message.WhichOneof("body") == "inline" else None
        error = None
        if message.HasField("error"):
            from clearway.run_errors import RunError  # noqa: PLC0415 - most runs have none

            error = RunError.from_proto(message.error, unsigned=marks_unsigned())
        return StoredResult(
            message.encoding,
            message.location,
            inline,
            message.size_bytes,
            message.sha256,
            message.compression,
            message.signature,
            error,
        )


class ResultStore:
    """Stores results: small ones in the run's state, larger ones in a storage. Thread-safe.

    Args:
        place: The storage, as ``checked_place`` returns it.
        settings: The settings of this process.
    """

    def __init__(self, place: str, settings: Settings) -> None:
        self.settings = settings
        self._storage = storage_for(place)
        register_place(place)  # so that this process may read what it writes
        self._written: set[str] = set()

    def store(self, value: Any) -> state_pb2.Data:
        """Store a value, unless this process has already stored the same bytes.

        Returns:
            The reference to put in a state's ``data``.

        Raises:
            TypeError: None of the allowed serializers can serialize the value.
            OSError: The storage cannot be written to.
        """
        return self._keep(*serializers.encode(value, self.settings.result_serializers))

    def store_exception(
        self,
        error: BaseException,
        kind: RunErrorKind = RunErrorKind.APPLICATION,
        *,
        pickled: bool = True,
    ) -> state_pb2.Data:
        """Store an exception, if it can be pickled and unpickled.

        Args:
            error: The exception.
            kind: What kind of error it is.
            pickled: False stores its portable form only.

        Returns:
            The reference to put in a state's ``data``. It always has the exception's portable form, and
            nothing else if the exception cannot be stored.
        """
        from clearway.run_errors import RunError  # noqa: PLC0415 - most runs have none
        from clearway.v1.state_pb2 import Data  # noqa: PLC0415 - messages are loaded when first needed

        report = RunError.from_exception(error, kind)
        body = serializers.encode_exception(error, self.settings.result_serializers) if pickled else None
        try:
            data = Data() if body is None else self._keep(CLOUDPICKLE, body)
        except OSError as failure:
            _log.warning("the exception %s is kept in its portable form only: %s", report.type_name, failure)
            data = Data()
        data.error.CopyFrom(report.to_proto())
        return data

    def load(self, data: state_pb2.Data | StoredResult) -> Any:
        """Return the value that a reference refers to.

        Raises:
            MissingResult: The bytes are gone, damaged, or cannot be decoded.
            UntrustedResult: Reading them is refused; nothing was read.
            UnreadableResult: They cannot be read for now; try again later.
        """
        result = data if isinstance(data, StoredResult) else StoredResult.from_proto(data)
        return result.load()

    def forget(self, result: StoredResult) -> None:
        """Forget that a result was written, since it is gone or damaged: storing it again will rewrite it."""
        self._written.discard(result.sha256)

    def _keep(self, encoding: str, encoded: bytes) -> state_pb2.Data:
        compression, body = self._compressed(encoded)
        digest = digest_of(body)
        inline = body if len(body) <= self.settings.result_inline_bytes else None
        location = "" if inline is not None else self._place(digest, body)
        message = _data(encoding, location, inline, len(body), digest, compression)
        if self.settings.result_signing_key:
            result = StoredResult.from_proto(message)
            message.signature = _signature(result, self.settings.result_signing_key)
        return message

    def _compressed(self, encoded: bytes) -> tuple[str, bytes]:
        settings = self.settings
        return serializers.compress(
            encoded, settings.result_compression, settings.result_max_decompressed_bytes
        )

    def _place(self, digest: str, body: bytes) -> str:
        # `clearway cache gc` in another process may have deleted it since it was written.
        if digest not in self._written or not self._storage.holds(digest, len(body)):
            self._storage.write(digest, body)
            if len(self._written) >= _REMEMBERED:
                self._written.clear()
            self._written.add(digest)
        return self._storage.location(digest)


def _data(
    encoding: str, location: str, inline: bytes | None, size: int, sha256: str, compression: str
) -> state_pb2.Data:
    from clearway.v1.state_pb2 import Data  # noqa: PLC0415 - messages are loaded when first needed

    message = Data(encoding=encoding, size_bytes=size, sha256=sha256)
    if inline is not None:
        message.inline = inline
    elif location:
        message.location = location
    if compression:
        message.compression = compression
    return message


def _signature(result: StoredResult, key: str) -> str:
    import hmac  # noqa: PLC0415 - few sign

    return hmac.new(key.encode(), result.signed_text().encode(), "sha256").hexdigest()


def _is_signed(result: StoredResult, key: str) -> bool:
    import hmac  # noqa: PLC0415 - as above

    # A line feed in one of these would let one signed text stand for another result. In the location it is
    # harmless, because that comes last.
    if "\n" in result.encoding or "\n" in result.compression or not is_digest(result.sha256):
        return False
    # As bytes, because compare_digest accepts only ASCII strings.
    return hmac.compare_digest(_signature(result, key).encode(), result.signature.encode("utf-8", "replace"))


_stores: dict[str, ResultStore] = {}


def get_store(place: str | os.PathLike[str] | None = None) -> ResultStore:
    """Return this process's result store for a storage.

    Args:
        place: A directory or URL; None, the default, is the setting ``CLEARWAY_RESULT_STORAGE``.

    Raises:
        ValueError: ``place`` is neither a directory nor a URL.
    """
    settings = get_settings()
    chosen = settings.result_storage if place is None else checked_place(place)
    store = _stores.get(chosen)
    if store is None or store.settings is not settings:
        store = _stores[chosen] = ResultStore(chosen, settings)
    return store


def in_memory(why: str) -> state_pb2.Data:
    """Return the data of a state whose result is not stored; ``why`` is the reason that readers are given."""
    body = why.encode()[:_MAX_WHY]
    return StoredResult(MEMORY, "", body, len(body), digest_of(body)).to_proto()


def forget_damaged(result: StoredResult) -> None:
    """Allow this process to write a result again that is gone or damaged, in any storage."""
    for store in list(_stores.values()):
        store.forget(result)


def forget_store(directory: Path) -> None:
    """Forget what was written to a directory that was removed. For tests."""
    _stores.pop(str(directory), None)
    forget_place(str(directory))


def __getattr__(name: str) -> Any:
    if name in {"OrphanedResult", "delete_orphaned_results"}:
        from clearway._results import orphans  # noqa: PLC0415 - seldom wanted

        return getattr(orphans, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
