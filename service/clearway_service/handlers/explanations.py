"""The RPC that says why a task run is where it is."""

from __future__ import annotations

import json

from clearway.v1 import explanation_pb2
from clearway_service import store
from clearway_service.core.keys import is_key_tag, key_of
from clearway_service.core.moment import Moment
from clearway_service.core.runs import Progress, RunKind, TaskRunSpec
from clearway_service.core.states import TERMINAL, StateType
from clearway_service.errors import RunNotFoundError
from clearway_service.handlers import rendering as render
from clearway_service.handlers import validation as valid
from clearway_service.handlers.base import Handlers
from clearway_service.store.rows import task_run_from

_SHOWN_HOLDERS = 3
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
        for row in (await self._read(store.slots.select_holders([tag])))[:1]:
            holder = store.slots.Holder(*row)
            answer.leader.CopyFrom(render.render_holder(holder, self._clock.read()))

    async def _add_limits(
        self,
        answer: explanation_pb2.ExplainTaskRunResponse,
        spec: TaskRunSpec,
        blocking: str,
        before: int,
    ) -> None:
        tags, moment = list(spec.limited_tags), self._clock.read()
        if not tags:
            return
        ended = StateType(answer.task_run.state.type) in TERMINAL
        holders = [store.slots.Holder(*row) for row in await self._read(store.slots.select_holders(tags))]
        rows = await self._read(store.limits.select_limits_of(tags))
        limits = [store.limits.LimitRow(*row) for row in rows]
        found = await self._read(store.ancestors.select_ancestors_of(spec.id)) if blocking else []
        ancestors = {run_id for _of, run_id, _name, _tag in found}
        for limit in sorted(limits, key=lambda limit: (limit.tag != blocking, limit.tag)):
            mine = [holder for holder in holders if holder.tag == limit.tag]
            held = any(holder.task_run_id == spec.id for holder in mine)
            closed = not limit.slots and not held and not ended
            full = bool(blocking) and not is_key_tag(blocking) and not held and len(mine) >= limit.slots
            ancestor = next((holder for holder in mine if full and holder.task_run_id in ancestors), None)
            answer.limits.add(
                tag=limit.tag,
                limit=limit.slots,
                taken=len(mine),
                blocks=full or closed or limit.tag == blocking,
                position=before + 1 if limit.tag == blocking else 0,
                holders=[render.render_holder(holder, moment) for holder in mine],
                ancestor=None if ancestor is None else render.render_holder(ancestor, moment),
            )

    async def _name(self, run_id: str) -> str:
        """Return a task run's name; empty for none."""
        rows = await self._read(store.queries.select_run(RunKind.TASK, run_id)) if run_id else []
        return task_run_from(rows[0])[0].name if rows else ""

    async def _add_upstream(self, answer: explanation_pb2.ExplainTaskRunResponse, spec: TaskRunSpec) -> None:
        parameters = {id_: parameter for parameter, ids in json.loads(spec.inputs_json) for id_ in ids}
        if not parameters:
            return
        for row in await self._read(store.queries.select_runs_by_id(RunKind.TASK, list(parameters))):
            upstream, progress = task_run_from(row)
            if progress.state.type not in TERMINAL:
                answer.upstream.add(
                    task_run_id=upstream.id,
                    task_run_name=upstream.name,
                    parameter=parameters[upstream.id],
                    state_type=progress.state.type,
                    state_name=progress.state.name,
                )

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
                return f"{spec.name} waits for {_leader_summary(answer)}"
            case explanation_pb2.WAIT_CAUSE_SCHEDULE:
                seconds = progress.wait_left(self._clock.read()) / 1e6
                return f"{spec.name} is {progress.state.name}: it may begin in {seconds:.1f} s"
            case explanation_pb2.WAIT_CAUSE_UPSTREAM:
                runs = ", ".join(f"{run.task_run_name} ({run.state_name})" for run in answer.upstream)
                return f"{spec.name} waits for the results of {runs}"
            case explanation_pb2.WAIT_CAUSE_CLIENT:
                return f"{spec.name} is {progress.state.name}: {_client_summary(answer)}"
            case _:
                ended = progress.state.message if progress.state.type in TERMINAL else ""
                waits_for = f"its code waits for {awaited}" if awaited else "it waits for nothing"
                return f"{spec.name} is {progress.state.name}: {ended or waits_for}"


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
    client = f" for {leader.client_name}" if leader.client_name else ""
    return f"{leader.task_run_name} of {leader.flow_run_name}, which computes its cache key{client}; {place}"


def _client_summary(answer: explanation_pb2.ExplainTaskRunResponse) -> str:
    closed = [_closed_summary(limit) for limit in answer.limits if limit.blocks]
    return "; ".join(closed) or "its client has not proposed to run it"


def _closed_summary(limit: explanation_pb2.LimitExplanation) -> str:
    return f"the limit of tag '{limit.tag}' is 0, and who would run under it is aborted"


def _limit_summary(limit: explanation_pb2.LimitExplanation) -> str:
    if not limit.limit:
        return _closed_summary(limit)
    place = f"number {limit.position} in the queue" if limit.position else "not yet in its queue"
    if limit.taken < limit.limit:
        return f"tag '{limit.tag}': a free slot is kept for a run that has waited longer; {place}"
    if limit.HasField("ancestor"):
        return (
            f"tag '{limit.tag}': {_held(limit)} held by its own ancestor {limit.ancestor.task_run_name}, "
            f"whose code waits for this run while it holds the slot; {place}"
        )
    names = [holder.task_run_name for holder in limit.holders[:_SHOWN_HOLDERS]]
    more = limit.taken - len(names)
    held = ", ".join(names) + (f" and {more} more" if more > 0 else "")
    return f"tag '{limit.tag}': {limit.taken} of {limit.limit} slots are taken, by {held}; {place}"


def _held(limit: explanation_pb2.LimitExplanation) -> str:
    return "the only slot is" if limit.taken == 1 else f"one of {limit.taken} slots is"
