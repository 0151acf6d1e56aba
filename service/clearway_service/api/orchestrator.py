"""The unary RPCs, one coroutine each; called by the server and the embedded SDK."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar

from clearway.v1 import orchestrator_pb2, server_info_pb2
from clearway_service import __version__
from clearway_service.api import rendering as render
from clearway_service.api.base import Handlers
from clearway_service.api.cache import CacheHandlers
from clearway_service.api.explanations import ExplanationHandlers
from clearway_service.api.flow_runs import FlowRunHandlers
from clearway_service.api.limits import LimitHandlers
from clearway_service.api.logs import LogHandlers
from clearway_service.api.request_validation import CHECKERS
from clearway_service.api.results import ResultHandlers
from clearway_service.api.sessions import SessionHandlers
from clearway_service.api.states import StateHandlers
from clearway_service.api.task_runs import TaskRunHandlers
from clearway_service.engine.pipeline import MAX_PROPOSALS

T = TypeVar("T", bound=Handlers)

_MICROSECOND = timedelta(microseconds=1)
# All features of the protocol: this service supports every one.
_FEATURES = sorted(number for number in server_info_pb2.Feature.values() if number)


class ServerInfoHandlers(Handlers):
    """RPCs about the service itself."""

    async def GetServerInfo(  # noqa: N802 - the RPC's name
        self, request: server_info_pb2.GetServerInfoRequest
    ) -> server_info_pb2.GetServerInfoResponse:
        """Return the service's version and features."""
        del request
        return server_info_pb2.GetServerInfoResponse(
            version=__version__,
            current_time=render.timestamp(self._clock()),
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


def _checking(orchestrator: type[T]) -> type[T]:
    """Class decorator: check each request by the rules in the protos before the handler gets it."""
    for method in orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"].methods:
        check = CHECKERS.get(method.input_type.full_name)
        if check is not None:
            setattr(orchestrator, method.name, _checked(getattr(orchestrator, method.name), check))
    return orchestrator


def _checked(handler: Any, check: Callable[[Any, str], None]) -> Any:
    @wraps(handler)
    async def checked(self: Handlers, request: Any) -> Any:
        check(request, "")
        return await handler(self, request)

    return checked


@_checking
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
    """All unary RPCs, named as in the protocol."""
