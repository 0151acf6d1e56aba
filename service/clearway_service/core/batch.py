"""Batch: decides proposals one after the other on one snapshot, and collects the changes.

A later proposal of the batch sees the effects of earlier ones. The same code, run on a snapshot built from
a dictionary, is the oracle of the model tests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from clearway_service.core.changes import AnswerKind, CacheWrite, Changes, NewState, RecordedAbort
from clearway_service.core.decisions import Abort, Accept, Ancestor, Decision, Reject, Wait, WaitReason
from clearway_service.core.facts import Facts, LimitFacts
from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Answer, Outcome, Problem, Proposal, Refusal, Waiter
from clearway_service.core.queues import Queues
from clearway_service.core.resources import Resource, keys_of
from clearway_service.core.retries import draw_for
from clearway_service.core.rules import FLOW_POLICY, TASK_POLICY, decide
from clearway_service.core.runs import FlowRunSpec, Progress, RunKind, TaskRunSpec, advance, begin
from clearway_service.core.slots import Slots
from clearway_service.core.snapshot import Recorded, RunEntry, Snapshot, Stage
from clearway_service.core.states import (
    DEFAULT_NAMES,
    RERUNNING,
    RETRYING,
    TERMINAL,
    ProposedState,
    State,
    StateType,
)


class Batch:
    """Decides proposals in order on a snapshot, which it modifies and then owns.

    Args:
        snapshot: The stored runs, limits and queues that the batch needs.
        moment: The current time, on both of the service's clocks.
        new_id: Generates ids for states that no proposal produced.
        owner: The engine that replies to the batch's proposals.
    """

    def __init__(self, snapshot: Snapshot, moment: Moment, new_id: Callable[[], str], owner: str) -> None:
        self.changes = Changes()
        self._snapshot = snapshot
        self._moment = moment
        self._now = moment.now
        self._new_id = new_id
        self._queues = Queues(snapshot, self.changes, owner)
        self._slots = Slots(snapshot, self.changes, self._queues)

    def propose(self, proposal: Proposal) -> Outcome:
        """Decide one proposal, and add its effects to ``changes``; a refusal changes nothing."""
        entry = self._find(proposal)
        if isinstance(entry, Refusal):
            return entry
        recorded = self._snapshot.recorded.get(proposal.id)
        waiter = self._queues.find(proposal.id)
        if _conflicts(entry, recorded, waiter):
            return Refusal(proposal.id, Problem.PROPOSAL_CONFLICT, proposal.id)
        if recorded is not None:
            return Answer(proposal.id, entry.kind, entry.run, recorded.decision, recorded.state)
        if proposal.session_id not in self._snapshot.open_sessions and self._may_go_on(entry, proposal):
            return Refusal(proposal.id, Problem.SESSION_EXPIRED, proposal.session_id, proposal)
        if waiter is not None and not proposal.unwanted:
            return self._propose_again(entry, waiter, proposal)
        decision = decide(_policy(entry.kind), self._facts(entry, proposal))
        return self._settle(entry, proposal, decision)

    def look_up(self, proposal: Proposal) -> Outcome:
        """Return the current outcome of a proposal that was queued for a slot. Changes nothing.

        Args:
            proposal: One that the snapshot was loaded for. Only the type of its state is read.

        Returns:
            The recorded decision; or a wait, with ``queued`` True while it is still in the queue.
        """
        entry = self._find(proposal)
        if isinstance(entry, Refusal):
            return entry
        recorded = self._snapshot.recorded.get(proposal.id)
        if recorded is not None:
            return Answer(proposal.id, entry.kind, entry.run, recorded.decision, recorded.state)
        queued = self._queues.find(proposal.id) is not None
        decision = decide(_policy(entry.kind), self._facts(entry, proposal))
        if not isinstance(decision, Wait):
            # As when a run's scheduled time has come: there is nothing left to wait for.
            decision = Wait(WaitReason.SCHEDULE, 0, "the proposal has left the queue; propose it again")
        return Answer(proposal.id, entry.kind, entry.run, decision, self._present(entry), queued)

    def _may_go_on(self, entry: RunEntry, proposal: Proposal) -> bool:
        """Return True if the session matters: one is named, and the run has not ended.

        For a run that has ended, the rules abort with a more precise reason than an expired session.
        """
        ended = entry.progress is not None and entry.progress.state.type in TERMINAL
        return bool(proposal.session_id) and not ended

    def crash(self, run_id: str, message: str) -> None:
        """Move a Running run to Crashed because its session has ended."""
        entry = self._snapshot.runs[run_id]
        if entry.progress is not None and entry.progress.state.type == StateType.RUNNING:
            state = ProposedState(StateType.CRASHED, message=message)
            self._enter(entry, state, self._new_id(), "", AnswerKind.NONE, "")

    def wake(self, resources: Collection[Resource] = (), runs: Collection[str] = ()) -> list[Answer]:
        """Decide waiting proposals again, in the order of arrival.

        Args:
            resources: Resources whose limits changed, or whose queues have more to decide. Those that this
                batch released are included without being named.
            runs: Runs whose waiting proposals must be decided again for another reason.

        Returns:
            The final answers, including those for proposals of other engines.
        """
        if not (resources or runs or self._queues.any_marked):
            return []
        changed = set(resources)
        for run_id in runs:
            self._queues.mark_run(run_id, "")
        for key in keys_of(changed) & self._snapshot.cache.keys():
            self._queues.mark_key(key)
        seen: set[str] = set()
        answers = []
        while (waiter := self._queues.next(changed, seen)) is not None:
            seen.add(waiter.proposal.id)
            answer = self._decide_again(waiter)
            if isinstance(answer, Answer):
                answers.append(answer)
        self.changes.wake_again = self._queues.unfinished(changed)
        return answers

    def _find(self, proposal: Proposal) -> RunEntry | Refusal:
        """Return the run that the proposal is for; a run yet to be created is not added to the snapshot."""
        snapshot = self._snapshot
        spec = proposal.create
        if spec is None:
            entry = snapshot.runs.get(proposal.run_id)
            if entry is None or entry.kind is not proposal.kind:
                return Refusal(proposal.id, Problem.RUN_NOT_FOUND, proposal.run_id)
            return entry
        existing = snapshot.task_runs_by_key.get((spec.flow_run_id, spec.task_key, spec.dynamic_key))
        if existing is not None:
            return snapshot.runs[existing]
        if any(spec.id in taken for taken in (snapshot.runs, snapshot.task_runs, snapshot.flow_runs)):
            return Refusal(proposal.id, Problem.RUN_CONFLICT, spec.id)
        if spec.flow_run_id not in snapshot.flow_runs:
            return Refusal(proposal.id, Problem.FLOW_RUN_NOT_FOUND, spec.flow_run_id)
        return RunEntry(RunKind.TASK, spec, None)

    def _facts(self, entry: RunEntry, proposal: Proposal, waiter: Waiter | None = None) -> Facts:
        run, progress, proposed = entry.run, entry.progress, proposal.state
        if proposed.type != StateType.RUNNING:
            draw = draw_for(proposal.id) if run.retry_policy.jitter_factor else 0.0
            return Facts(self._moment, run, progress, proposed, proposal.session_id, draw=draw)
        snapshot = self._snapshot
        held_by = "" if progress is None else progress.session_id
        holder = "" if held_by == proposal.session_id else snapshot.holders.get(held_by, "")
        held = snapshot.slots.get(run.id, ())
        limits = tuple(
            LimitFacts(
                resource.name,
                limit.limit,
                limit.taken,
                resource in held,
                self._queues.ahead(limit, waiter),
                self._ancestors(run.id, resource),
            )
            for resource in run.limited
            if (limit := snapshot.limits.get(resource)) is not None and limit.limit is not None
        )
        cached = snapshot.cache.get(proposed.cache_key) if proposed.cache_key else None
        flight = self._flight(run, proposed, waiter) if proposed.single_flight else None
        return Facts(
            self._moment,
            run,
            progress,
            proposed,
            proposal.session_id,
            holder,
            cached,
            limits,
            flight=flight,
            unwanted=proposal.unwanted,
        )

    def _flight(
        self, run: FlowRunSpec | TaskRunSpec, proposed: ProposedState, waiter: Waiter | None
    ) -> LimitFacts | None:
        """Return the state of a cache key as a limit of 1; None if the proposal need not wait for it."""
        key = Resource.of_key(proposed.cache_key)
        limit = self._snapshot.limits.get(key)
        if limit is None or not isinstance(run, TaskRunSpec) or run.tracks_subflow:
            return None
        if proposed.refresh_cache or self._ancestors(run.id, key):
            # The run that computes the key waits for this one: computing it twice beats a deadlock.
            return None
        held = key in self._snapshot.slots.get(run.id, ())
        return LimitFacts(key.name, 1, limit.taken, held, self._queues.ahead(limit, waiter))

    def _ancestors(self, run_id: str, resource: Resource) -> tuple[Ancestor, ...]:
        """Return the runs that hold a resource while their code waits for this run."""
        known = self._snapshot.ancestors.get(run_id)
        if not known:
            return ()
        freed = self.changes.slots_freed
        return tuple(each for each in known if each.held == resource and (resource, each.run_id) not in freed)

    def _settle(
        self, entry: RunEntry, proposal: Proposal, decision: Decision, waiter: Waiter | None = None
    ) -> Answer:
        """Apply a decision; only Accept and Reject move the run."""
        queued, position = False, 0
        match decision:
            case Accept():
                self._pass_over(entry, proposal, waiter)
                state = self._enter(
                    entry, proposal.state, proposal.id, proposal.session_id, AnswerKind.ACCEPT, ""
                )
            case Reject(_reason, proposed, message):
                if proposed.cache_key:
                    hits = self.changes.cache_hits
                    hits[proposed.cache_key] = hits.get(proposed.cache_key, 0) + 1
                state = self._enter(entry, proposed, proposal.id, "", AnswerKind.REJECT, message)
            case Wait(_reason, retry_after):
                state = self._present(entry)
                if retry_after is None and waiter is None:
                    queued, position = self._queue(entry, proposal, decision)
            case Abort():
                state = self._present(entry)
                self.changes.aborts.append(
                    RecordedAbort(proposal.id, entry.kind, entry.run.id, decision, state)
                )
        if not isinstance(decision, Wait):
            self._snapshot.recorded[proposal.id] = Recorded(entry.kind, entry.run.id, decision, state)
        return Answer(proposal.id, entry.kind, entry.run, decision, state, queued, position)

    def _present(self, entry: RunEntry) -> State:
        """Return the run's state; a run that is being created and may not start yet is Pending."""
        if entry.progress is not None:
            return entry.progress.state
        return self._enter(entry, ProposedState(StateType.PENDING), self._new_id(), "", AnswerKind.NONE, "")

    def _enter(
        self,
        entry: RunEntry,
        proposed: ProposedState,
        state_id: str,
        session_id: str,
        answer: AnswerKind,
        answer_message: str,
    ) -> State:
        before = entry.progress
        state = State(
            state_id,
            proposed.type,
            _name(entry, proposed),
            self._now,
            proposed.message,
            proposed.data,
            proposed.scheduled_time,
            proposed.cache_key,
            proposed.cache_expiration,
        )
        steady = self._moment.steady
        progress = (
            begin(state, session_id, steady)
            if before is None
            else advance(before, state, session_id, steady, proposed.due)
        )
        entry.progress = progress
        if before is None:
            self._add(entry)
        elif entry.stage is Stage.LOADED:
            entry.stage = Stage.CHANGED
            self.changes.runs.append(entry)
        self.changes.states.append(
            NewState(entry.kind, entry.run.id, progress.ordinal, state, answer, answer_message)
        )
        if isinstance(entry.run, TaskRunSpec):
            self._follow(entry.run, before is not None and before.state.type == StateType.RUNNING, state)
            if answer is AnswerKind.ACCEPT and state.type == StateType.COMPLETED and state.cache_key:
                self._write_cache(entry.run, state)
        else:
            self._mirror(entry.run, progress)
        return state

    def _add(self, entry: RunEntry) -> None:
        entry.stage = Stage.CREATED
        run = entry.run
        self._snapshot.runs[run.id] = entry
        if isinstance(run, TaskRunSpec):
            self._snapshot.task_runs_by_key[run.flow_run_id, run.task_key, run.dynamic_key] = run.id
        self.changes.runs.append(entry)

    def _follow(self, run: TaskRunSpec, was_running: bool, state: State) -> None:
        """Take or free the run's slots for its new state, and mark its waiting proposals."""
        if state.type == StateType.RUNNING:
            if run.tags or state.cache_key or was_running:
                self._slots.take(run, state.cache_key)
        elif was_running:
            self._slots.free(run.id)
        self._queues.mark_run(run.id, state.id)

    def _write_cache(self, run: TaskRunSpec, state: State) -> None:
        expires = None if state.cache_expiration is None else self._now + state.cache_expiration
        self.changes.cache.append(CacheWrite(state.cache_key, state.id, run.id, self._now, expires))
        self.changes.cache_hits.pop(state.cache_key, None)
        self._snapshot.cache[state.cache_key] = state
        self._queues.mark_key(state.cache_key)

    def _mirror(self, run: FlowRunSpec, progress: Progress) -> None:
        """Move the task run that tracks a subflow to the subflow's new state."""
        tracking = self._snapshot.runs.get(run.parent_task_run_id)
        if tracking is None or not isinstance(tracking.run, TaskRunSpec) or not tracking.run.tracks_subflow:
            return
        if tracking.progress is None or tracking.progress.state.type in TERMINAL:
            return
        state = progress.state
        followed = ProposedState(
            state.type, state.name, state.message, state.data, state.scheduled_time, due=progress.due
        )
        self._enter(tracking, followed, self._new_id(), "", AnswerKind.NONE, "")

    def _pass_over(self, entry: RunEntry, proposal: Proposal, waiter: Waiter | None) -> None:
        """Record, for waiters that came earlier, that the run takes slots ahead of them."""
        if proposal.state.type != StateType.RUNNING or not entry.run.limited_tags:
            return
        held = self._snapshot.slots.get(entry.run.id, ())
        limits = self._snapshot.limits
        taken = [each for each in entry.run.limited if each in limits and each not in held]
        self._queues.pass_over(taken, waiter)

    def _queue(self, entry: RunEntry, proposal: Proposal, decision: Wait) -> tuple[bool, int]:
        """Add a proposal to the queue if it asks for that; return whether it is queued, and its position."""
        if not (proposal.queues or proposal.keeps) or not isinstance(entry.run, TaskRunSpec):
            return False, 0
        waiting = proposal._replace(run_id=entry.run.id, create=None)
        position = self._queues.join(waiting, entry.run, decision.blockers[0], self._until(proposal))
        return proposal.queues, position

    def _until(self, proposal: Proposal) -> int | None:
        return None if proposal.queues else self._moment.steady + proposal.keeps

    def _propose_again(self, entry: RunEntry, waiter: Waiter, proposal: Proposal) -> Answer:
        """Decide a queued proposal that was sent again; it keeps its place."""
        assert isinstance(entry.run, TaskRunSpec)
        reattached = self._queues.reattach(waiter, entry.run, proposal, self._until(proposal))
        answer = self._decide_again(reattached)
        if isinstance(answer, Answer):
            return answer
        state = self._present(entry)
        return Answer(proposal.id, entry.kind, entry.run, answer, state, queued=proposal.queues)

    def _decide_again(self, waiter: Waiter) -> Answer | Wait:
        """Decide a waiter again; return the final answer, or the wait that now applies."""
        entry = self._snapshot.runs[waiter.proposal.run_id]
        assert isinstance(entry.run, TaskRunSpec)
        decision = decide(TASK_POLICY, self._facts(entry, waiter.proposal, waiter))
        if isinstance(decision, Wait) and decision.retry_after is None:
            blockers = decision.blockers
            if waiter.blocker not in blockers:
                self._queues.move(waiter, entry.run, blockers[0])
            return decision
        # A run that was scheduled for later leaves as well: a freed slot would not help it.
        self._queues.leave(waiter, entry.run)
        return self._settle(entry, waiter.proposal, decision, waiter)


def _conflicts(entry: RunEntry, recorded: Recorded | None, waiter: Waiter | None) -> bool:
    """Return True if the proposal's id was used for another run before."""
    if recorded is not None:
        return (recorded.kind, recorded.run_id) != (entry.kind, entry.run.id)
    return waiter is not None and waiter.proposal.run_id != entry.run.id


def _policy(kind: RunKind) -> tuple[Callable[[Facts], Decision | None], ...]:
    return TASK_POLICY if kind is RunKind.TASK else FLOW_POLICY


def _name(entry: RunEntry, proposed: ProposedState) -> str:
    """Return the state's name: the client's, or the default for the transition."""
    if proposed.name:
        return proposed.name
    if proposed.type == StateType.RUNNING and entry.progress is not None:
        if entry.progress.state.type == StateType.RUNNING:
            return RERUNNING
        if entry.progress.run_count > 0:
            return RETRYING
    return DEFAULT_NAMES[StateType(proposed.type)]
