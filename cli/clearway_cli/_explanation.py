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
    Column("PARAMETER", fold_to=12),
    Column("TASK RUN"),
    Column("NAME", fold_to=14),
    Column("STATE", fold_to=9),
)


def show(answer: ExplainTaskRunResponse, now: Timestamp) -> None:
    """Write what a task run waits for, and which runs hold it."""
    _tables.show_facts(_facts(answer, now))
    if answer.HasField("leader"):
        _slots.show_holders("Run that computes its cache key", [answer.leader], now)
    _show_upstream(answer.upstream)
    if answer.upstream_count > len(answer.upstream):
        _output.note(f"These are the first {len(answer.upstream)} of {answer.upstream_count} upstream runs.")
    _show_limits(answer.limits)
    for limit in answer.limits:
        if limit.blocks:
            title = f"Holders of the slots of tag '{_output.name(limit.tag)}'"
            _slots.show_holders(title, limit.holders, now)
            if limit.taken > len(limit.holders) > 0:
                _output.note(
                    f"These are the first {len(limit.holders)} of {limit.taken}; "
                    f"`clearway concurrency-limit inspect` shows all."
                )


def _facts(answer: ExplainTaskRunResponse, now: Timestamp) -> list[tuple[str, Text]]:
    run = answer.task_run
    facts = [
        ("Task run", _runs.text(run.name)),
        ("Id", Text(run.id)),
        ("Flow run", Text(run.flow_run_id)),
        ("State", _runs.state_text(run.state)),
        ("Why", _runs.text(answer.summary)),
    ]
    if answer.HasField("waiting_since"):
        facts.append(("Waiting since", Text(_times.moment(answer.waiting_since, now))))
    if answer.cache_key:
        facts.append(("Cache key", _runs.text(answer.cache_key)))
    if answer.HasField("scheduled_time"):
        facts.append(("May start", Text(_times.moment(answer.scheduled_time, now))))
    if answer.HasField("holder"):
        facts += [
            ("Client", _slots.client_text(answer.holder.client_name)),
            ("Slots since", Text(_times.moment(answer.holder.since, now))),
            ("Lease left", _slots.lease_text(answer.holder, now)),
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
        Text(f"{limit.taken}/{limit.limit}"),
        _slots.bar(limit.taken, limit.limit),
        Text("yes", style="yellow") if limit.blocks else Text("no"),
        Text(str(limit.position) if limit.position else "-"),
    ]
