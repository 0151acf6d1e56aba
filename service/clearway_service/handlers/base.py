"""What all handlers share: running commands, reading queries, page tokens."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message

from clearway_service.budget import current_call
from clearway_service.clock import Clock
from clearway_service.errors import InvalidArgumentError
from clearway_service.pipeline import Pipeline
from clearway_service.settings import ServiceSettings
from clearway_service.store.database import Database
from clearway_service.store.transaction import Transaction

if TYPE_CHECKING:
    from sqlalchemy import Executable

T = TypeVar("T")
M = TypeVar("M", bound=Message)

# A client takes messages of 4 MiB if nothing else is said; answers stay well below it.
MAX_ANSWER_BYTES = 2 * 1024 * 1024

# As many digits as the database's numbers surely have.
_NUMBER = re.compile("[0-9]{1,18}")


class Handlers:
    """Holds what handlers call.

    Args:
        pipeline: Runs what writes.
        database: Reads what decides nothing.
        settings: What the service was told.
        clock: Tells the time in microseconds since 1970.
    """

    def __init__(
        self, pipeline: Pipeline, database: Database, settings: ServiceSettings, clock: Clock
    ) -> None:
        self._pipeline = pipeline
        self._database = database
        self._settings = settings
        self._clock = clock

    async def _run(self, command: Callable[[Transaction], T]) -> T:
        result: T = await asyncio.wrap_future(self._pipeline.run(command, current_call.get()))
        return result

    async def _read(self, query: Executable) -> list[tuple[Any, ...]]:
        return await self._database.read(query)


def fitting(items: Iterable[M]) -> list[M]:
    """Return the first of ``items``, as many as an answer can hold; one at least where there is any."""
    fit: list[M] = []
    rest = MAX_ANSWER_BYTES
    for item in items:
        rest -= item.ByteSize()
        if fit and rest < 0:
            break
        fit.append(item)
    return fit


def number_token(number: int) -> str:
    """Return the page token for "after ``number``"."""
    return text_token(str(number))


def text_token(text: str) -> str:
    """Return the page token for "after ``text``"."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def token_number(token: str) -> int | None:
    """Return the number of a token of ``number_token``; None for the first page.

    Raises:
        InvalidArgumentError: It is no such token.
    """
    text = token_text(token)
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise bad_token(token)
    return int(text)


def token_text(token: str) -> str:
    """Return the text of a token of ``text_token``; empty for the first page.

    Raises:
        InvalidArgumentError: It is no such token.
    """
    try:
        return base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise bad_token(token) from None


def bad_token(token: str) -> InvalidArgumentError:
    """Return the error that says that a page token is none."""
    return InvalidArgumentError(
        f"page_token is {token[:80]!r}; it must be the next_page_token of the page before, or empty",
        "page_token",
    )
