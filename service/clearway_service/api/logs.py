"""RPCs about the runs' log lines."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import Any

from clearway.v1 import log_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api.base import Handlers
from clearway_service.api.pages import Page
from clearway_service.api.parsing import parse_log, uuid_of
from clearway_service.store.logs import LogRow, write_logs

# How many lines are checked, or written, before others get a turn.
_SLICE = 500


class LogHandlers(Handlers):
    """RPCs about the runs' log lines."""

    async def WriteLogs(  # noqa: N802 - the RPC's name
        self, request: log_pb2.WriteLogsRequest
    ) -> log_pb2.WriteLogsResponse:
        """Write log lines; if one is invalid, none of them.

        They are written in slices, so that other clients get turns in between. If the store fails in between,
        the call fails, and the first lines may have been written.
        """
        lines = request.logs
        count = len(lines)
        rows: list[LogRow] = []
        for first in range(0, count, _SLICE):
            if first:
                await asyncio.sleep(0)
            part = enumerate(lines[first : first + _SLICE], first)
            rows += [parse_log(line, f"logs[{index}].") for index, line in part]
        size = request.ByteSize()
        unchecked = {row.flow_run_id for row in rows}  # the first command checks them all
        for first in range(0, count, _SLICE):
            now = rows[first : first + _SLICE]
            await self._run(write_logs(now, unchecked), size * len(now) // count)
            unchecked = set()
        return log_pb2.WriteLogsResponse(written_count=count)

    async def ListLogs(  # noqa: N802
        self, request: log_pb2.ListLogsRequest
    ) -> log_pb2.ListLogsResponse:
        """Return a page of log lines, oldest first."""
        page = Page.of(request)
        query = store.log_queries.select_logs(
            uuid_of(request.flow_run_id),
            uuid_of(request.task_run_id),
            request.min_level,
            page.after_number or 0,
            page.size + 1,
        )
        lines, token = await self._read_list(query, page, _render, itemgetter(0))
        return log_pb2.ListLogsResponse(logs=lines, next_page_token=token)


def _render(row: tuple[Any, ...]) -> log_pb2.Log:
    id_, flow_run_id, task_run_id, logger, level, message, timestamp = row
    return log_pb2.Log(
        id=id_,
        flow_run_id=flow_run_id,
        task_run_id=task_run_id,
        logger=logger,
        level=level,
        message=message,
        create_time=render.timestamp(timestamp),
    )
