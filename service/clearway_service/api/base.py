"""What all handlers share: running commands, reading queries, and pages that end at a bound in bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from google.protobuf.message import Message

from clearway_service.api.pages import Page
from clearway_service.engine.budget import current_call
from clearway_service.engine.clock import Clock
from clearway_service.engine.pipeline import Pipeline
from clearway_service.settings import ServiceSettings
from clearway_service.store.database import Database
from clearway_service.store.transaction import Transaction

if TYPE_CHECKING:
    from sqlalchemy import Executable

T = TypeVar("T")
M = TypeVar("M", bound=Message)

# A client takes messages of 4 MiB if nothing else is said; answers stay well below it.
MAX_ANSWER_BYTES = 2 * 1024 * 1024
# What an item of a list costs beside its own bytes: its field's tag and its length.
FRAMING_BYTES = 6


class Handlers:
    """Holds what handlers call.

    Args:
        pipeline: Runs what writes.
        database: Reads what decides nothing.
        settings: What the service was told.
        clock: The engine's two clocks.
    """

    def __init__(
        self, pipeline: Pipeline, database: Database, settings: ServiceSettings, clock: Clock
    ) -> None:
        self._pipeline = pipeline
        self._database = database
        self._settings = settings
        self._clock = clock

    async def _run(self, command: Callable[[Transaction], T], size: int | None = None) -> T:
        """Return what a command returned, once that is committed.

        Args:
            command: Run in its turn with the commands of other clients.
            size: How many bytes of the request it is for; None for all of them.
        """
        call = current_call.get()
        if call is not None and size is not None:
            call = call._replace(size=size)
        result: T = await asyncio.wrap_future(self._pipeline.run(command, call))
        return result

    async def _read(self, query: Executable) -> list[tuple[Any, ...]]:
        return await self._database.read(query)

    async def _read_while(self, query: Executable, take: Callable[[tuple[Any, ...]], bool]) -> None:
        call = current_call.get()
        await self._database.read_while(query, take, call and call.caller)

    async def _read_fitting(
        self,
        query: Executable,
        render: Callable[[tuple[Any, ...]], M],
        limit: int,
        budget: int = MAX_ANSWER_BYTES,
    ) -> Fitting[M]:
        """Return what the first rows of a query are rendered to, as much as fits.

        Rows are fetched up to a bound in bytes, and rendered when the connection is free for others.

        Args:
            query: Its rows are read in order. It has at least one row more than ``limit`` where there is one.
            render: Makes a message of a row.
            limit: How many messages at most.
            budget: How many bytes the messages have at most; one message is returned in any case.
        """
        found = Fitting[M]([], None, more=False)
        left = budget

        def take(row: tuple[Any, ...]) -> bool:
            nonlocal left
            if len(found.items) < limit:
                item = render(row)
                left -= item.ByteSize() + FRAMING_BYTES
                if left >= 0 or not found.items:
                    found.items.append(item)
                    found.last = row
                    return True
            found.more = True
            return False

        await self._read_while(query, take)
        return found

    async def _read_list(
        self,
        query: Executable,
        page: Page,
        render: Callable[[tuple[Any, ...]], M],
        place: Callable[[tuple[Any, ...]], object],
    ) -> tuple[list[M], str]:
        """Return the items of a page, and the token of the next one; empty on the last.

        Args:
            query: Its rows are those that follow the page before, one more than the page's size.
            page: The page.
            render: Makes an item of a row.
            place: Returns where in the list a row is.
        """
        found = await self._read_fitting(query, render, page.size)
        return found.items, page.token(place(found.last)) if found.more and found.last else ""


@dataclass(slots=True)
class Fitting(Generic[M]):
    """The first items of a query, as many as fit.

    Attributes:
        items: The items.
        last: The row of the last one; None where there is none.
        more: Whether the query has more rows.
    """

    items: list[M]
    last: tuple[Any, ...] | None
    more: bool
