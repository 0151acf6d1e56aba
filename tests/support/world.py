"""A model store with a clock and one engine, which takes turns like the pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Answer, Outcome, Proposal
from clearway_service.core.resources import Resource
from clearway_service.core.runs import FlowRunSpec, RunKind, TaskRunSpec, begin
from clearway_service.core.states import TERMINAL, State, StateType
from clearway_service.core.turn import EndedRuns, TurnContext, Work, take_turn
from support.engines import Ids
from support.facts import NOW
from support.model import Model, first_state
from support.model_store import OpenedModel

LEASE = 30_000_000


class Turn(NamedTuple):
    """The answers of one turn, to its proposals and to waiters."""

    outcomes: list[Outcome]
    woken: list[Answer]


@dataclass
class World:
    """A store with an engine and a clock.

    Attributes:
        store: The model store.
        now: The steady clock, which only the test moves.
        ahead: How far the wall clock is ahead of it.
        ids: Generates ids for states that no proposal produced.
    """

    store: Model = field(default_factory=Model)
    now: int = NOW
    ahead: int = 0
    ids: Ids = field(default_factory=Ids)

    @property
    def moment(self) -> Moment:
        """The time on both clocks."""
        return Moment(self.now + self.ahead, self.now)

    def turn(
        self,
        proposals: Sequence[Proposal] = (),
        woken: Iterable[Resource] = (),
        ended_runs: EndedRuns | None = None,
    ) -> Turn:
        """Take a turn and the turns it requests, and check the invariants."""
        work = Work(proposals, ended_runs=ended_runs or {}, woken=set(woken))
        outcomes: list[Outcome] = []
        answers: list[Answer] = []
        while True:
            opened = OpenedModel(self.store, self.moment, self.ids)
            context = TurnContext("engine", self.moment, self.ids)
            _snapshot, decided = take_turn(opened, work, context)
            outcomes += decided.outcomes
            answers += decided.woken
            self.check()
            if not decided.changes.wake_again:
                return Turn(outcomes, answers)
            work = Work(woken=decided.changes.wake_again)

    def create(self, spec: FlowRunSpec | TaskRunSpec) -> None:
        """Create a Pending run."""
        kind = RunKind.TASK if isinstance(spec, TaskRunSpec) else RunKind.FLOW
        self.store.create(kind, spec, begin(first_state(self.ids(), self.moment.now), "", self.now))

    def set_limit(self, tag: str, slots: int) -> Turn:
        """Set the limit of a tag."""
        return self.turn(woken=self.store.set_limit(tag, slots))

    def delete_limit(self, tag: str) -> Turn:
        """Remove the limit of a tag."""
        return self.turn(woken=self.store.delete_limit(tag))

    def open_session(self, session_id: str) -> None:
        """Open a session."""
        self.store.open_session(session_id, f"client of {session_id}", self.now + LEASE)

    def end_session(self, session_id: str) -> Turn:
        """End a session: its runs crash, and its waiters leave."""
        woken, ended = self.store.end_sessions({session_id: f"lost {session_id}"})
        return self.turn((), woken, ended)

    def state(self, run_id: str) -> State:
        """Return the state of a run."""
        return self.store.runs[run_id].progress.state

    def names(self, run_id: str) -> list[str]:
        """Return the names of a run's states, in order."""
        return [made.state.name for made in self.store.history(run_id)]

    def slots(self) -> list[tuple[str, str]]:
        """Return the held slots, as pairs of tag and run."""
        return sorted((resource.name, id_) for resource, id_ in self.store.slots if not resource.is_key)

    def computing(self, cache_key: str) -> list[str]:
        """Return the runs that compute a cache key."""
        return sorted(self.store.holders(Resource.of_key(cache_key)))

    def columns(self) -> object:
        """Return everything that only Accept and Reject may change."""
        return dict(self.store.states), dict(self.store.runs), self.slots()

    def check(self) -> None:
        """Check the invariants that hold after every turn."""
        for run_id, run in self.store.runs.items():
            history = self.store.history(run_id)
            assert [made.ordinal for made in history] == list(range(1, len(history) + 1))
            assert run.progress.ordinal == len(history)
            assert run.progress.state == history[-1].state
            assert run.progress.run_count == sum(made.state.type == StateType.RUNNING for made in history)
            ends = [made for made in history if made.state.type in TERMINAL]
            assert ends in ([], history[-1:]), "a run left a terminal state"
            assert (run.progress.end_time is not None) == bool(ends)
        for resource, run_id in self.store.slots:
            assert self.state(run_id).type == StateType.RUNNING, "a run that is not Running holds a slot"
            limited = resource.is_key or resource.name in self.store.limits
            assert limited, "a tag without a limit has slots"
