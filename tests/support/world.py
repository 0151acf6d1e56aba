"""A model store with a clock and one engine: what the pipeline does to the real one, turn by turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from clearway_service.core.batch import Batch
from clearway_service.core.keys import is_key_tag, key_tag
from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Answer, Outcome, Proposal
from clearway_service.core.runs import FlowRunSpec, RunKind, TaskRunSpec, begin
from clearway_service.core.states import TERMINAL, State, StateType
from support.facts import NOW
from support.model import Model, first_state
from support.model_loading import EndedRuns

LEASE = 30_000_000


class Turn(NamedTuple):
    """What one turn answered: each proposal, and those whose wait is over."""

    outcomes: list[Outcome]
    woken: list[Answer]


@dataclass
class World:
    """A store, and what happens to it.

    Attributes:
        store: The tables.
        now: The steady clock, which only the test moves.
        ahead: How far the wall clock is ahead of it.
    """

    store: Model = field(default_factory=Model)
    now: int = NOW
    ahead: int = 0
    _ids: count[int] = field(default_factory=count)

    @property
    def moment(self) -> Moment:
        """The time on both clocks."""
        return Moment(self.now + self.ahead, self.now)

    def new_id(self) -> str:
        """Return an id for a state that no proposal made."""
        return f"made-{next(self._ids)}"

    def turn(
        self,
        proposals: Sequence[Proposal] = (),
        woken_tags: Iterable[str] = (),
        ended_runs: EndedRuns | None = None,
    ) -> Turn:
        """Decide one batch, write what it changes, and check what always holds."""
        tags, ended = set(woken_tags), ended_runs or {}
        outcomes: list[Outcome] = []
        woken: list[Answer] = []
        while True:
            snapshot = self.store.load(proposals, self.moment, ended, tags)
            batch = Batch(snapshot, self.moment, self.new_id, "engine")
            for (_kind, run_id), message in ended.items():
                batch.crash(run_id, message)
            outcomes += [batch.propose(proposal) for proposal in proposals]
            woken += batch.wake(tags)
            self.store.write(batch.changes, self.moment.now)
            self.check()
            if not batch.changes.wake_again:
                return Turn(outcomes, woken)
            tags, ended, proposals = batch.changes.wake_again, {}, ()

    def create(self, spec: FlowRunSpec | TaskRunSpec) -> None:
        """Create a Pending run."""
        kind = RunKind.TASK if isinstance(spec, TaskRunSpec) else RunKind.FLOW
        self.store.create(kind, spec, begin(first_state(self.new_id(), self.moment.now), "", self.now))

    def set_limit(self, tag: str, slots: int) -> Turn:
        """Set the limit of a tag."""
        return self.turn(woken_tags=self.store.set_limit(tag, slots))

    def delete_limit(self, tag: str) -> Turn:
        """Remove the limit of a tag."""
        return self.turn(woken_tags=self.store.delete_limit(tag))

    def open_session(self, session_id: str) -> None:
        """Open a session."""
        self.store.open_session(session_id, f"client of {session_id}", self.now + LEASE)

    def end_session(self, session_id: str) -> Turn:
        """End a session: its runs crash, and its waiters leave."""
        tags, ended = self.store.end_sessions({session_id: f"lost {session_id}"})
        return self.turn((), tags, ended)

    def state(self, run_id: str) -> State:
        """Return the state of a run."""
        return self.store.runs[run_id].progress.state

    def names(self, run_id: str) -> list[str]:
        """Return the names of a run's states, in order."""
        return [made.state.name for made in self.store.history(run_id)]

    def slots(self) -> list[tuple[str, str]]:
        """Return the slots that are held, as pairs of tag and run."""
        return sorted(slot for slot in self.store.slots if not is_key_tag(slot[0]))

    def computing(self, cache_key: str) -> list[str]:
        """Return the runs that compute a cache key."""
        return sorted(self.store.holders(key_tag(cache_key)))

    def columns(self) -> object:
        """Return what only an accept or a reject may change."""
        return dict(self.store.states), dict(self.store.runs), self.slots()

    def check(self) -> None:
        """Check what holds after each turn, whatever happened before."""
        for run_id, run in self.store.runs.items():
            history = self.store.history(run_id)
            assert [made.ordinal for made in history] == list(range(1, len(history) + 1))
            assert run.progress.ordinal == len(history)
            assert run.progress.state == history[-1].state
            assert run.progress.run_count == sum(made.state.type == StateType.RUNNING for made in history)
            ends = [made for made in history if made.state.type in TERMINAL]
            assert ends in ([], history[-1:]), "a terminal run never leaves its state"
            assert (run.progress.end_time is not None) == bool(ends)
        for tag, run_id in self.store.slots:
            assert self.state(run_id).type == StateType.RUNNING, "who holds a slot is Running"
            assert tag in self.store.limits or is_key_tag(tag), "slots are counted where there is a limit"
