"""Pages of lists: how many items, from where on, and the token that asks for the next one.

A token holds where its page ended and a digest of the request without its page fields, so that a token used
with other filters is refused rather than answered with a page of another list (AIP-158).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clearway_service.api import validation as valid
from clearway_service.errors import InvalidArgumentError

if TYPE_CHECKING:
    from google.protobuf.message import Message

# As many digits as the database's numbers surely have.
_NUMBER = re.compile("[0-9]{1,18}")
_DIGEST_BYTES = 8
_SHOWN = 80
# A page whose size was left open ends by its bytes, long before it has so many items.
_OPEN_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """The page that a list request asks for.

    Attributes:
        size: How many items it has at most.
        after: Where the page before ended; empty for the first page.
    """

    size: int
    after: str
    _request: Message = field(repr=False)
    _size_field: str = field(default="page_size", repr=False)

    @classmethod
    def of(
        cls,
        request: Any,
        default: int = valid.DEFAULT_PAGE_SIZE,
        most: int = valid.MAX_PAGE_SIZE,
        size_field: str = "page_size",
    ) -> Page:
        """Return the page that ``request`` asks for by its size and its ``page_token``.

        Args:
            request: The request of a list RPC.
            default: How many items a page has at most where the request leaves that open; 0 for as many as
                fit.
            most: How many it may ask for.
            size_field: The request's field that has the size.

        Raises:
            InvalidArgumentError: The size is not allowed; or the token is none, or that of another request.
        """
        size = valid.number(size_field, getattr(request, size_field), 0, most) or default or _OPEN_SIZE
        token = request.page_token
        if not token:
            return cls(size, "", request, size_field)
        try:
            text = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
        except (binascii.Error, UnicodeError):
            raise bad_token(token) from None
        digest, _, after = text.partition(":")
        if len(digest) != 2 * _DIGEST_BYTES or not after:
            raise bad_token(token)
        if digest != _digest(request, size_field):
            raise InvalidArgumentError(
                f"page_token is of a request with other fields; all but {size_field} must be as they were "
                "for the first page",
                "page_token",
            )
        return cls(size, after, request, size_field)

    @property
    def after_number(self) -> int | None:
        """Where the page before ended, for a list that is ordered by a number; None for the first page.

        Raises:
            InvalidArgumentError: The token has no number.
        """
        if not self.after:
            return None
        if not _NUMBER.fullmatch(self.after):
            raise self.bad_token()
        return int(self.after)

    @property
    def after_pair(self) -> tuple[int, str] | None:
        """The same for a list that is ordered by a number and a text, as ``pair`` writes them.

        Raises:
            InvalidArgumentError: The token has no such pair.
        """
        if not self.after:
            return None
        number, _, text = self.after.partition(" ")
        if not _NUMBER.fullmatch(number) or not text:
            raise self.bad_token()
        return int(number), text

    def token(self, place: object) -> str:
        """Return the token that asks for what follows ``place``."""
        digest = _digest(self._request, self._size_field)
        return base64.urlsafe_b64encode(f"{digest}:{place}".encode()).decode()

    def bad_token(self) -> InvalidArgumentError:
        """Return the error that says that the request's token is none."""
        return bad_token(self._request.page_token)  # type: ignore[attr-defined]


def pair(number: int, text: str) -> str:
    """Return a place in a list that is ordered by a number and then by a text."""
    return f"{number} {text}"


def bad_token(token: str) -> InvalidArgumentError:
    """Return the error that says that a page token is none."""
    return InvalidArgumentError(
        f"page_token is {token[:_SHOWN]!r}; it must be the next_page_token of the page before, or empty",
        "page_token",
    )


def _digest(request: Message, size_field: str) -> str:
    rest = type(request)()
    rest.CopyFrom(request)
    rest.ClearField(size_field)
    rest.ClearField("page_token")
    said = f"{request.DESCRIPTOR.full_name}\n".encode() + rest.SerializeToString(deterministic=True)
    return hashlib.blake2b(said, digest_size=_DIGEST_BYTES).hexdigest()
