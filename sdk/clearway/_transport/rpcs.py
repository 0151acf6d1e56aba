"""The service's unary RPCs, with the types of their requests and responses."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast

from google.protobuf.message import Message

from clearway._transport.protocol import Transport
from clearway.v1 import (
    cache_pb2,
    concurrency_limit_pb2,
    explanation_pb2,
    flow_run_pb2,
    log_pb2,
    proposal_pb2,
    result_pb2,
    server_info_pb2,
    session_pb2,
    task_run_pb2,
)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Response]):
    """One unary RPC: ``CREATE_FLOW_RUN.start(transport, CreateFlowRunRequest(...)).result()``."""

    name: str
    request: type[Request]
    response: type[Response]

    def start(self, transport: Transport, request: Request, timeout: float | None = None) -> Future[Response]:
        """Send a request; return a future of the response. See ``Transport.call``."""
        return cast("Future[Response]", transport.call(self.name, request, timeout))


SET_FLOW_RUN_STATE: Final = Method(
    "SetFlowRunState", proposal_pb2.SetFlowRunStateRequest, proposal_pb2.SetFlowRunStateResponse
)
SET_TASK_RUN_STATE: Final = Method(
    "SetTaskRunState", proposal_pb2.SetTaskRunStateRequest, proposal_pb2.SetTaskRunStateResponse
)
CREATE_FLOW_RUN: Final = Method(
    "CreateFlowRun", flow_run_pb2.CreateFlowRunRequest, flow_run_pb2.CreateFlowRunResponse
)
GET_FLOW_RUN: Final = Method("GetFlowRun", flow_run_pb2.GetFlowRunRequest, flow_run_pb2.GetFlowRunResponse)
LIST_FLOW_RUNS: Final = Method(
    "ListFlowRuns", flow_run_pb2.ListFlowRunsRequest, flow_run_pb2.ListFlowRunsResponse
)
LIST_FLOW_RUN_STATES: Final = Method(
    "ListFlowRunStates", flow_run_pb2.ListFlowRunStatesRequest, flow_run_pb2.ListFlowRunStatesResponse
)
CREATE_TASK_RUN: Final = Method(
    "CreateTaskRun", task_run_pb2.CreateTaskRunRequest, task_run_pb2.CreateTaskRunResponse
)
GET_TASK_RUN: Final = Method("GetTaskRun", task_run_pb2.GetTaskRunRequest, task_run_pb2.GetTaskRunResponse)
LIST_TASK_RUNS: Final = Method(
    "ListTaskRuns", task_run_pb2.ListTaskRunsRequest, task_run_pb2.ListTaskRunsResponse
)
LIST_TASK_RUN_STATES: Final = Method(
    "ListTaskRunStates", task_run_pb2.ListTaskRunStatesRequest, task_run_pb2.ListTaskRunStatesResponse
)
SET_CONCURRENCY_LIMIT: Final = Method(
    "SetConcurrencyLimit",
    concurrency_limit_pb2.SetConcurrencyLimitRequest,
    concurrency_limit_pb2.SetConcurrencyLimitResponse,
)
GET_CONCURRENCY_LIMIT: Final = Method(
    "GetConcurrencyLimit",
    concurrency_limit_pb2.GetConcurrencyLimitRequest,
    concurrency_limit_pb2.GetConcurrencyLimitResponse,
)
LIST_CONCURRENCY_LIMITS: Final = Method(
    "ListConcurrencyLimits",
    concurrency_limit_pb2.ListConcurrencyLimitsRequest,
    concurrency_limit_pb2.ListConcurrencyLimitsResponse,
)
DELETE_CONCURRENCY_LIMIT: Final = Method(
    "DeleteConcurrencyLimit",
    concurrency_limit_pb2.DeleteConcurrencyLimitRequest,
    concurrency_limit_pb2.DeleteConcurrencyLimitResponse,
)
RESET_CONCURRENCY_LIMIT: Final = Method(
    "ResetConcurrencyLimit",
    concurrency_limit_pb2.ResetConcurrencyLimitRequest,
    concurrency_limit_pb2.ResetConcurrencyLimitResponse,
)
LIST_SLOT_HOLDERS: Final = Method(
    "ListSlotHolders",
    concurrency_limit_pb2.ListSlotHoldersRequest,
    concurrency_limit_pb2.ListSlotHoldersResponse,
)
LIST_SLOT_WAITERS: Final = Method(
    "ListSlotWaiters",
    concurrency_limit_pb2.ListSlotWaitersRequest,
    concurrency_limit_pb2.ListSlotWaitersResponse,
)
EXPLAIN_TASK_RUN: Final = Method(
    "ExplainTaskRun", explanation_pb2.ExplainTaskRunRequest, explanation_pb2.ExplainTaskRunResponse
)
OPEN_SESSION: Final = Method("OpenSession", session_pb2.OpenSessionRequest, session_pb2.OpenSessionResponse)
KEEP_ALIVE: Final = Method("KeepAlive", session_pb2.KeepAliveRequest, session_pb2.KeepAliveResponse)
CLOSE_SESSION: Final = Method(
    "CloseSession", session_pb2.CloseSessionRequest, session_pb2.CloseSessionResponse
)
LOOKUP_CACHE: Final = Method("LookupCache", cache_pb2.LookupCacheRequest, cache_pb2.LookupCacheResponse)
LIST_CACHE_ENTRIES: Final = Method(
    "ListCacheEntries", cache_pb2.ListCacheEntriesRequest, cache_pb2.ListCacheEntriesResponse
)
INVALIDATE_CACHE: Final = Method(
    "InvalidateCache", cache_pb2.InvalidateCacheRequest, cache_pb2.InvalidateCacheResponse
)
GET_CACHE_STATS: Final = Method(
    "GetCacheStats", cache_pb2.GetCacheStatsRequest, cache_pb2.GetCacheStatsResponse
)
LIST_TASK_CACHE_STATS: Final = Method(
    "ListTaskCacheStats", cache_pb2.ListTaskCacheStatsRequest, cache_pb2.ListTaskCacheStatsResponse
)
UPLOAD_RESULT: Final = Method("UploadResult", result_pb2.UploadResultRequest, result_pb2.UploadResultResponse)
DOWNLOAD_RESULT: Final = Method(
    "DownloadResult", result_pb2.DownloadResultRequest, result_pb2.DownloadResultResponse
)
LIST_ORPHANED_RESULTS: Final = Method(
    "ListOrphanedResults", result_pb2.ListOrphanedResultsRequest, result_pb2.ListOrphanedResultsResponse
)
DROP_ORPHANED_RESULTS: Final = Method(
    "DropOrphanedResults", result_pb2.DropOrphanedResultsRequest, result_pb2.DropOrphanedResultsResponse
)
WRITE_LOGS: Final = Method("WriteLogs", log_pb2.WriteLogsRequest, log_pb2.WriteLogsResponse)
LIST_LOGS: Final = Method("ListLogs", log_pb2.ListLogsRequest, log_pb2.ListLogsResponse)
GET_SERVER_INFO: Final = Method(
    "GetServerInfo", server_info_pb2.GetServerInfoRequest, server_info_pb2.GetServerInfoResponse
)
