"""The RPC that explains why a task run is in its current state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from clearway.v1 import concurrency_limit_pb2, explanation_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api.base import MAX_ANSWER_BYTES, Handlers
from clearway_service.api.explanation_sentence import summary_of
from clearway_service.api.parsing import uuid_of
from clearway_service.core.moment import Moment
from clearway_service.core.resources import Resource
from clearway_service.core.runs import Progress, RunKind, TaskRunSpec
from clearway_service.core.states import TERMINAL, StateType
from clearway_service.errors import RunNotFoundError
from clearway_service.store.resources import resource_from, resource_to
from clearway_service.store.rows import task_run_from

# How many holders of one limit, and how many upstream runs, a response lists at most.
_MOST_HOLDERS = 100
_MOST_UPSTREAM = 100
# How many ancestors, whose code waits for the run, are checked at most.
_MOST_ANCESTORS = 1_000
# How much of a response the holders of all limits may fill, those of the blocking limit first.
_HOLDER_BYTES = MAX_ANSWER_BYTES // 4
# Tolerance: the two clocks are not read simultaneously, and NTP corrects one of them all the time.
_CLOCKS_DIFFER = 1_000_000


class _Place(NamedTuple):
    """The place of a run in a queue.

    Attributes:
        resource: The tag or cache key of the queue.
        since: When it joined the queue, in microseconds since 1970.
        before: How many waiters are before it.
    """

    resource: Resource
    since: int
    before: int

    @property
    def position(self) -> int:
        """Its position in the queue, from 1."""
        return self.before + 1


class ExplanationHandlers(Handlers):
    """The RPC that explains why a task run is in its current state."""

    async def ExplainTaskRun(  # noqa: N802 - the RPC's name
        self, request: explanation_pb2.ExplainTaskRunRequest
    ) -> explanation_pb2.ExplainTaskRunResponse:
        """Explain why a task run is in its current state."""
        run_id = uuid_of(request.id)
        rows = await self._read(store.queries.select_run(RunKind.TASK, run_id))
        if not rows:
            raise RunNotFoundError(f"no task run has the id {run_id}", "id", run_id=run_id)
        spec, progress = task_run_from(rows[0])
        response = explanation_pb2.ExplainTaskRunResponse(task_run=render.render_task_run(spec, progress))
        found = await self._read(store.slots.select_place(spec.id))
        place = _Place(resource_from(found[0][0]), *found[0][1:]) if found else None
        await self._add_limits(response, spec, place)
        awaited = await self._add_cause(response, spec, progress, place)
        response.summary = summary_of(response, spec, progress, awaited, self._clock.read())
        return response

    async def _add_cause(
        self,
        response: explanation_pb2.ExplainTaskRunResponse,
        spec: TaskRunSpec,
        progress: Progress,
        place: _Place | None,
    ) -> str:
        """Set the cause; return the name of the run whose result the run's code awaits, if any."""
        if progress.state.type in TERMINAL:
            response.ended.SetInParent()
        elif progress.state.type == StateType.RUNNING:
            return await self._add_running(response.running, spec.id)
        elif place is not None and place.resource.is_key:
            await self._add_leader(response.cache_leader, place)
        elif place is not None:
            response.limit.tag = place.resource.name
            response.limit.position = place.position
            response.limit.enqueue_time.CopyFrom(render.timestamp(place.since))
        elif progress.wait_left(self._clock.read()):
            begins = _begins(progress, self._clock.read())
            response.schedule.scheduled_time.CopyFrom(render.timestamp(begins))
        elif not await self._add_upstream(response, spec):
            response.client.SetInParent()
        return ""

    async def _add_running(self, running: explanation_pb2.RunRunning, run_id: str) -> str:
        running.SetInParent()
        for row in await self._read(store.slots.select_runner(run_id)):
            holder = store.slots.Holder(*row)
            if holder.client_name is not None:
                running.holder.CopyFrom(render.render_holder(holder, self._clock.read()))
            running.awaited_task_run_id = holder.awaits
        return await self._name(running.awaited_task_run_id)

    async def _add_leader(self, cause: explanation_pb2.WaitsForCacheLeader, place: _Place) -> None:
        """Add the run that computes the cache key that is waited for."""
        cause.cache_key = place.resource.name
        cause.position = place.position
        cause.enqueue_time.CopyFrom(render.timestamp(place.since))
        for row in await self._read(store.slots.select_holders(resource_to(place.resource), 1)):
            cause.leader.CopyFrom(self._render_holder(row))

    async def _add_limits(
        self,
        response: explanation_pb2.ExplainTaskRunResponse,
        spec: TaskRunSpec,
        place: _Place | None,
    ) -> None:
        tags = list(spec.limited_tags)
        if not tags:
            return
        blocking = "" if place is None or place.resource.is_key else place.resource.name
        ended = StateType(response.task_run.state.type) in TERMINAL
        limits = [
            store.limits.LimitRow(*row) for row in await self._read(store.limits.select_limits_of(tags))
        ]
        held = {tag for (tag,) in await self._read(store.slots.select_tags_held(spec.id))}
        ancestors = await self._ancestors(spec.id) if blocking else []
        left = _HOLDER_BYTES
        for limit in sorted(limits, key=lambda limit: (limit.tag != blocking, limit.tag)):
            holds = limit.tag in held
            closed = not limit.slots and not holds and not ended
            full = bool(blocking) and not holds and limit.taken >= limit.slots
            holders = await self._read_fitting(
                store.slots.select_holders(limit.tag, _MOST_HOLDERS), self._render_holder, _MOST_HOLDERS, left
            )
            left = max(0, left - sum(holder.ByteSize() for holder in holders.items))
            response.limits.add(
                tag=limit.tag,
                limit=limit.slots,
                taken_count=limit.taken,
                blocks=full or closed or limit.tag == blocking,
                position=place.position if place is not None and limit.tag == blocking else 0,
                holders=holders.items,
                ancestor=await self._ancestor(limit.tag, ancestors) if full else None,
            )

    async def _ancestors(self, run_id: str) -> list[str]:
        """Return the nearest ancestors of a run that hold slots while their code waits for it."""
        query = store.ancestors.select_ancestors_of(run_id).limit(_MOST_ANCESTORS)
        return list({id_: None for _of, id_, _name, _tag in await self._read(query)})

    async def _ancestor(self, tag: str, ancestors: list[str]) -> concurrency_limit_pb2.SlotHolder | None:
        """Return the one of ``ancestors`` that has held a slot of ``tag`` the longest, or None."""
        rows = await self._read(store.slots.select_holders(tag, 1, among=ancestors)) if ancestors else []
        return self._render_holder(rows[0]) if rows else None

    def _render_holder(self, row: Sequence[Any]) -> concurrency_limit_pb2.SlotHolder:
        return render.render_holder(store.slots.Holder(*row), self._clock.read())

    async def _name(self, run_id: str) -> str:
        """Return a task run's name; empty for none."""
        rows = await self._read(store.queries.select_run(RunKind.TASK, run_id)) if run_id else []
        return task_run_from(rows[0])[0].name if rows else ""

    async def _add_upstream(
        self, response: explanation_pb2.ExplainTaskRunResponse, spec: TaskRunSpec
    ) -> bool:
        """Add the upstream runs that have not ended; return True if there are any."""
        parameters = {id_: parameter for parameter, ids in json.loads(spec.inputs_json) for id_ in ids}
        if not parameters:
            return False
        ids = list(parameters)
        rows = await self._read(store.queries.select_unfinished(ids, _MOST_UPSTREAM))
        for run_id, name, state_type, state_name in rows:
            response.upstream.runs.add(
                task_run_id=run_id,
                task_run_name=name,
                parameter=parameters[run_id],
                state_type=state_type,
                state_name=state_name,
            )
        if rows:
            count = len(rows)
            if count == _MOST_UPSTREAM:
                count = (await self._read(store.queries.count_unfinished(ids)))[0][0]
            response.upstream.run_count = count
        return bool(rows)


def _begins(progress: Progress, moment: Moment) -> int:
    """Return when a Scheduled run may start; a delay's end is converted to the current wall clock."""
    begins = progress.state.scheduled_time
    assert begins is not None
    if progress.due is None:
        return begins
    present = moment.wall_time(progress.due)
    return begins if abs(present - begins) < _CLOCKS_DIFFER else present
