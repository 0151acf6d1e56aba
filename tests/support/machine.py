"""A state machine that exposes the core, on a store, to the actions of clients, operators and crashes."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from clearway_service.core.resources import Resource
from clearway_service.core.states import ProposedState
from support.engines import (
    BreakStream,
    Command,
    DeleteLimit,
    EndSession,
    ExpireSessions,
    ExtendSessions,
    OpenSession,
    RenewSessions,
    ResetLimit,
    SetLimit,
    Withdraw,
)
from support.facts import SECOND
from support.turns import (
    COMPLETED,
    ENDS,
    GRACE,
    LEASE,
    MAX_PASSED,
    TAG_SETS,
    Intent,
    TurnMachine,
    drains,
    tags,
    turns,
)

# By how many seconds the wall clock is set, by the number of seconds that pass meanwhile.
JUMPS = {10: 10_800, 30: -10_801}


class CoreMachine(TurnMachine):
    """Two engines on one store, with rules for everything that may happen."""

    @rule(engine=st.integers(0, 1), wanted=turns, drain=drains)
    def propose(self, engine: int, wanted: list[Intent], drain: bool) -> None:
        """Send proposals in one turn."""
        self.turn(engine, wanted, drain=drain)

    @rule(engine=st.integers(0, 1), wanted=st.lists(turns, min_size=1, max_size=6))
    def propose_more(self, engine: int, wanted: list[list[Intent]]) -> None:
        """Send proposals in several turns in a row."""
        for each in wanted:
            self.turn(engine, each)

    @rule(engine=st.integers(0, 1), first=st.integers(0, 8), numbers=st.lists(st.integers(0, 35), max_size=6))
    def hurry(self, engine: int, first: int, numbers: list[int]) -> None:
        """Free slots and request them at once, again and again."""
        for number in numbers:
            self.turn(engine, [("complete", number, 0), ("start", first, 0)])

    @rule(
        engine=st.integers(0, 1),
        numbers=st.lists(st.integers(0, 35), min_size=2, max_size=6),
        ends=st.lists(st.sampled_from(ENDS), max_size=3),
    )
    def share(self, engine: int, numbers: list[int], ends: list[str]) -> None:
        """Have several runs ask for one key together, and end those that compute it in various ways."""
        self.turn(engine, [("share", number, 0) for number in numbers])
        for end in ends:
            computing = sorted(id_ for resource, id_ in self.model.slots if resource.is_key)
            self.turn(engine, [(end, self.tasks.index(id_), 1) for id_ in computing[:1]])

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
        """Remove a limit, or reset its slots."""
        if tag in self.model.limits:
            self.watch.reset(tag)
            self.turn(engine, [], [ResetLimit(tag) if resets else DeleteLimit(tag)])

    @rule(engine=st.integers(0, 1), tag=tags, slots=st.sampled_from([1, 2]), wanted=turns)
    def limit_late(self, engine: int, tag: str, slots: int, wanted: list[Intent]) -> None:
        """Limit a tag while runs with it wait for another tag, and have others request its slots."""
        if tag in self.model.limits:
            self.watch.reset(tag)
        self.turn(engine, wanted, [DeleteLimit(tag)] if tag in self.model.limits else [])
        self.turn(engine, [], [SetLimit(tag, slots)])
        for _ in range(3 * MAX_PASSED):
            ends = [
                self.proposal_for(id_, ProposedState(COMPLETED), 4)
                for id_ in sorted(self.model.holders(Resource.of_tag(tag)))[:1]
            ]
            self.do(engine, [*ends, self.start(TAG_SETS.index((tag,)), 4)], [])
            self.drain()

    @rule(engine=st.integers(0, 1), which=st.integers(0, 1), wanted=turns, drain=drains)
    def lose_session(self, engine: int, which: int, wanted: list[Intent], drain: bool) -> None:
        """Kill a client and connect another."""
        ended, self.sessions[which] = self.sessions[which], f"session-{self.number()}"
        self.turn(engine, wanted, [EndSession(ended), OpenSession(self.sessions[which], LEASE)], drain=drain)

    @rule(which=st.integers(0, 1))
    def lose_engine(self, which: int) -> None:
        """Kill an engine between two turns; a new one without its memory takes its place."""
        dead = self.replace_engine(which)
        self.turn(which, [], [OpenSession(self.engines[which].owner, LEASE), *self.look(dead=(dead,))])

    @rule(which=st.integers(0, 1), seconds=st.sampled_from([1, 29, 300]), wanted=turns)
    def restart(self, which: int, seconds: int, wanted: list[Intent]) -> None:
        """Kill a server's engine and restart it, perhaps after all leases have expired."""
        self.now += seconds * SECOND
        dead = self.replace_engine(which)
        opened: list[Command] = [ExtendSessions(LEASE), OpenSession(self.engines[which].owner, LEASE)]
        done = self.do(which, self.proposals(wanted), [*opened, ExpireSessions(LEASE, (dead,))])
        assert not done.ended_runs, "a restart ended a run"
        self.drain()

    @rule(
        engine=st.integers(0, 1),
        back=st.integers(0, 1),
        which=st.integers(0, 1),
        seconds=st.sampled_from([0, 9, 9, 10]),
        wanted=turns,
    )
    def lose_stream(self, engine: int, back: int, which: int, seconds: int, wanted: list[Intent]) -> None:
        """Break a client's stream; if it reconnects in time, perhaps elsewhere, it proposes again."""
        session = self.sessions[which]
        self.turn(engine, [], [BreakStream(session, GRACE)])
        self.now += seconds * SECOND
        self.turn(engine, wanted, self.look(silent=(which,)))
        if self.model.sessions[session].ended:
            return
        places = {
            id_: waiter.position
            for id_, waiter in self.model.waiters.items()
            if waiter.proposal.session_id == session and waiter.until is None
        }
        awaited = [
            proposal._replace(session_id=session, queues=True, keeps=0)
            for proposal in self.asked
            if proposal.id in places and proposal.run_id == self.model.waiters[proposal.id].proposal.run_id
        ]
        done = self.do(back, awaited, [RenewSessions((session,), LEASE)])
        assert not done.ended_runs, "a client that reconnected in time lost a run"
        for id_, place in places.items() & {(p.id, places[p.id]) for p in awaited}:
            waits = self.model.waiters.get(id_)
            assert waits is None or waits.position == place, f"{id_} has lost its place"
        self.drain()

    @rule(engine=st.integers(0, 1), which=st.lists(st.integers(0, 11), min_size=1, max_size=3))
    def withdraw(self, engine: int, which: list[int]) -> None:
        """Withdraw proposals from the queues."""
        waiting = sorted(self.model.waiters)
        if waiting:
            ids = {waiting[index % len(waiting)] for index in which}
            self.turn(engine, [], [Withdraw(tuple(sorted(ids)))])

    @rule(
        engine=st.integers(0, 1),
        seconds=st.sampled_from([1, 10, 29, 30, 61]),
        wanted=turns,
        silent=st.sampled_from([(), (), (0,), (1,), (0, 1)]),
        looks=st.booleans(),
    )
    def pass_time(
        self, engine: int, seconds: int, wanted: list[Intent], silent: tuple[int, ...], looks: bool
    ) -> None:
        """Let time pass: scheduled runs may start, and places and leases of silent clients expire.

        Sometimes the wall clock is set meanwhile, which must not change any lease, place or delay.
        """
        self.now += seconds * SECOND
        jump = JUMPS.get(seconds, 0)
        self.ahead += jump * SECOND
        self.watch.set_back |= jump < 0
        self.turn(engine, wanted, self.look(silent=silent) if looks else [])
