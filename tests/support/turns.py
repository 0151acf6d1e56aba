"""Turns of two engines on one store, and their proposals: the steps of the state machines.

Each step is a turn of one of two engines, with several proposals and perhaps a command. Numbers select the
proposals among the currently possible ones, so that every sequence that Hypothesis generates or shrinks is
valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from clearway_service.core import queues
from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Proposal
from clearway_service.core.runs import RunKind, TaskRunSpec
from clearway_service.core.states import ProposedState, StateType
from support.engines import (
    Command,
    CreateRun,
    ExpireSessions,
    Ids,
    ModelEngine,
    OpenSession,
    RenewSessions,
    SetLimit,
    Store,
    Turn,
)
from support.facts import FLOW, NOW, SECOND, STEADY, TASK, retrying
from support.model import Model
from support.model_loading import Depths
from support.model_store import ModelStore
from support.watch import Watch

TAG_SETS = (("a",), ("a", "b"), ("b",), ("a",), ("a", "b"), ("b", "c"), ("a", "b", "c"), ("c",), ())
KEYS = ("", "", "", "", "", "", "key", "key", "key", "key", "other key")
Intent = tuple[str, int, int]

LEASE = 30 * SECOND
GRACE = 10 * SECOND
KEEPS = 60 * SECOND
# The TTL of results, short so that keys are computed again and again.
KEPT = 5 * SECOND
# Small, so that the bound is met within a few steps.
MAX_PASSED = 2
# No turn leaves more to wake than there are waiters, so if this many turns do not suffice, it never ends.
MOST_WAKING_TURNS = 500

RUNNING, COMPLETED, FAILED = StateType.RUNNING, StateType.COMPLETED, StateType.FAILED

# The frequency of each proposal: many runs must compete for slots that are freed one by one.
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
# How a run that computes a key ends: mostly successfully.
ENDS = ("complete", "complete", "fail", "cancel", "crash", "now")
drains = st.sampled_from([True, True, True, False])


class TurnMachine(RuleBasedStateMachine):
    """Two engines on one store; subclasses add the rules.

    Attributes:
        depths: How much of each queue is loaded.
    """

    depths: Depths | None = None

    def __init__(self) -> None:
        super().__init__()
        self._max_passed = queues.MAX_PASSED
        queues.MAX_PASSED = MAX_PASSED
        self.model = Model(self.depths)
        self.now = STEADY
        self.ahead = NOW - STEADY
        self.new_id = Ids()
        self.engines = [ModelEngine("engine-1"), ModelEngine("engine-2")]
        self.sessions = ["session-1", "session-2"]
        self.asked: list[Proposal] = []
        self.tasks: list[str] = []
        self.flows = ["child"]
        self._made = 0
        self.watch = Watch(self.model, MAX_PASSED)

    @property
    def moment(self) -> Moment:
        """The time on both clocks; ``now`` is the steady one."""
        return Moment(self.now + self.ahead, self.now)

    def stores(self) -> list[tuple[Store, list[ModelEngine]]]:
        """Return the stores that every turn is taken on, each with its own engines."""
        return [(ModelStore(self.model), self.engines)]

    def teardown(self) -> None:
        """Run everything to completion."""
        try:
            self._end_all()
        finally:
            queues.MAX_PASSED = self._max_passed

    @initialize()
    def open(self) -> None:
        """Set up two engines, two sessions, and a flow with a subflow."""
        tracking = TASK._replace(id="tracking", tags=("a", "b"), tracks_subflow=True, dynamic_key="tracking")
        child = FLOW._replace(id="child", parent_task_run_id="tracking", retry_policy=retrying(1))
        sessions = [OpenSession(id_, LEASE) for id_ in ("engine-1", "engine-2", *self.sessions)]
        self.turn(0, [], [*sessions, CreateRun(FLOW), CreateRun(tracking), CreateRun(child)])
        self.turn(0, [], [SetLimit("a", 1), SetLimit("b", 1)])

    def look(self, silent: tuple[int, ...] = (), dead: tuple[str, ...] = ()) -> list[Command]:
        """Return an engine's periodic commands: it renews leases and ends expired ones."""
        heard = [engine.owner for engine in self.engines if engine.owner in self.model.sessions]
        heard += [session for index, session in enumerate(self.sessions) if index not in silent]
        commands: list[Command] = [RenewSessions(tuple(heard), LEASE), ExpireSessions(LEASE, dead)]
        for index in silent:
            if self.model.sessions[self.sessions[index]].expires <= self.now:
                self.sessions[index] = f"session-{self.number()}"
                commands.append(OpenSession(self.sessions[index], LEASE))
        return commands

    def replace_engine(self, which: int) -> str:
        """Replace a dead engine by a new one; return the dead engine's owner id."""
        owner = f"engine-{self.number()}"
        for _store, engines in self.stores():
            dead, engines[which] = engines[which], ModelEngine(owner)
            self.watch.gone |= {(dead.owner, id_) for id_ in dead.waiting}
        return dead.owner

    def turn(
        self,
        engine: int,
        wanted: list[Intent],
        commands: Sequence[Command] = (),
        *,
        drain: bool = True,
    ) -> None:
        """Take a turn and the turns it requests, and check the invariants after each."""
        self.do(engine, self.proposals(wanted), commands)
        if drain:
            self.drain()

    def drain(self) -> None:
        """Take the turns that were requested."""
        for _ in range(MOST_WAKING_TURNS):
            busy = [index for index, each in enumerate(self.engines) if each.wake_again]
            owners = [each.owner for each in self.engines]
            busy += [owners.index(owner) for owner, _id in sorted(self.model.deliveries) if owner in owners]
            if not busy:
                self.watch.check_quiet(self.engines)
                return
            self.do(busy[0], [], [])
        raise AssertionError("waking does not end")

    def do(self, engine: int, proposals: list[Proposal], commands: Sequence[Command]) -> Turn:
        made = self.new_id.made
        self.watch.before(proposals, commands)
        done: list[Turn] = []
        for store, engines in self.stores():
            self.new_id.made = made
            done.append(engines[engine].turn(store, self.moment, self.new_id, proposals, commands))
        self.watch.after(done[0], self.moment)
        self.same(done)
        return done[0]

    def same(self, done: list[Turn]) -> None:
        """Check that all stores had the same results."""

    def proposals(self, wanted: list[Intent]) -> list[Proposal]:
        proposals: list[Proposal] = []
        for kind, first, second in wanted:
            proposal = self._proposal(kind, first, second)
            if proposal is not None:
                proposals.append(proposal)
        self.asked += [proposal for proposal in proposals if proposal not in self.asked]
        return proposals

    def _proposal(self, kind: str, first: int, second: int) -> Proposal | None:
        if kind in ("start", "share"):
            return self.start(first, second, shares=kind == "share")
        if kind == "flow":
            types = (RUNNING, COMPLETED, FAILED, StateType.CANCELLED)
            return self.proposal_for("child", ProposedState(types[first % 4]), second)._replace(
                kind=RunKind.FLOW
            )
        if kind in ("again", "replay", "mix up"):
            return self._from_before(kind, first, second)
        return self._move(kind, first, second)

    def start(self, first: int, second: int, *, shares: bool = False) -> Proposal:
        id_ = f"run-{self.number()}"
        self.tasks.append(id_)
        tag_set, retries = TAG_SETS[first % len(TAG_SETS)], second % 2
        run = TASK._replace(id=id_, tags=tag_set, dynamic_key=id_, retry_policy=retrying(retries, SECOND))
        key = "key" if shares else KEYS[(first + second) % len(KEYS)]
        state = ProposedState(
            RUNNING,
            cache_key=key,
            single_flight=bool(key) and first % 6 > 0,
            refresh_cache=bool(key) and first % 12 == 1,
        )
        return self.proposal_for(id_, state, second)._replace(create=run)

    def _move(self, kind: str, first: int, second: int) -> Proposal | None:
        known = self.tasks
        if kind in ("complete", "fail") and second != 1:
            known = sorted({id_ for _resource, id_ in self.model.slots}) or known
        if kind == "leave":
            known = sorted({waiter.proposal.run_id for waiter in self.model.waiters.values()}) or known
        if not known:
            return None
        run_id, key = known[first % len(known)], KEYS[second % len(KEYS)]
        own = self.model.runs[run_id].progress.state.cache_key if run_id in self.model.runs else ""
        states = {
            "run": ProposedState(RUNNING, cache_key=key, single_flight=bool(key)),
            "complete": ProposedState(
                COMPLETED,
                data=run_id.encode(),
                cache_key=own if second % 3 else key,
                cache_expiration=KEPT,
            ),
            "fail": ProposedState(FAILED, message="no"),
            "leave": ProposedState(StateType.CANCELLED),
            "cancel": ProposedState(StateType.CANCELLED),
            "crash": ProposedState(StateType.CRASHED),
            "later": ProposedState(StateType.SCHEDULED, scheduled_time=self.moment.now + 10 * SECOND),
            "now": ProposedState(StateType.SCHEDULED, scheduled_time=self.moment.now),
        }
        return self.proposal_for(run_id, states[kind], second)

    def _from_before(self, kind: str, first: int, second: int) -> Proposal | None:
        """Return a proposal with a reused id."""
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
            self.proposal_for(self.tasks[second % len(self.tasks)], proposal.state, second)._replace(
                id=proposal.id
            )
            if self.tasks
            else None
        )

    def proposal_for(self, run_id: str, state: ProposedState, number: int) -> Proposal:
        """Return a new proposal for a task run; ``number`` selects how it waits and its session."""
        id_ = f"proposal-{self.number()}"
        return Proposal(id_, RunKind.TASK, run_id, state, session_id=self._session(number), **_mode(number))

    def _session(self, number: int) -> str:
        return (*self.sessions, *self.sessions, "", "session-1")[number % 6]

    def number(self) -> int:
        self._made += 1
        return 100 + self._made

    def _end_all(self) -> None:
        """End Running runs until nothing waits; then every run that could run has run."""
        closed = [SetLimit(tag, 1) for tag, slots in sorted(self.model.limits.items()) if slots == 0]
        self.turn(0, [], closed)
        self.turn(1, [])
        for _ in range(len(self.model.runs) + 1):
            running = sorted(
                id_ for id_, run in self.model.runs.items() if _ends(run.run, run.progress.state)
            )
            end = ProposedState(StateType.CANCELLED)
            self.do(0, [self.proposal_for(id_, end, 4) for id_ in running], [])
            self.turn(0, [])
            if not any(waiter.until is None for waiter in self.model.waiters.values()):
                return
        raise AssertionError("a proposal waits although nothing runs")


def _mode(number: int) -> dict[str, Any]:
    """Return how a proposal waits: in the queue, not at all, or away with its place kept."""
    if number % 8 == 6:
        return {"queues": False}
    if number % 8 == 7:
        return {"queues": False, "keeps": KEEPS}
    return {"queues": True}


def _ends(run: object, state: Any) -> bool:
    return isinstance(run, TaskRunSpec) and not run.tracks_subflow and state.type == RUNNING
