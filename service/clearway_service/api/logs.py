"""RPCs about what runs logged."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import Any

from clearway.v1 import log_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api import validation as valid
from clearway_service.api.base import Handlers
from clearway_service.api.pages import Page
from clearway_service.store.logs import LogRow, write_logs

MAX_LINES = 10_000
MAX_LINE = 65_536
# So many lines are checked, and written, before others have their turn.
_SLICE = 500
_MAX_LEVEL = 100


class LogHandlers(Handlers):
    """RPCs about what runs logged."""

    async def WriteLogs(  # noqa: N802 - the RPC's name
        self, request: log_pb2.WriteLogsRequest
    ) -> log_pb2.WriteLogsResponse:
        """Write log lines: none where one is wrong.

        They are written some at a time, so that other clients have their turns in between. Where the store
        fails meanwhile, the call does, and the first lines may have been written.
        """
        lines = request.logs
        count = len(lines)
        valid.items("logs", count, MAX_LINES)
        rows: list[LogRow] = []
        for first in range(0, count, _SLICE):
            if first:
                await asyncio.sleep(0)
            part = enumerate(lines[first : first + _SLICE], first)
            rows += [_row(line, f"logs[{index}]") for index, line in part]
        size = request.ByteSize()
        unchecked = {row.flow_run_id for row in rows}  # the first command looks for all of them
        for first in range(0, count, _SLICE):
            now = rows[first : first + _SLICE]
            await self._run(write_logs(now, unchecked), size * len(now) // count)
            unchecked = set()
        return log_pb2.WriteLogsResponse(written=count)

    async def ListLogs(  # noqa: N802
        self, request: log_pb2.ListLogsRequest
    ) -> log_pb2.ListLogsResponse:
        """Answer a page of log lines, the oldest first."""
        page = Page.of(request)
        query = store.log_queries.select_logs(
            valid.optional_id("flow_run_id", request.flow_run_id),
            valid.optional_id("task_run_id", request.task_run_id),
            valid.number("min_level", request.min_level, 0, _MAX_LEVEL),
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
        timestamp=render.timestamp(timestamp),
    )


def _row(line: log_pb2.Log, field: str) -> LogRow:
    return LogRow(
        flow_run_id=valid.required_id(f"{field}.flow_run_id", line.flow_run_id),
        task_run_id=valid.optional_id(f"{field}.task_run_id", line.task_run_id),
        logger=valid.text(f"{field}.logger", line.logger, valid.MAX_NAME),
        level=valid.number(f"{field}.level", line.level, 0, _MAX_LEVEL),
        message=valid.text(f"{field}.message", line.message, MAX_LINE),
        timestamp=(
            valid.timestamp(f"{field}.timestamp", line.timestamp) if line.HasField("timestamp") else None
        ),
    )
