"""The unary RPCs: one coroutine each, from request to response; the server and the SDK call them."""

from __future__ import annotations

from datetime import timedelta

from clearway.v1 import server_info_pb2
from clearway_service import __version__
from clearway_service.api import rendering as render
from clearway_service.api.base import Handlers
from clearway_service.api.cache import CacheHandlers
from clearway_service.api.explanations import ExplanationHandlers
from clearway_service.api.flow_runs import FlowRunHandlers
from clearway_service.api.limits import LimitHandlers
from clearway_service.api.logs import LogHandlers
from clearway_service.api.results import ResultHandlers
from clearway_service.api.sessions import SessionHandlers
from clearway_service.api.states import StateHandlers
from clearway_service.api.task_runs import TaskRunHandlers
from clearway_service.engine.pipeline import MAX_PROPOSALS

_MICROSECOND = timedelta(microseconds=1)
# All that the protocol knows, as long as there is one kind of service.
_FEATURES = sorted(number for number in server_info_pb2.Feature.values() if number)


class ServerInfoHandlers(Handlers):
    """RPCs about the service itself."""

    async def GetServerInfo(  # noqa: N802 - the RPC's name
        self, request: server_info_pb2.GetServerInfoRequest
    ) -> server_info_pb2.GetServerInfoResponse:
        """Say who answers."""
        del request
        return server_info_pb2.GetServerInfoResponse(
            version=__version__,
            now=render.timestamp(self._clock()),
            database="sqlite",
            max_message_bytes=self._settings.max_message_bytes,
            max_proposals=MAX_PROPOSALS,
            lease=render.duration(self._settings.lease // _MICROSECOND),
            max_result_bytes=self._settings.max_result_bytes,
            slot_retry_after=render.duration(self._settings.slot_retry_after // _MICROSECOND),
            features=_FEATURES,
            broken_stream_grace=render.duration(self._settings.stream_grace // _MICROSECOND),
            max_slot_wait=render.duration(self._settings.max_slot_wait // _MICROSECOND),
        )


class Orchestrator(
    StateHandlers,
    FlowRunHandlers,
    TaskRunHandlers,
    LimitHandlers,
    SessionHandlers,
    ExplanationHandlers,
    CacheHandlers,
    ResultHandlers,
    LogHandlers,
    ServerInfoHandlers,
):
    """All unary RPCs, by the protocol's names."""
