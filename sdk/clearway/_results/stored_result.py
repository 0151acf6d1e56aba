"""A stored result: the reference in a run's state, and how the value is read back by it."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from clearway._base.locations import is_digest
from clearway._base.settings import get_settings
from clearway._base.unsigned import marked, marks_unsigned
from clearway._results import serializers
from clearway._results.folders import UnsafePathError
from clearway._results.known_storages import place_of, why_foreign
from clearway._results.storage import SizeMismatchError
from clearway._results.storages import digest_of, storage_for
from clearway.exceptions import MissingResult, UnreadableResult, UntrustedResult

if TYPE_CHECKING:
    from clearway._base.settings import Settings
    from clearway.run_errors import RunError
    from clearway.v1 import state_pb2

MEMORY: Final = "clearway.memory"
"""The encoding of a result that exists only in the memory of the run's process; the bytes say why."""

_UNREAD: Final = object()
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


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
        message = data_of(self.encoding, self.location, self.inline, self.size, self.sha256, self.compression)
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


StoredResult.__module__ = "clearway.results"


def data_of(
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


def signature_of(result: StoredResult, key: str) -> str:
    import hmac  # noqa: PLC0415 - few sign

    return hmac.new(key.encode(), result.signed_text().encode(), "sha256").hexdigest()


def _is_signed(result: StoredResult, key: str) -> bool:
    import hmac  # noqa: PLC0415 - as above

    # A line feed in one of these would let one signed text stand for another result. In the location it is
    # harmless, because that comes last.
    if "\n" in result.encoding or "\n" in result.compression or not is_digest(result.sha256):
        return False
    # As bytes, because compare_digest accepts only ASCII strings.
    return hmac.compare_digest(
        signature_of(result, key).encode(), result.signature.encode("utf-8", "replace")
    )
