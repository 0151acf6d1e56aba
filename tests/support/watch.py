"""Invariants of the state machines, checked after every turn and when nothing is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from clearway_service.core.decisions import Abort, Accept, Reject, Wait
from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Answer, Proposal, Refusal, Waiter
from clearway_service.core.resources import Resource
from clearway_service.core.runs import FlowRunSpec, TaskRunSpec
from clearway_service.core.states import AWAITING_RETRY, TERMINAL, StateType
from support.engines import Command, CreateRun, ExpireSessions, ModelEngine, Turn
from support.model import Model

Told = tuple[Any, ...]


class Watch:
    """Tracks the history of a store, and checks the invariants.

    Args:
        model: The store that is watched.
        max_passed: How often a waiter may be passed over, for itself and for each waiter before it.

    Attributes:
        undecided: Proposals that got a wait, and no final decision yet.
        gone: Proposals whose clients expect no decision from an engine, as pairs of owner and proposal.
        set_back: Whether the wall clock was set back, so that timestamps may be out of order, and expired
            cache entries may be live again.
    """

    def __init__(self, model: Model, max_passed: int) -> None:
        self.undecided: set[str] = set()
        self.gone: set[tuple[str, str]] = set()
        self._model = model
        self._max_passed = max_passed
        self._told: dict[str, Told] = {}
        self._uncounted: set[tuple[str, str]] = set()
        self._passed: dict[str, int] = {}
        self._before_me: dict[str, set[str]] = {}
        self._single = False
        self._followers: set[str] = set()
        self._entered: dict[str, int] = {}
        self._due: dict[str, int] = {}
        self.set_back = False

    def reset(self, tag: str) -> None:
        """Record that the holders of a tag's slots are no longer counted."""
        self._uncounted |= {(tag, run_id) for run_id in self._model.running(tag)}

    def before(self, proposals: Sequence[Proposal], commands: Sequence[Command]) -> None:
        """Record the state of the store before a turn."""
        model = self._model
        self._single = len(proposals) == 1 and not commands
        self._looked = any(isinstance(command, ExpireSessions) for command in commands)
        self._created = {command.run.id for command in commands if isinstance(command, CreateRun)}
        self._followers |= {proposal.id for proposal in proposals if _follows(proposal)}
        self._runs = dict(model.runs)
        self._slots = set(model.slots)
        self._waiters = dict(model.waiters)
        # By run as well: an id may be reused for another run, which is refused while the first one waits.
        away = {(w.proposal.id, w.proposal.run_id): w.until is not None for w in model.waiters.values()}
        # A proposal of this turn counts as connected even if it does not queue: it may have queued before.
        away |= {(proposal.id, proposal.run_id): False for proposal in proposals}
        self._away = {which for which, is_away in away.items() if is_away}
        self._counted = {
            tag: model.holders(Resource.of_tag(tag)) if tag in model.limits else model.running(tag)
            for tag in "abc"
        }
        self._sessions = {id_ for id_, session in model.sessions.items() if session.ended}

    def after(self, turn: Turn, moment: Moment) -> None:
        """Check the invariants after a turn at ``moment``."""
        self._note_times(turn, moment)
        self._gone(turn)
        self._check_answers(turn)
        self._check_effects(turn)
        self._check_histories(turn)
        self._check_slots()
        if self._looked:
            self._check_leases(moment.steady)
        self._check_keys(turn)
        self._check_bypasses(turn)
        self._moment = moment

    def check_quiet(self, engines: Iterable[ModelEngine]) -> None:
        """Check the invariants when no engine has anything left to do."""
        for waiter in self._model.waiters.values():
            if waiter.until is None:
                self._check_waits_for_a_reason(waiter)
        for engine in engines:
            for id_ in engine.waiting:
                waits = self._model.waiters.get(id_)
                mine = waits is not None and waits.owner == engine.owner
                assert mine or (engine.owner, id_) in self.gone, f"{id_} will never be decided"

    def _gone(self, turn: Turn) -> None:
        """Record proposals whose clients are gone: their session ended, or they use another engine."""
        model = self._model
        woken = {answer.proposal_id for answer in turn.woken}
        asked = {outcome.proposal_id for outcome in turn.outcomes}
        for id_, waiter in self._waiters.items():
            waits = model.waiters.get(id_)
            elsewhere = waiter.owner != turn.owner and id_ in asked
            if (waits is None and id_ not in woken | asked) or elsewhere:
                self.gone.add((waiter.owner, id_))
        self.gone -= {(waiter.owner, id_) for id_, waiter in model.waiters.items()}

    def _note_times(self, turn: Turn, moment: Moment) -> None:
        """Record, by the steady clock, when states were entered and when retry delays end."""
        for made in turn.changes.states:
            state = made.state
            assert state.timestamp == moment.now
            self._entered[state.id] = moment.steady
            if state.name == AWAITING_RETRY:
                assert state.scheduled_time is not None
                self._due[made.run_id] = moment.steady + state.scheduled_time - state.timestamp
            elif state.type == StateType.RUNNING and made.run_id in self._due:
                assert self._due.pop(made.run_id) <= moment.steady, f"{made.run_id} was retried too early"
            else:
                self._due.pop(made.run_id, None)
        for answer in turn.answers:
            due = self._due.get(answer.run.id)
            if due is not None and isinstance(answer.decision, Wait) and answer.decision.retry_after:
                assert answer.decision.retry_after == due - moment.steady

    def _check_answers(self, turn: Turn) -> None:
        woken = {(answer.proposal_id, answer.run.id) for answer in turn.woken}
        assert woken.isdisjoint(self._away), "a proposal was decided while its client was away"
        for answer in turn.answers:
            match answer.decision:
                case Wait():
                    assert answer.proposal_id not in self._told, "a proposal got a second final decision"
                    self.undecided.add(answer.proposal_id)
                case _:
                    self.undecided.discard(answer.proposal_id)
                    told = _told(answer)
                    assert self._told.setdefault(answer.proposal_id, told) == told, "a replay differs"
        for outcome in turn.outcomes:
            if isinstance(outcome, Answer) and outcome.queued:
                last = {answer.proposal_id for answer in turn.answers if not answer.queued}
                assert outcome.proposal_id in self._model.waiters.keys() | last
                assert isinstance(outcome.decision, Wait)
                assert outcome.decision.retry_after is None
        if self._single and isinstance(turn.outcomes[0], Refusal) and not turn.changes.states:
            assert self._model.runs == self._runs, "a refusal changed something"
            assert self._model.slots == self._slots, "a refusal changed something"

    def _check_effects(self, turn: Turn) -> None:
        """Check that only Accept and Reject move runs and slots."""
        made = {change.state.id for change in turn.changes.states}
        moved = {
            answer.run.id
            for answer in turn.answers
            if isinstance(answer.decision, Accept | Reject) and answer.proposal_id in made
        }
        moved |= {run_id for _kind, run_id in turn.ended_runs}
        followed = {
            run.parent_task_run_id
            for id_ in moved
            if isinstance(run := self._model.runs[id_].run, FlowRunSpec) and run.parent_task_run_id
        }
        for id_, stored in self._model.runs.items():
            if id_ in self._runs and stored.progress != self._runs[id_].progress:
                assert id_ in moved | followed, f"{id_} moved without a decision"
            if id_ not in self._runs and id_ not in moved:
                assert stored.progress.state.type == StateType.PENDING
                assert stored.progress.ordinal == 1
        for _tag, run_id in (*turn.changes.slots_taken, *turn.changes.slots_freed):
            assert run_id in moved, f"slots of {run_id} changed without a decision"

    def _check_histories(self, turn: Turn) -> None:
        for run_id in {change.run_id for change in turn.changes.states}:
            history, progress = self._model.history(run_id), self._model.runs[run_id].progress
            assert [made.ordinal for made in history] == list(range(1, len(history) + 1))
            assert progress.ordinal == len(history)
            assert progress.state == history[-1].state
            assert progress.run_count == sum(made.state.type == StateType.RUNNING for made in history)
            assert not any(made.state.type in TERMINAL for made in history[:-1])
            times = [made.state.timestamp for made in history]
            assert self.set_back or times == sorted(times)
            entered = [self._entered.get(made.state.id, 0) for made in history]
            worked = sum(
                after - before
                for made, before, after in zip(history, entered, entered[1:], strict=False)
                if made.state.type == StateType.RUNNING
            )
            assert progress.total_run_time == worked, "the run time does not follow the steady clock"

    def _check_slots(self) -> None:
        model = self._model
        for resource, run_id in model.slots:
            stored = model.runs[run_id]
            assert stored.progress.state.type == StateType.RUNNING, (
                f"{run_id} holds a slot but is not Running"
            )
            session = stored.progress.session_id
            assert not session or not model.sessions[session].ended, f"{run_id} runs under an ended session"
            assert isinstance(stored.run, TaskRunSpec)
            assert not stored.run.tracks_subflow
            assert resource.is_key or resource.name in model.limits
        for tag, limit in model.limits.items():
            holders, running = model.holders(Resource.of_tag(tag)), model.running(tag)
            self._uncounted = {
                (of, id_) for of, id_ in self._uncounted if of != tag or id_ in running - holders
            }
            assert {id_ for id_ in running - holders if (tag, id_) not in self._uncounted} == set()
            if len(holders) > limit:
                assert holders <= self._counted[tag], f"'{tag}' is over its limit, but a slot was taken"

    def _check_leases(self, steady: int) -> None:
        """Check that no session with an expired lease holds a slot or waits for one."""
        model = self._model
        names = {model.runs[run_id].progress.session_id for _resource, run_id in model.slots}
        names |= {waiter.proposal.session_id for waiter in model.waiters.values()}
        for name in names - {""}:
            session = model.sessions[name]
            assert not session.ended, f"{name} has ended but still holds something"
            assert session.expires > steady, f"the lease of {name} has expired but it still holds something"

    def _check_keys(self, turn: Turn) -> None:
        """Check that runs with a cache key hold it, and that single flight never computes a key twice."""
        model = self._model
        for id_, stored in model.runs.items():
            key, tracks = stored.progress.state.cache_key, getattr(stored.run, "tracks_subflow", True)
            if key and not tracks and stored.progress.state.type == StateType.RUNNING:
                held = (Resource.of_key(key), id_) in model.slots
                assert held, f"{id_} computes '{key}' but does not hold it"
        accepted = self._accepted_followers(turn)
        taken = {(key, id_) for key, id_ in turn.changes.slots_taken if key.is_key and id_ in accepted}
        for key_, id_ in taken:
            others = {slot for slot in self._slots & model.slots if slot[0] == key_}
            others |= {slot for slot in taken if slot[0] == key_}
            assert others == {(key_, id_)}, f"{id_} computes what another run is computing: {others}"

    def _accepted_followers(self, turn: Turn) -> set[str]:
        """Return the accepted runs that had asked for single flight."""
        return {
            answer.run.id
            for answer in turn.answers
            if isinstance(answer.decision, Accept) and answer.proposal_id in self._followers
        }

    def _check_bypasses(self, turn: Turn) -> None:
        """Count the waiters that were passed over in a turn, and check the bound."""
        model = self._model
        places: dict[str, int] = {}
        for answer in turn.answers:
            if isinstance(answer.decision, Accept) and answer.state.type == StateType.RUNNING:
                waiter = self._waiters.get(answer.proposal_id)
                place = 2**62 if waiter is None else waiter.position
                places[answer.run.id] = min(place, places.get(answer.run.id, place))
        followers = self._accepted_followers(turn)
        for resource, run_id in turn.changes.slots_taken:
            # Runs without single flight do not wait for the run that computes their key.
            if run_id in places and (run_id in followers or not resource.is_key):
                self._check_order(turn, resource, run_id, places[run_id])
        for id_ in self._passed.keys() - self._elders(model.waiters):
            del self._passed[id_], self._before_me[id_]
        for id_ in self._elders(self._waiters) & self._elders(model.waiters):
            elder = model.waiters[id_]
            limited = model.runs[elder.proposal.run_id].run.limited
            wanted = {tag for tag in limited if tag.name in model.limits}
            before = self._before_me.setdefault(id_, set())
            before |= {w.proposal.id for w in self._several() if w.position < elder.position}
            passing = {run for tag, run in turn.changes.slots_taken if tag in wanted and run in places}
            self._passed[id_] = self._passed.get(id_, 0) + sum(
                places[run] > elder.position for run in passing
            )
            bound = self._max_passed * (len(before) + 1)
            assert self._passed[id_] <= bound, f"{id_} was passed over {self._passed[id_]} times, not {bound}"

    def _check_order(self, turn: Turn, resource: Resource, run_id: str, place: int) -> None:
        """Check that a slot of ``resource`` skipped no waiter that was queued for the whole turn."""
        asked = {outcome.proposal_id for outcome in turn.outcomes}
        for waiter in self._model.queue(resource):
            stood = self._waiters.get(waiter.proposal.id)
            if stood is not None and stood.blocker == resource and waiter.proposal.id not in asked:
                assert waiter.position > place, f"{run_id} took {resource} before {waiter.proposal.id}"

    def _elders(self, waiters: dict[str, Waiter]) -> set[str]:
        """Return the waiters for slots of several tags, independently of the store's own records."""
        runs, limits = self._model.runs, self._model.limits.keys()
        return {
            id_
            for id_, waiter in waiters.items()
            if waiter.until is None
            and not waiter.blocker.is_key
            and len(limits & set(runs[waiter.proposal.run_id].run.limited_tags)) > 1
        }

    def _several(self) -> list[Waiter]:
        """Return the waiters that may need slots of several tags."""
        waiters = [*self._waiters.values(), *self._model.waiters.values()]
        return [w for w in waiters if len(self._model.runs[w.proposal.run_id].run.limited_tags) > 1]

    def _check_waits_for_a_reason(self, waiter: Waiter) -> None:
        model, id_ = self._model, waiter.proposal.id
        stored = model.runs[waiter.proposal.run_id]
        state = stored.progress.state
        assert state.type not in TERMINAL, f"{id_} waits for a run that has ended"
        if state.type == StateType.SCHEDULED and stored.run.id in self._due:
            assert self._due[stored.run.id] <= self._moment.steady
        elif state.type == StateType.SCHEDULED:
            assert (state.scheduled_time or 0) <= self._moment.now or self.set_back
        session = waiter.proposal.session_id
        assert not session or not model.sessions[session].ended, f"{id_} waits under an ended session"
        key, blocker = waiter.proposal.state.cache_key, waiter.blocker
        refreshes = waiter.proposal.state.refresh_cache
        served = model.has_result(key, self._moment.now)
        assert refreshes or not served or self.set_back, f"{id_} waits although '{key}' has a result"
        if blocker.is_key:
            assert blocker.name == key
            assert waiter.proposal.state.single_flight
            assert model.holders(blocker), f"{id_} waits for '{key}', which no run computes"
            return
        wanted = {
            tag
            for tag in stored.run.limited_tags
            if tag in model.limits and (Resource.of_tag(tag), stored.run.id) not in model.slots
        }
        assert all(model.limits[tag] > 0 for tag in wanted), f"{id_} waits for a tag whose limit is 0"
        tag = blocker.name
        assert tag in wanted, f"{id_} is queued for '{tag}', but needs no slot of it"
        full = len(model.holders(blocker)) >= model.limits[tag]
        kept = any(
            elder.passed >= self._max_passed and elder.position < waiter.position
            for elder in model.eldest(tag)[:1]
        )
        behind = model.queue(blocker)[0].position < waiter.position
        assert full or kept or behind, f"{id_} waits for '{tag}', which has a free slot for it"


def _follows(proposal: Proposal) -> bool:
    return proposal.state.single_flight and not proposal.state.refresh_cache


def _told(answer: Answer) -> Told:
    match answer.decision:
        case Abort(reason, message):
            return "abort", reason, message, answer.state
        case Reject(reason, state, message):
            return "reject", reason, state.type, message, answer.state
        case decision:
            return type(decision).__name__, answer.state
