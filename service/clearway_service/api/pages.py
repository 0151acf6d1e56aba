"""Pages of lists: their size, their start, and the token for the next page.

A token contains the position where its page ended, and a digest of the request without its page fields. So a
token that is used with other filters is rejected instead of returning a page of another list (AIP-158).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clearway_service.errors import InvalidArgumentError

if TYPE_CHECKING:
    from google.protobuf.message import Message

# Any integer of this many digits fits the database's 64 bits.
_NUMBER = re.compile("[0-9]{1,18}")
_DIGEST_BYTES = 8
_SHOWN = 80
_DEFAULT_SIZE = 100
# A page without a size ends at its bound in bytes, long before it has this many items.
_OPEN_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """The page that a request asks for.

    Attributes:
        size: The maximum number of items.
        after: The position where the previous page ended; empty for the first page.
    """

    size: int
    after: str
    _request: Message = field(repr=False)

    @classmethod
    def of(cls, request: Any, default: int = _DEFAULT_SIZE) -> Page:
        """Return the page given by the ``page_size`` and ``page_token`` of ``request``.

        Args:
            request: The request of a list RPC.
            default: The page size if the request has none; 0 for as many items as fit.

        Raises:
            InvalidArgumentError: The token is malformed, or belongs to another request.
        """
        size = request.page_size or default or _OPEN_SIZE
        token = request.page_token
        if not token:
            return cls(size, "", request)
        try:
            text = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
        except (binascii.Error, UnicodeError):
            raise bad_token(token) from None
        digest, _, after = text.partition(":")
        if len(digest) != 2 * _DIGEST_BYTES or not after:
            raise bad_token(token)
        if digest != _digest(request):
            raise InvalidArgumentError(
                "page_token is of a request with other fields; all but page_size must be as they were for "
                "the first page",
                "page_token",
            )
        return cls(size, after, request)

    @property
    def after_number(self) -> int | None:
        """The end of the previous page, for a list ordered by a number; None for the first page.

        Raises:
            InvalidArgumentError: The token does not contain a number.
        """
        if not self.after:
            return None
        if not _NUMBER.fullmatch(self.after):
            raise self.bad_token()
        return int(self.after)

    @property
    def after_pair(self) -> tuple[int, str] | None:
        """The end of the previous page, for a list ordered by ``pair``; None for the first page.

        Raises:
            InvalidArgumentError: The token does not contain such a pair.
        """
        if not self.after:
            return None
        number, _, text = self.after.partition(" ")
        if not _NUMBER.fullmatch(number) or not text:
            raise self.bad_token()
        return int(number), text

    def token(self, place: object) -> str:
        """Return the token for the page after ``place``."""
        digest = _digest(self._request)
        return base64.urlsafe_b64encode(f"{digest}:{place}".encode()).decode()

    def bad_token(self) -> InvalidArgumentError:
        """Return the error for an invalid token of the request."""
        return bad_token(self._request.page_token)  # type: ignore[attr-defined]


def pair(number: int, text: str) -> str:
    """Return a position in a list ordered by a number and then by a text."""
    return f"{number} {text}"


def bad_token(token: str) -> InvalidArgumentError:
    """Return the error for an invalid page token."""
    return InvalidArgumentError(
        f"page_token is {token[:_SHOWN]!r}; it must be the next_page_token of the page before, or empty",
        "page_token",
    )


def _digest(request: Message) -> str:
    rest = type(request)()
    rest.CopyFrom(request)
    rest.ClearField("page_size")
    rest.ClearField("page_token")
    said = f"{request.DESCRIPTOR.full_name}\n".encode() + rest.SerializeToString(deterministic=True)
    return hashlib.blake2b(said, digest_size=_DIGEST_BYTES).hexdigest()
