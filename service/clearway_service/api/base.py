"""The base of all handlers: runs commands, reads queries, and renders pages of bounded size."""

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

# By default, a gRPC client accepts messages of up to 4 MiB; responses stay well below that.
MAX_ANSWER_BYTES = 2 * 1024 * 1024
# The overhead of a list item: the field's tag and the length.
FRAMING_BYTES = 6


class Handlers:
    """The base class of RPC handlers.

    Args:
        pipeline: Runs the commands that write.
        database: Runs queries that no decision depends on.
        settings: The service's settings.
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
        """Run a command, and return its result after the commit.

        Args:
            command: The command, which takes turns with those of other clients.
            size: How many bytes of the request it processes; None for all of them.
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
        """Render the first rows of a query, as many as fit.

        Rows are fetched up to a bound in bytes, and rendered after the connection is released.

        Args:
            query: The query, which selects at least one row more than ``limit`` if there is one.
            render: Converts a row to a message.
            limit: The maximum number of messages.
            budget: The maximum size of the messages in bytes; the first one is always returned.
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
        """Return the items of a page, and the token of the next page; empty for the last page.

        Args:
            query: The query, which selects the rows after the previous page, one more than the page's size.
            page: The page.
            render: Converts a row to an item.
            place: Returns the position of a row in the list.
        """
        found = await self._read_fitting(query, render, page.size)
        return found.items, page.token(place(found.last)) if found.more and found.last else ""


@dataclass(slots=True)
class Fitting(Generic[M]):
    """The first items of a query, as many as fit into a response.

    Attributes:
        items: The items.
        last: The row of the last item; None for no items.
        more: Whether the query has more rows.
    """

    items: list[M]
    last: tuple[Any, ...] | None
    more: bool
