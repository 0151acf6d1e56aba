"""A state machine that does to the core, over a store, whatever clients, people and crashes can do to it.

Each step is a turn of one of two engines with several proposals and perhaps a command. What is proposed is
chosen by number among what there is, so that every sequence that Hypothesis makes up, or makes smaller, is
one that may happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from clearway_service.core import queues
from clearway_service.core.proposals import Proposal
from clearway_service.core.runs import RunKind, TaskRunSpec
from clearway_service.core.states import ProposedState, StateType
from support.engines import (
    Command,
    CreateRun,
    DeleteLimit,
    EndSession,
    GiveUpPlaces,
    Ids,
    ModelEngine,
    OpenSession,
    ResetLimit,
    SetLimit,
    Store,
    Turn,
    Withdraw,
)
from support.facts import FLOW, NOW, SECOND, TASK
from support.model import Model
from support.model_loading import Depths
from support.model_store import ModelStore
from support.watch import Watch

TAG_SETS = (("a",), ("a", "b"), ("b",), ("a",), ("a", "b"), ("b", "c"), ("a", "b", "c"), ("c",), ())
KEYS = ("", "", "", "", "", "", "", "", "", "key", "other key")
Intent = tuple[str, int, int]

LEASE = 3_600 * SECOND
KEEPS = 60 * SECOND
# Small, so that the bound is met within a few steps.
MAX_PASSED = 2
# No turn leaves more to wake than there are waiters, so this many turns are enough, or it never ends.
MOST_WAKING_TURNS = 500

RUNNING, COMPLETED, FAILED = StateType.RUNNING, StateType.COMPLETED, StateType.FAILED

# How often each is proposed: slots are to be wanted by many, and to be freed one by one.
WEIGHTS = {
    "start": 8,
    "complete": 6,
    "leave": 2,
    "run": 2,
    "again": 2,
    "fail": 1,
    "cancel": 1,
    "crash": 1,
    "later": 1,
    "now": 1,
    "replay": 1,
    "mix up": 1,
    "flow": 1,
}
intents = st.tuples(
    st.sampled_from([kind for kind, weight in WEIGHTS.items() for _ in range(weight)]),
    st.integers(0, 35),
    st.integers(0, 35),
)
turns = st.lists(intents, min_size=1, max_size=6)
tags = st.sampled_from("aabbc")
drains = st.sampled_from([True, True, True, False])


class CoreMachine(RuleBasedStateMachine):
    """Two engines over one store.

    Attributes:
        depths: How much of the queues is loaded.
    """

    depths: Depths | None = None

    def __init__(self) -> None:
        super().__init__()
        self._max_passed = queues.MAX_PASSED
        queues.MAX_PASSED = MAX_PASSED
        self.model = Model(self.depths)
        self.now = NOW
        self.new_id = Ids()
        self.engines = [ModelEngine("engine-1"), ModelEngine("engine-2")]
        self.sessions = ["session-1", "session-2"]
        self.asked: list[Proposal] = []
        self.tasks: list[str] = []
        self.flows = ["child"]
        self._made = 0
        self.watch = Watch(self.model, MAX_PASSED)

    def stores(self) -> list[tuple[Store, list[ModelEngine]]]:
        """Return the stores on which every turn is done, each with engines of its own."""
        return [(ModelStore(self.model), self.engines)]

    def teardown(self) -> None:
        """Let everything come to its end."""
        try:
            self._end_all()
        finally:
            queues.MAX_PASSED = self._max_passed

    @initialize()
    def open(self) -> None:
        """Create what all else is about: two engines, two sessions, a flow with a subflow."""
        tracking = TASK._replace(id="tracking", tags=("a", "b"), tracks_subflow=True, dynamic_key="tracking")
        child = FLOW._replace(id="child", parent_task_run_id="tracking", retries=1)
        sessions = [OpenSession(id_, LEASE) for id_ in ("engine-1", "engine-2", *self.sessions)]
        self.turn(0, [], [*sessions, CreateRun(FLOW), CreateRun(tracking), CreateRun(child)])
        self.turn(0, [], [SetLimit("a", 1), SetLimit("b", 1)])

    @rule(engine=st.integers(0, 1), wanted=turns, drain=drains)
    def propose(self, engine: int, wanted: list[Intent], drain: bool) -> None:
        """Propose something, and do nothing else."""
        self.turn(engine, wanted, drain=drain)

    @rule(engine=st.integers(0, 1), wanted=st.lists(turns, min_size=1, max_size=6))
    def propose_more(self, engine: int, wanted: list[list[Intent]]) -> None:
        """Propose something, several times in a row."""
        for each in wanted:
            self.turn(engine, each)

    @rule(engine=st.integers(0, 1), first=st.integers(0, 8), numbers=st.lists(st.integers(0, 35), max_size=6))
    def hurry(self, engine: int, first: int, numbers: list[int]) -> None:
        """Let slots be freed and be wanted by others at once, again and again."""
        for number in numbers:
            self.turn(engine, [("complete", number, 0), ("start", first, 0)])

    @rule(
        engine=st.integers(0, 1),
        wanted=turns,
        tag=tags,
        slots=st.sampled_from([1, 1, 2, 2, 3, 0]),
        drain=drains,
    )
    def limit(self, engine: int, wanted: list[Intent], tag: str, slots: int, drain: bool) -> None:
        """Set, raise or lower a limit."""
        self.turn(engine, wanted, [SetLimit(tag, slots)], drain=drain)

    @rule(engine=st.integers(0, 1), tag=tags, resets=st.booleans())
    def remove_limit(self, engine: int, tag: str, resets: bool) -> None:
        """Remove a limit, or take its slots back."""
        if tag in self.model.limits:
            self.watch.reset(tag)
            self.turn(engine, [], [ResetLimit(tag) if resets else DeleteLimit(tag)])

    @rule(engine=st.integers(0, 1), tag=tags, slots=st.sampled_from([1, 2]), wanted=turns)
    def limit_late(self, engine: int, tag: str, slots: int, wanted: list[Intent]) -> None:
        """Limit a tag while some wait for another one of theirs, and let its slots be wanted by others."""
        if tag in self.model.limits:
            self.watch.reset(tag)
        self.turn(engine, wanted, [DeleteLimit(tag)] if tag in self.model.limits else [])
        self.turn(engine, [], [SetLimit(tag, slots)])
        for _ in range(3 * MAX_PASSED):
            ends = [
                self._for(id_, ProposedState(COMPLETED), 4) for id_ in sorted(self.model.holders(tag))[:1]
            ]
            self._do(engine, [*ends, self._start(TAG_SETS.index((tag,)), 4)], [])
            self._drain()

    @rule(engine=st.integers(0, 1), which=st.integers(0, 1), wanted=turns, drain=drains)
    def lose_session(self, engine: int, which: int, wanted: list[Intent], drain: bool) -> None:
        """Let a client die, and another come."""
        ended, self.sessions[which] = self.sessions[which], f"session-{self._number()}"
        self.turn(engine, wanted, [EndSession(ended), OpenSession(self.sessions[which], LEASE)], drain=drain)

    @rule(which=st.integers(0, 1))
    def lose_engine(self, which: int) -> None:
        """Kill an engine between two turns; another takes its place, which knows nothing of it."""
        owner = f"engine-{self._number()}"
        for _store, engines in self.stores():
            dead, engines[which] = engines[which], ModelEngine(owner)
            engines[which].wake_again = {waiter.blocking_tag for waiter in self.model.waiters.values()}
            self.watch.gone |= {(dead.owner, id_) for id_ in dead.waiting}
        self.turn(which, [], [EndSession(dead.owner), OpenSession(owner, LEASE)])

    @rule(engine=st.integers(0, 1), which=st.lists(st.integers(0, 11), min_size=1, max_size=3))
    def withdraw(self, engine: int, which: list[int]) -> None:
        """Take proposals out of the queues."""
        waiting = sorted(self.model.waiters)
        if waiting:
            ids = {waiting[index % len(waiting)] for index in which}
            self.turn(engine, [], [Withdraw(tuple(sorted(ids)))])

    @rule(engine=st.integers(0, 1), seconds=st.sampled_from([1, 10, 61]), wanted=turns)
    def pass_time(self, engine: int, seconds: int, wanted: list[Intent]) -> None:
        """Let time pass: scheduled runs may begin, places of those who are away are given up."""
        self.now += seconds * SECOND
        self.turn(engine, wanted, [GiveUpPlaces()])

    def turn(
        self,
        engine: int,
        wanted: list[Intent],
        commands: Sequence[Command] = (),
        *,
        drain: bool = True,
    ) -> None:
        """Do a turn, then those that it asks for, and check what has to hold after each."""
        self._do(engine, self._proposals(wanted), commands)
        if drain:
            self._drain()

    def _drain(self) -> None:
        """Do the turns that others asked for."""
        for _ in range(MOST_WAKING_TURNS):
            busy = [index for index, each in enumerate(self.engines) if each.wake_again]
            owners = [each.owner for each in self.engines]
            busy += [owners.index(owner) for owner, _id in sorted(self.model.deliveries) if owner in owners]
            if not busy:
                self.watch.check_quiet(self.engines)
                return
            self._do(busy[0], [], [])
        raise AssertionError("waking does not end")

    def _do(self, engine: int, proposals: list[Proposal], commands: Sequence[Command]) -> Turn:
        made = self.new_id.made
        self.watch.before(proposals, commands)
        done: list[Turn] = []
        for store, engines in self.stores():
            self.new_id.made = made
            done.append(engines[engine].turn(store, self.now, self.new_id, proposals, commands))
        self.watch.after(done[0], self.now)
        self.same(done)
        return done[0]

    def same(self, done: list[Turn]) -> None:
        """Check that all stores did the same."""

    def _proposals(self, wanted: list[Intent]) -> list[Proposal]:
        proposals: list[Proposal] = []
        for kind, first, second in wanted:
            proposal = self._proposal(kind, first, second)
            if proposal is not None:
                proposals.append(proposal)
        self.asked += [proposal for proposal in proposals if proposal not in self.asked]
        return proposals

    def _proposal(self, kind: str, first: int, second: int) -> Proposal | None:
        if kind == "start":
            return self._start(first, second)
        if kind == "flow":
            types = (RUNNING, COMPLETED, FAILED, StateType.CANCELLED)
            return self._for("child", ProposedState(types[first % 4]), second)._replace(kind=RunKind.FLOW)
        if kind in ("again", "replay", "mix up"):
            return self._from_before(kind, first, second)
        return self._move(kind, first, second)

    def _start(self, first: int, second: int) -> Proposal:
        id_ = f"run-{self._number()}"
        self.tasks.append(id_)
        tag_set, retries = TAG_SETS[first % len(TAG_SETS)], second % 2
        run = TASK._replace(id=id_, tags=tag_set, dynamic_key=id_, retries=retries, retry_delays=(SECOND,))
        state = ProposedState(RUNNING, cache_key=KEYS[(first + second) % len(KEYS)])
        return self._for(id_, state, second)._replace(create=run)

    def _move(self, kind: str, first: int, second: int) -> Proposal | None:
        known = self.tasks
        if kind in ("complete", "fail"):
            known = sorted({id_ for _tag, id_ in self.model.slots}) or known
        if kind == "leave":
            known = sorted({waiter.proposal.run_id for waiter in self.model.waiters.values()}) or known
        if not known:
            return None
        run_id, key = known[first % len(known)], KEYS[second % len(KEYS)]
        states = {
            "run": ProposedState(RUNNING, cache_key=key),
            "complete": ProposedState(COMPLETED, cache_key=key, data=run_id.encode()),
            "fail": ProposedState(FAILED, message="no"),
            "leave": ProposedState(StateType.CANCELLED),
            "cancel": ProposedState(StateType.CANCELLED),
            "crash": ProposedState(StateType.CRASHED),
            "later": ProposedState(StateType.SCHEDULED, scheduled_time=self.now + 10 * SECOND),
            "now": ProposedState(StateType.SCHEDULED, scheduled_time=self.now),
        }
        return self._for(run_id, states[kind], second)

    def _from_before(self, kind: str, first: int, second: int) -> Proposal | None:
        """Return a proposal with an id that was used before."""
        if kind == "again":
            undecided = [p for p in self.asked if p.id in self.watch.undecided]
            if not undecided:
                return None
            proposal = undecided[first % len(undecided)]
            return proposal._replace(**_mode(second), session_id=self._session(second))
        if not self.asked:
            return None
        proposal = self.asked[first % len(self.asked)]
        if kind == "replay":
            return proposal
        return (
            self._for(self.tasks[second % len(self.tasks)], proposal.state, second)._replace(id=proposal.id)
            if self.tasks
            else None
        )

    def _for(self, run_id: str, state: ProposedState, number: int) -> Proposal:
        """Return a new proposal for a task run; its number says how it waits and who makes it."""
        id_ = f"proposal-{self._number()}"
        return Proposal(id_, RunKind.TASK, run_id, state, session_id=self._session(number), **_mode(number))

    def _session(self, number: int) -> str:
        return (*self.sessions, *self.sessions, "", "session-1")[number % 6]

    def _number(self) -> int:
        self._made += 1
        return 100 + self._made

    def _end_all(self) -> None:
        """End whatever runs until nobody waits: whoever could still run is found by then."""
        closed = [SetLimit(tag, 1) for tag, slots in sorted(self.model.limits.items()) if slots == 0]
        self.turn(0, [], closed)
        self.turn(1, [])
        for _ in range(len(self.model.runs) + 1):
            running = sorted(
                id_ for id_, run in self.model.runs.items() if _ends(run.run, run.progress.state)
            )
            end = ProposedState(StateType.CANCELLED)
            self._do(0, [self._for(id_, end, 4) for id_ in running], [])
            self.turn(0, [])
            if not any(waiter.until is None for waiter in self.model.waiters.values()):
                return
        raise AssertionError("someone waits although nobody runs")


def _mode(number: int) -> dict[str, Any]:
    """Return how a proposal waits: in the queue, not at all, or away with its place kept."""
    if number % 8 == 6:
        return {"queues": False}
    if number % 8 == 7:
        return {"queues": False, "keeps": KEEPS}
    return {"queues": True}


def _ends(run: object, state: Any) -> bool:
    return isinstance(run, TaskRunSpec) and not run.tracks_subflow and state.type == RUNNING
