"""The sentence by which a task run's place is explained to people."""

from __future__ import annotations

from clearway.v1 import explanation_pb2
from clearway_service.core.moment import Moment
from clearway_service.core.runs import Progress, TaskRunSpec
from clearway_service.core.states import TERMINAL
from clearway_service.texts import plain

# How many holders the summary names.
_SHOWN_HOLDERS = 3
_SHOWN_UPSTREAM = 10


def summary_of(
    response: explanation_pb2.ExplainTaskRunResponse,
    spec: TaskRunSpec,
    progress: Progress,
    awaited: str,
    moment: Moment,
) -> str:
    """Return why a task run is where it is, in one sentence.

    Args:
        response: The rest of the response, with its cause.
        spec: The run's spec.
        progress: The run's state and times.
        awaited: The name of the run whose result its code waits for; empty for none.
        moment: The time of the call.
    """
    run = plain(spec.name)
    match response.WhichOneof("cause"):
        case "limit":
            return "; ".join(_limit_summary(limit) for limit in response.limits if limit.blocks)
        case "cache_leader":
            return f"{run} waits for {_leader_summary(response.cache_leader)}"
        case "schedule":
            seconds = progress.wait_left(moment) / 1e6
            return f"{run} is {plain(progress.state.name)}: it may begin in {seconds:.1f} s"
        case "upstream":
            shown = response.upstream.runs[:_SHOWN_UPSTREAM]
            runs = ", ".join(f"{plain(each.task_run_name)} ({plain(each.state_name)})" for each in shown)
            more = _more(response.upstream.run_count - len(shown))
            return f"{run} waits for the results of {runs}{more}"
        case "client":
            return f"{run} is {plain(progress.state.name)}: {_client_summary(response)}"
        case _:
            ended = progress.state.message if progress.state.type in TERMINAL else ""
            waits_for = f"its code waits for {plain(awaited)}" if awaited else "it waits for nothing"
            return f"{run} is {plain(progress.state.name)}: {plain(ended) or waits_for}"


def _leader_summary(cause: explanation_pb2.WaitsForCacheLeader) -> str:
    place = f"number {cause.position} in the queue"
    if not cause.HasField("leader"):
        return f"the result of its cache key, which another run has just stopped computing; {place}"
    leader = cause.leader
    client = f" for {plain(leader.client_name)}" if leader.client_name else ""
    run = f"{plain(leader.task_run_name)} of {plain(leader.flow_run_name)}"
    return f"{run}, which computes its cache key{client}; {place}"


def _client_summary(response: explanation_pb2.ExplainTaskRunResponse) -> str:
    closed = [_closed_summary(limit) for limit in response.limits if limit.blocks]
    return "; ".join(closed) or "its client has not proposed to run it"


def _closed_summary(limit: explanation_pb2.LimitExplanation) -> str:
    return f"the limit of tag '{plain(limit.tag)}' is 0, and who would run under it is aborted"


def _limit_summary(limit: explanation_pb2.LimitExplanation) -> str:
    if not limit.limit:
        return _closed_summary(limit)
    place = f"number {limit.position} in the queue" if limit.position else "not yet in its queue"
    if limit.taken_count < limit.limit:
        return f"tag '{plain(limit.tag)}': a free slot is kept for a run that has waited longer; {place}"
    if limit.HasField("ancestor"):
        ancestor = plain(limit.ancestor.task_run_name)
        return (
            f"tag '{plain(limit.tag)}': {_held(limit)} held by its own ancestor {ancestor}, "
            f"whose code waits for this run while it holds the slot; {place}"
        )
    names = [plain(holder.task_run_name) for holder in limit.holders[:_SHOWN_HOLDERS]]
    held = ", ".join(names) + _more(limit.taken_count - len(names))
    return (
        f"tag '{plain(limit.tag)}': {limit.taken_count} of {limit.limit} slots are taken, by {held}; {place}"
    )


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _held(limit: explanation_pb2.LimitExplanation) -> str:
    return "the only slot is" if limit.taken_count == 1 else f"one of {limit.taken_count} slots is"
