"""The RPC that says why a task run is where it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from clearway.v1 import concurrency_limit_pb2, explanation_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api import validation as valid
from clearway_service.api.base import MAX_ANSWER_BYTES, Handlers
from clearway_service.core.keys import is_key_tag, key_of
from clearway_service.core.moment import Moment
from clearway_service.core.runs import Progress, RunKind, TaskRunSpec
from clearway_service.core.states import TERMINAL, StateType
from clearway_service.errors import RunNotFoundError
from clearway_service.store.rows import task_run_from
from clearway_service.texts import plain

# How many are named in the summary.
_SHOWN_HOLDERS = 3
_SHOWN_UPSTREAM = 10
# How many an answer has of those who hold the slots of one limit, and of the runs that are waited for.
_MOST_HOLDERS = 100
_MOST_UPSTREAM = 100
# How many of those whose code waits for the run are looked at.
_MOST_ANCESTORS = 1_000
# How much of an answer the holders of all limits may fill, those of the blocking one first.
_HOLDER_BYTES = MAX_ANSWER_BYTES // 4
# The two clocks are not read at once, and time servers correct one of them all the time.
_CLOCKS_DIFFER = 1_000_000


class ExplanationHandlers(Handlers):
    """The RPC that says why a task run is where it is."""

    async def ExplainTaskRun(  # noqa: N802 - the RPC's name
        self, request: explanation_pb2.ExplainTaskRunRequest
    ) -> explanation_pb2.ExplainTaskRunResponse:
        """Say what a task run waits for, and who holds that."""
        run_id = valid.required_id("id", request.id)
        rows = await self._read(store.queries.select_run(RunKind.TASK, run_id))
        if not rows:
            raise RunNotFoundError(f"no task run has the id {run_id}", "id")
        spec, progress = task_run_from(rows[0])
        answer = explanation_pb2.ExplainTaskRunResponse(task_run=render.render_task_run(spec, progress))
        if (begins := _begins(progress, self._clock.read())) is not None:
            answer.scheduled_time.CopyFrom(render.timestamp(begins))
        awaited = ""
        for row in await self._read(store.slots.select_runner(spec.id)):
            holder = store.slots.Holder(*row)
            answer.holder.CopyFrom(render.render_holder(holder, self._clock.read()))
            awaited = await self._name(holder.awaits)
        place = await self._read(store.slots.select_place(spec.id))
        blocking, since, before = place[0] if place else ("", None, 0)
        if since is not None:
            answer.waiting_since.CopyFrom(render.timestamp(since))
        if is_key_tag(blocking):
            await self._add_leader(answer, blocking, before)
        await self._add_limits(answer, spec, blocking, before)
        await self._add_upstream(answer, spec)
        answer.cause = self._cause(answer, progress)
        answer.summary = self._summary(answer, spec, progress, awaited)
        return answer

    async def _add_leader(
        self, answer: explanation_pb2.ExplainTaskRunResponse, tag: str, before: int
    ) -> None:
        """Say which run computes the key that is waited for."""
        answer.cache_key = key_of(tag)
        answer.cache_position = before + 1
        for row in await self._read(store.slots.select_holders(tag, 1)):
            answer.leader.CopyFrom(self._render_holder(row))

    async def _add_limits(
        self,
        answer: explanation_pb2.ExplainTaskRunResponse,
        spec: TaskRunSpec,
        blocking: str,
        before: int,
    ) -> None:
        tags = list(spec.limited_tags)
        if not tags:
            return
        ended = StateType(answer.task_run.state.type) in TERMINAL
        limits = [
            store.limits.LimitRow(*row) for row in await self._read(store.limits.select_limits_of(tags))
        ]
        held = {tag for (tag,) in await self._read(store.slots.select_tags_held(spec.id))}
        ancestors = await self._ancestors(spec.id) if blocking else []
        left = _HOLDER_BYTES
        for limit in sorted(limits, key=lambda limit: (limit.tag != blocking, limit.tag)):
            holds = limit.tag in held
            closed = not limit.slots and not holds and not ended
            full = bool(blocking) and not is_key_tag(blocking) and not holds and limit.taken >= limit.slots
            holders = await self._read_fitting(
                store.slots.select_holders(limit.tag, _MOST_HOLDERS), self._render_holder, _MOST_HOLDERS, left
            )
            left = max(0, left - sum(holder.ByteSize() for holder in holders.items))
            answer.limits.add(
                tag=limit.tag,
                limit=limit.slots,
                taken=limit.taken,
                blocks=full or closed or limit.tag == blocking,
                position=before + 1 if limit.tag == blocking else 0,
                holders=holders.items,
                ancestor=await self._ancestor(limit.tag, ancestors) if full else None,
            )

    async def _ancestors(self, run_id: str) -> list[str]:
        """Return the nearest runs that hold slots while their code waits for a run."""
        query = store.ancestors.select_ancestors_of(run_id).limit(_MOST_ANCESTORS)
        return list({id_: None for _of, id_, _name, _tag in await self._read(query)})

    async def _ancestor(self, tag: str, ancestors: list[str]) -> concurrency_limit_pb2.SlotHolder | None:
        """Return the one of ``ancestors`` that has held a slot of ``tag`` for the longest, if any does."""
        rows = await self._read(store.slots.select_holders(tag, 1, among=ancestors)) if ancestors else []
        return self._render_holder(rows[0]) if rows else None

    def _render_holder(self, row: Sequence[Any]) -> concurrency_limit_pb2.SlotHolder:
        return render.render_holder(store.slots.Holder(*row), self._clock.read())

    async def _name(self, run_id: str) -> str:
        """Return a task run's name; empty for none."""
        rows = await self._read(store.queries.select_run(RunKind.TASK, run_id)) if run_id else []
        return task_run_from(rows[0])[0].name if rows else ""

    async def _add_upstream(self, answer: explanation_pb2.ExplainTaskRunResponse, spec: TaskRunSpec) -> None:
        parameters = {id_: parameter for parameter, ids in json.loads(spec.inputs_json) for id_ in ids}
        if not parameters:
            return
        ids = list(parameters)
        for run_id, name, state_type, state_name in await self._read(
            store.queries.select_unfinished(ids, _MOST_UPSTREAM)
        ):
            answer.upstream.add(
                task_run_id=run_id,
                task_run_name=name,
                parameter=parameters[run_id],
                state_type=state_type,
                state_name=state_name,
            )
        answer.upstream_count = len(answer.upstream)
        if answer.upstream_count == _MOST_UPSTREAM:
            answer.upstream_count = (await self._read(store.queries.count_unfinished(ids)))[0][0]

    def _cause(
        self, answer: explanation_pb2.ExplainTaskRunResponse, progress: Progress
    ) -> explanation_pb2.WaitCause.ValueType:
        state = progress.state
        if state.type in TERMINAL or state.type == StateType.RUNNING:
            return explanation_pb2.WAIT_CAUSE_NOTHING
        if answer.cache_key:
            return explanation_pb2.WAIT_CAUSE_CACHE
        if answer.HasField("waiting_since"):
            return explanation_pb2.WAIT_CAUSE_LIMIT
        if progress.wait_left(self._clock.read()):
            return explanation_pb2.WAIT_CAUSE_SCHEDULE
        if answer.upstream:
            return explanation_pb2.WAIT_CAUSE_UPSTREAM
        return explanation_pb2.WAIT_CAUSE_CLIENT

    def _summary(
        self,
        answer: explanation_pb2.ExplainTaskRunResponse,
        spec: TaskRunSpec,
        progress: Progress,
        awaited: str,
    ) -> str:
        match answer.cause:
            case explanation_pb2.WAIT_CAUSE_LIMIT:
                return "; ".join(_limit_summary(limit) for limit in answer.limits if limit.blocks)
            case explanation_pb2.WAIT_CAUSE_CACHE:
                return f"{plain(spec.name)} waits for {_leader_summary(answer)}"
            case explanation_pb2.WAIT_CAUSE_SCHEDULE:
                seconds = progress.wait_left(self._clock.read()) / 1e6
                return f"{plain(spec.name)} is {plain(progress.state.name)}: it may begin in {seconds:.1f} s"
            case explanation_pb2.WAIT_CAUSE_UPSTREAM:
                shown = answer.upstream[:_SHOWN_UPSTREAM]
                runs = ", ".join(f"{plain(run.task_run_name)} ({plain(run.state_name)})" for run in shown)
                more = _more(answer.upstream_count - len(shown))
                return f"{plain(spec.name)} waits for the results of {runs}{more}"
            case explanation_pb2.WAIT_CAUSE_CLIENT:
                return f"{plain(spec.name)} is {plain(progress.state.name)}: {_client_summary(answer)}"
            case _:
                ended = progress.state.message if progress.state.type in TERMINAL else ""
                waits_for = f"its code waits for {plain(awaited)}" if awaited else "it waits for nothing"
                return f"{plain(spec.name)} is {plain(progress.state.name)}: {plain(ended) or waits_for}"


def _begins(progress: Progress, moment: Moment) -> int | None:
    """Return when a Scheduled run may begin; a delay's end by the wall clock as it is set now."""
    begins = progress.state.scheduled_time
    if progress.due is None or begins is None:
        return begins
    present = moment.wall_time(progress.due)
    return begins if abs(present - begins) < _CLOCKS_DIFFER else present


def _leader_summary(answer: explanation_pb2.ExplainTaskRunResponse) -> str:
    place = f"number {answer.cache_position} in the queue"
    if not answer.HasField("leader"):
        return f"the result of its cache key, which another run has just stopped computing; {place}"
    leader = answer.leader
    client = f" for {plain(leader.client_name)}" if leader.client_name else ""
    run = f"{plain(leader.task_run_name)} of {plain(leader.flow_run_name)}"
    return f"{run}, which computes its cache key{client}; {place}"


def _client_summary(answer: explanation_pb2.ExplainTaskRunResponse) -> str:
    closed = [_closed_summary(limit) for limit in answer.limits if limit.blocks]
    return "; ".join(closed) or "its client has not proposed to run it"


def _closed_summary(limit: explanation_pb2.LimitExplanation) -> str:
    return f"the limit of tag '{plain(limit.tag)}' is 0, and who would run under it is aborted"


def _limit_summary(limit: explanation_pb2.LimitExplanation) -> str:
    if not limit.limit:
        return _closed_summary(limit)
    place = f"number {limit.position} in the queue" if limit.position else "not yet in its queue"
    if limit.taken < limit.limit:
        return f"tag '{plain(limit.tag)}': a free slot is kept for a run that has waited longer; {place}"
    if limit.HasField("ancestor"):
        ancestor = plain(limit.ancestor.task_run_name)
        return (
            f"tag '{plain(limit.tag)}': {_held(limit)} held by its own ancestor {ancestor}, "
            f"whose code waits for this run while it holds the slot; {place}"
        )
    names = [plain(holder.task_run_name) for holder in limit.holders[:_SHOWN_HOLDERS]]
    held = ", ".join(names) + _more(limit.taken - len(names))
    return f"tag '{plain(limit.tag)}': {limit.taken} of {limit.limit} slots are taken, by {held}; {place}"


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _held(limit: explanation_pb2.LimitExplanation) -> str:
    return "the only slot is" if limit.taken == 1 else f"one of {limit.taken} slots is"
