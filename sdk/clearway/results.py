"""Results of runs: how they are stored, read back and verified.

A stored result is bytes with the name of their encoding, their size and their SHA-256. Small results are kept
in the run's state, in the service's database, where every client can read them. Larger ones go to a storage:
a directory on this machine, a URL that fsspec supports, or the service itself. ``docs/results.md`` explains
which storage to choose and which results to trust.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clearway._base.error_kinds import RunErrorKind
from clearway._base.settings import get_settings
from clearway._results import serializers
from clearway._results.known_storages import forget_place, register_place
from clearway._results.serializers import Serializer
from clearway._results.storages import digest_of, storage_for
from clearway._results.stored_result import MEMORY, StoredResult, data_of, signature_of
from clearway._settings.encodings import CLOUDPICKLE
from clearway._settings.paths import checked_place

if TYPE_CHECKING:
    from clearway._base.settings import Settings
    from clearway._results.orphans import OrphanedResult, delete_orphaned_results
    from clearway.v1 import state_pb2

__all__ = ["OrphanedResult", "Serializer", "StoredResult", "delete_orphaned_results", "register_serializer"]


_log = logging.getLogger("clearway.results")
_REMEMBERED: Final = 100_000
_MAX_WHY: Final = 2_000  # bytes


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
        message = data_of(encoding, location, inline, len(body), digest, compression)
        if self.settings.result_signing_key:
            result = StoredResult.from_proto(message)
            message.signature = signature_of(result, self.settings.result_signing_key)
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
