"""Model: a store made of dictionaries. With the real core, it is the oracle of the tests.

It gives the core the same guarantees as the real store, and is stricter about the core's guarantees: it
rejects a state that exists already, and the freeing of a slot that is not held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from clearway_service.core.changes import AnswerKind, CacheWrite, Changes, NewState, RecordedAbort
from clearway_service.core.decisions import Accept, recorded_reject
from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Waiter
from clearway_service.core.resources import Resource
from clearway_service.core.runs import FlowRunSpec, Progress, RunKind, TaskRunSpec
from clearway_service.core.snapshot import Recorded, Snapshot, Stage
from clearway_service.core.states import State, StateType
from clearway_service.core.turn import EndedRuns, Work
from support.model_loading import Depths, ModelLoading


class ModelRun(NamedTuple):
    """A run as it is stored."""

    kind: RunKind
    run: FlowRunSpec | TaskRunSpec
    progress: Progress


class ModelSession(NamedTuple):
    """A session as it is stored. Its times are of the steady clock."""

    client_name: str
    expires: int
    lost: int | None = None
    ended: bool = False


@dataclass
class Model:
    """A store in memory.

    Attributes:
        depths: How much of each queue is loaded; None for everything.
        elders: The places of waiters that need slots of several tags, by tag, then by proposal.
        deliveries: Decisions to deliver by other engines, as pairs of owner and proposal id.
    """

    depths: Depths | None = None
    runs: dict[str, ModelRun] = field(default_factory=dict)
    states: dict[str, NewState] = field(default_factory=dict)
    aborts: dict[str, RecordedAbort] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    slots: set[tuple[Resource, str]] = field(default_factory=set)
    waiters: dict[str, Waiter] = field(default_factory=dict)
    elders: dict[str, dict[str, int]] = field(default_factory=dict)
    sessions: dict[str, ModelSession] = field(default_factory=dict)
    cache: dict[str, CacheWrite] = field(default_factory=dict)
    hits: dict[str, int] = field(default_factory=dict)
    deliveries: set[tuple[str, str]] = field(default_factory=set)
    places: int = 0

    def holders(self, resource: Resource) -> set[str]:
        """Return the holders of a resource."""
        return {run_id for held, run_id in self.slots if held == resource}

    def queue(self, resource: Resource) -> list[Waiter]:
        """Return the waiters in the queue of a resource, earliest first."""
        here = [waiter for waiter in self.waiters.values() if waiter.until is None]
        return sorted((w for w in here if w.blocker == resource), key=lambda waiter: waiter.position)

    def eldest(self, tag: str) -> list[Waiter]:
        """Return the elders of a tag, earliest first."""
        known = (self.waiters[id_] for id_ in self.elders.get(tag, ()))
        here = (w for w in known if w.until is None and not w.blocker.is_key)
        return sorted(here, key=lambda waiter: waiter.position)

    def with_key(self, cache_key: str) -> list[Waiter]:
        """Return the waiters with a cache key, in any queue, that may be served, earliest first."""
        here = [waiter for waiter in self.waiters.values() if waiter.until is None]
        mine = (
            w for w in here if w.proposal.state.cache_key == cache_key and not w.proposal.state.refresh_cache
        )
        return sorted(mine, key=lambda waiter: waiter.position)

    def has_result(self, cache_key: str, now: int) -> bool:
        """Return True if a cache key has a live entry."""
        entry = self.cache.get(cache_key)
        return entry is not None and (entry.expires is None or entry.expires > now)

    def history(self, run_id: str) -> list[NewState]:
        """Return the states of a run, in order."""
        return sorted((s for s in self.states.values() if s.run_id == run_id), key=lambda s: s.ordinal)

    # Commands: the effects of calls other than proposals.

    def create(self, kind: RunKind, run: FlowRunSpec | TaskRunSpec, progress: Progress) -> None:
        """Create a run; the task run that tracks a subflow is linked to it."""
        assert run.id not in self.runs
        if isinstance(run, FlowRunSpec) and run.parent_task_run_id:
            parent = self.runs[run.parent_task_run_id]
            assert isinstance(parent.run, TaskRunSpec)
            self.runs[parent.run.id] = parent._replace(run=parent.run._replace(child_flow_run_id=run.id))
        self.runs[run.id] = ModelRun(kind, run, progress)
        self._append(NewState(kind, run.id, 1, progress.state, AnswerKind.NONE, ""))

    def open_session(self, session_id: str, client_name: str, expires: int) -> None:
        """Open a session."""
        self.sessions[session_id] = ModelSession(client_name, expires)

    def set_limit(self, tag: str, slots: int) -> set[Resource]:
        """Set a tag's limit; a new one counts Running runs. Return the resources to wake."""
        if tag not in self.limits:
            self.slots |= {(Resource.of_tag(tag), run_id) for run_id in self.running(tag)}
            self.limits[tag] = slots
            self._track_elders(tag)
        self.limits[tag] = slots
        return {Resource.of_tag(tag)}

    def _track_elders(self, tag: str) -> None:
        """Add waiters in other queues that also need ``tag`` to the elders of their tags."""
        for id_, waiter in self.waiters.items():
            wanted = set(self.runs[waiter.proposal.run_id].run.limited_tags) & self.limits.keys()
            others = {Resource.of_tag(other) for other in wanted - {tag}}
            if waiter.until is None and tag in wanted and waiter.blocker in others:
                for each in wanted:
                    self.elders.setdefault(each, {}).setdefault(id_, waiter.position)

    def delete_limit(self, tag: str) -> set[Resource]:
        """Remove a tag's limit, if it has one. Return the resources to wake."""
        if self.limits.pop(tag, None) is None:
            return set()
        return self._take_back(tag)

    def reset_limit(self, tag: str) -> set[Resource]:
        """Forcibly free all slots of a limited tag. Return the resources to wake."""
        return self._take_back(tag) if tag in self.limits else set()

    def renew_sessions(self, session_ids: Iterable[str], expires: int) -> None:
        """Set the expiry of sessions, except ended ones."""
        for id_ in session_ids:
            if not self.sessions[id_].ended:
                self.sessions[id_] = self.sessions[id_]._replace(expires=expires, lost=None)

    def extend_sessions(self, expires: int) -> None:
        """Let no open session expire before ``expires``."""
        for id_, session in self.sessions.items():
            if not session.ended and session.expires < expires:
                self.sessions[id_] = session._replace(expires=expires)

    def shorten_session(self, session_id: str, steady: int, grace: int) -> None:
        """Shorten a session's lease to ``grace``, if it is longer."""
        session = self.sessions[session_id]
        if session.expires > steady + grace:
            self.sessions[session_id] = session._replace(expires=steady + grace, lost=steady)

    def expire_sessions(
        self, moment: Moment, lease: int, dead: Iterable[str]
    ) -> tuple[set[Resource], EndedRuns]:
        """End expired and dead sessions. Return the resources to wake and the runs whose session ended."""
        steady = moment.steady
        over = {
            id_: why_over(session, moment, lease)
            for id_, session in self.sessions.items()
            if not session.ended and (session.expires <= steady or id_ in dead)
        }
        woken, ended = self.end_sessions(over) if over else (set[Resource](), EndedRuns())
        if over:
            woken |= {waiter.blocker for waiter in self.waiters.values() if waiter.until is None}
        away = [id_ for id_, waiter in self.waiters.items() if (waiter.until or steady + 1) <= steady]
        return woken | self.remove_waiters(away), ended

    def end_sessions(self, over: Mapping[str, str]) -> tuple[set[Resource], EndedRuns]:
        """End sessions, each for a reason. Return the resources to wake and the runs whose session ended."""
        ids = set(over)
        for id_ in ids & self.sessions.keys():
            self.sessions[id_] = self.sessions[id_]._replace(ended=True)
        ended: EndedRuns = {
            (run.kind, run.run.id): over[id_]
            for kind in (RunKind.FLOW, RunKind.TASK)
            for id_ in sorted(ids)
            for run in self.runs.values()
            if run.kind is kind and run.progress.session_id == id_ and _is_running(run.progress)
        }
        gone = [
            waiter.proposal.id
            for waiter in self.waiters.values()
            if waiter.proposal.session_id in ids
            or (waiter.owner in ids and not waiter.proposal.session_id and waiter.until is None)
        ]
        self.deliveries = {delivery for delivery in self.deliveries if delivery[0] not in ids}
        return self.remove_waiters(gone), ended

    def remove_waiters(self, proposal_ids: Iterable[str]) -> set[Resource]:
        """Remove waiters. Return the resources to wake, since slots reserved for them are free."""
        woken = set()
        for id_ in proposal_ids:
            if self.waiters.pop(id_, None) is not None:
                left = [tag for tag, places in self.elders.items() if places.pop(id_, None) is not None]
                woken |= {Resource.of_tag(tag) for tag in left}
        return woken

    def collect(self, owner: str) -> list[str]:
        """Remove and return the proposals of ``owner`` that other engines have decided."""
        mine = sorted(proposal_id for of, proposal_id in self.deliveries if of == owner)
        self.deliveries -= {(owner, proposal_id) for proposal_id in mine}
        return mine

    def running(self, tag: str) -> set[str]:
        """Return the Running task runs that a tag's limit applies to."""
        return {
            id_ for id_, run in self.runs.items() if tag in run.run.limited_tags and _is_running(run.progress)
        }

    def _take_back(self, tag: str) -> set[Resource]:
        resource = Resource.of_tag(tag)
        self.slots = {slot for slot in self.slots if slot[0] != resource}
        return {resource}

    def load(self, work: Work, moment: Moment) -> Snapshot:
        """Return the snapshot for a turn."""
        return ModelLoading(self, work).load(moment)

    def recorded(self, proposal_id: str) -> Recorded | None:
        """Return the recorded decision on a proposal, or None."""
        if (abort := self.aborts.get(proposal_id)) is not None:
            return Recorded(abort.kind, abort.run_id, abort.abort, abort.state)
        if (made := self.states.get(proposal_id)) is None:
            return None
        rejected = made.answer is AnswerKind.REJECT
        entered = StateType(made.state.type)
        decision = recorded_reject(entered, made.answer_message) if rejected else Accept()
        return Recorded(made.kind, made.run_id, decision, made.state)

    def write(self, changes: Changes, _now: int) -> None:
        """Apply a batch's changes."""
        for entry in changes.runs:
            assert entry.progress is not None
            assert (entry.stage is Stage.CREATED) is (entry.run.id not in self.runs)
            self.runs[entry.run.id] = ModelRun(entry.kind, entry.run, entry.progress)
        for made in changes.states:
            self._append(made)
        assert self.slots.issuperset(changes.slots_freed)
        self.slots -= changes.slots_freed.keys()
        assert self.slots.isdisjoint(changes.slots_taken)
        self.slots |= changes.slots_taken.keys()
        self.cache |= {entry.key: entry for entry in changes.cache}
        self.hits |= {entry.key: 0 for entry in changes.cache}
        for key, count in changes.cache_hits.items():
            self.hits[key] += count
        for abort in changes.aborts:
            assert abort.proposal_id not in self.aborts
            self.aborts[abort.proposal_id] = abort
        self._write_waiters(changes)
        self.deliveries |= set(changes.deliveries)

    def _write_waiters(self, changes: Changes) -> None:
        for id_ in changes.waiters_removed:
            assert id_ in self.waiters
            self.remove_waiters([id_])
        for id_, blocker in changes.waiters_moved.items():
            self._update(id_, blocker=blocker)
        for id_, waiter in changes.waiters_reattached.items():
            if id_ in self.waiters:
                kept = self.waiters[id_].proposal._replace(
                    session_id=waiter.proposal.session_id, queues=waiter.until is None
                )
                self._update(id_, proposal=kept, owner=waiter.owner, until=waiter.until)
        for id_, waiter in changes.waiters_added.items():
            assert id_ not in self.waiters
            self.places += 1
            kept = waiter.proposal._replace(queues=waiter.until is None, keeps=0, create=None)
            self.waiters[id_] = waiter._replace(proposal=kept, position=self.places)
        for id_, tags in changes.elders_tracked.items():
            for tag in tags:
                if id_ in self.waiters:
                    self.elders.setdefault(tag, {}).setdefault(id_, self.waiters[id_].position)
        for id_, passed in changes.waiters_passed.items():
            self._update(id_, passed=passed)

    def _update(self, proposal_id: str, **columns: Any) -> None:
        if proposal_id in self.waiters:
            self.waiters[proposal_id] = self.waiters[proposal_id]._replace(**columns)

    def _append(self, made: NewState) -> None:
        assert made.state.id not in self.states, f"state {made.state.id} was made twice"
        self.states[made.state.id] = made


def first_state(state_id: str, now: int) -> State:
    """Return the Pending state that a run is created in."""
    return State(state_id, StateType.PENDING, "Pending", now, "", None, None, "", None)


def why_over(session: ModelSession, moment: Moment, lease: int) -> str:
    """Return the reason for a session's end."""
    client = f"lost its client {session.client_name}: "
    if session.expires > moment.steady:
        return f"{client}its process was found dead at {_time(moment.now)}"
    if session.lost is not None:
        seconds = (session.expires - session.lost) / 1e6
        broke = _time(session.lost + moment.now - moment.steady)
        return f"{client}its stream broke at {broke}, and it did not reconnect within {seconds:g} s"
    heard = session.expires - lease
    return f"{client}it was last seen at {_time(heard + moment.now - moment.steady)}"


def _time(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).isoformat()


def _is_running(progress: Progress) -> bool:
    return progress.state.type == StateType.RUNNING
