"""The explanation of a task run's state, for people."""

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from clearway.v1.explanation_pb2 import ExplainTaskRunResponse, LimitExplanation, UpstreamRun
from clearway.v1.state_pb2 import State
from clearway_cli import _output, _runs, _slots, _tables, _times
from clearway_cli._tables import Column

_LIMITS = (Column("TAG"), Column("USED"), Column("FULL"), Column("BLOCKS"), Column("PLACE"))
_UPSTREAM = (
    Column("PARAMETER", crop_to=12),
    Column("TASK RUN", ids=True),
    Column("NAME", crop_to=14),
    Column("STATE", crop_to=13),
)


def show(answer: ExplainTaskRunResponse, now: Timestamp) -> None:
    """Write what a task run waits for, and which runs hold it."""
    _tables.show_facts(_facts(answer, now))
    if answer.cache_leader.HasField("leader"):
        _slots.show_holders("Run that computes its cache key", [answer.cache_leader.leader], now)
    upstream = answer.upstream
    _show_upstream(upstream.runs)
    if upstream.run_count > len(upstream.runs):
        _output.note(f"These are the first {len(upstream.runs)} of {upstream.run_count} upstream runs.")
    _show_limits(answer.limits)
    for limit in answer.limits:
        if limit.blocks:
            title = f"Holders of the slots of tag '{_output.name(limit.tag)}'"
            _slots.show_holders(title, limit.holders, now)
            if limit.taken_count > len(limit.holders) > 0:
                _output.note(
                    f"These are the first {len(limit.holders)} of {limit.taken_count}; "
                    f"`clearway concurrency-limit inspect` shows all."
                )


def waiting_since(answer: ExplainTaskRunResponse) -> Timestamp | None:
    """Return when a run joined the queue that it is in; None if it is in none."""
    queued = answer.cache_leader if answer.HasField("cache_leader") else answer.limit
    return queued.enqueue_time if queued.HasField("enqueue_time") else None


def scheduled_time(answer: ExplainTaskRunResponse) -> Timestamp | None:
    """Return when a run may begin; None if it was not scheduled."""
    if answer.schedule.HasField("scheduled_time"):
        return answer.schedule.scheduled_time
    details = answer.task_run.state.details
    return details.scheduled_time if details.HasField("scheduled_time") else None


def _facts(answer: ExplainTaskRunResponse, now: Timestamp) -> list[tuple[str, Text]]:
    spec = answer.task_run.spec
    facts = [
        ("Task run", _runs.text(spec.name)),
        ("Id", Text(spec.id)),
        ("Flow run", Text(spec.flow_run_id)),
        ("State", _runs.state_text(answer.task_run.state)),
        ("Why", _runs.text(answer.summary)),
    ]
    since, begins = waiting_since(answer), scheduled_time(answer)
    if since is not None:
        facts.append(("Waiting since", Text(_times.moment(since, now))))
    if answer.cache_leader.cache_key:
        facts.append(("Cache key", _runs.text(answer.cache_leader.cache_key)))
    if begins is not None:
        facts.append(("May start", Text(_times.moment(begins, now))))
    if answer.running.HasField("holder"):
        holder = answer.running.holder
        facts += [
            ("Client", _slots.client_text(holder.client_name)),
            ("Slots since", Text(_times.moment(holder.acquire_time, now))),
            ("Lease left", _slots.lease_text(holder, now)),
        ]
    return facts


def _show_upstream(upstream: Sequence[UpstreamRun]) -> None:
    if upstream:
        _output.write("\n")
        _tables.show(_UPSTREAM, [_upstream_row(run) for run in upstream])


def _show_limits(limits: Sequence[LimitExplanation]) -> None:
    if limits:
        _output.write("\n")
        _tables.show(_LIMITS, [_limit_row(limit) for limit in limits])


def _upstream_row(run: UpstreamRun) -> list[Text]:
    return [
        _runs.text(run.parameter),
        Text(run.task_run_id),
        _runs.text(run.task_run_name),
        _runs.state_text(State(type=run.state_type, name=run.state_name)),
    ]


def _limit_row(limit: LimitExplanation) -> list[Text]:
    return [
        _runs.text(limit.tag),
        Text(f"{limit.taken_count}/{limit.limit}"),
        _slots.bar(limit.taken_count, limit.limit),
        Text("yes", style="yellow") if limit.blocks else Text("no"),
        Text(str(limit.position) if limit.position else "-"),
    ]
