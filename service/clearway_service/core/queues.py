"""Queues: who waits for slots, and who goes first.

A waiter stands in the queue of one tag that blocks it. Within a tag it is first come, first served. A run
that needs slots of several tags may be passed over: while one of its tags is full, others take the slots of
the rest. So each time a slot that the eldest such waiter of a tag needs goes to one who came later, it is
counted; when it has been passed over ``MAX_PASSED`` times, nobody who came later gets a slot of any tag of
which it is the eldest such waiter, until it has gone. The eldest of all is the eldest on each of its tags, so
it is passed over at most ``MAX_PASSED`` times, and one with ``n`` such waiters before it at most
``MAX_PASSED * (n + 1)`` times.

A cache key that is being computed has a queue as well, that of its tag (see ``keys``). Who stands there waits
for a run and not for slots, so no slots are counted or kept for it: that run may need them itself.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from itertools import count

from clearway_service.core.changes import Changes
from clearway_service.core.keys import is_key_tag, key_tag
from clearway_service.core.proposals import Proposal, Waiter
from clearway_service.core.runs import TaskRunSpec
from clearway_service.core.snapshot import Limit, Snapshot

MAX_PASSED = 16

# Proposals that join in this batch stand behind all that the store has.
_BEHIND_ALL = 2**62


def _place(waiter: Waiter) -> int:
    return waiter.position


class Queues:
    """The queues of one batch.

    Args:
        snapshot: What the batch is about.
        changes: Collects what becomes of waiters.
        owner: The engine that answers the batch's proposals.
    """

    def __init__(self, snapshot: Snapshot, changes: Changes, owner: str) -> None:
        self._snapshot = snapshot
        self._changes = changes
        self._owner = owner
        self._places = count(_BEHIND_ALL)
        self._known = {w.proposal.id: w for waiters in snapshot.waiting.values() for w in waiters}
        self._with_key: dict[str, list[str]] = {}
        for waiter in self._known.values():
            self._note_key(waiter.proposal)
        self._stirred: set[str] = set()
        self._freed: set[str] = set()
        self._served: set[str] = set()

    def find(self, proposal_id: str) -> Waiter | None:
        """Return the waiter that a proposal is, where it stands in a queue already."""
        return self._known.get(proposal_id)

    def ahead(self, limit: Limit, waiter: Waiter | None) -> int:
        """Return how many have to go before a waiter, or before a new proposal for None, on one tag."""
        position = _BEHIND_ALL if waiter is None else waiter.position
        if waiter is None:
            ahead = len(limit.queue)
        else:
            ahead = int(bool(limit.queue) and limit.queue[0].position < position)
        # Where all who were loaded have gone, those who stood behind them still come first.
        behind = not limit.queue and limit.cut is not None and limit.cut < position
        return ahead + behind + self._reserved(limit, position)

    def _reserved(self, limit: Limit, position: int) -> bool:
        """Return whether the tag's free slots are kept for an elder, and so not for one at ``position``."""
        if limit.limit is None:
            return False
        if not limit.elders:
            # Those who were loaded have gone, and there are more: they are asked in the next turn.
            return not limit.elders_complete
        eldest = limit.elders[0]
        return eldest.passed >= MAX_PASSED and eldest.position < position

    def join(self, proposal: Proposal, run: TaskRunSpec, tag: str, until: int | None) -> int:
        """Give a proposal its place in the queue of ``tag``, and return its number there, from 1."""
        waiter = Waiter(proposal, next(self._places), tag, self._owner, until=until)
        self._changes.waiters_added[proposal.id] = waiter
        self._known[proposal.id] = waiter
        self._note_key(proposal)
        self._snapshot.waiting.setdefault(proposal.run_id, []).append(waiter)
        self._stand(waiter)
        self._age(waiter, run)
        limit = self._snapshot.limits[tag]
        limit.queued += 1
        return limit.queued

    def adopt(self, waiter: Waiter, run: TaskRunSpec, proposal: Proposal, until: int | None) -> Waiter:
        """Keep the place of a proposal that came again, perhaps from elsewhere; we answer it from now on."""
        kept = waiter.proposal._replace(
            session_id=proposal.session_id, queues=proposal.queues, keeps=proposal.keeps
        )
        adopted = waiter._replace(proposal=kept, owner=self._owner, until=until)
        self._replace(waiter, adopted)
        if until is not None:
            _take_out(self._queue(adopted), adopted)
            self._leave_elders(adopted, run)
            self._stirred.discard(proposal.id)
        elif waiter.until is not None:
            self._stand(adopted)
            self._age(adopted, run)
        if proposal.id not in self._changes.waiters_added:
            self._changes.waiters_adopted[proposal.id] = adopted
        return adopted

    def move(self, waiter: Waiter, run: TaskRunSpec, tag: str) -> None:
        """Let a waiter stand, at its own place, in the queue of the tag that blocks it now."""
        moved = waiter._replace(blocking_tag=tag)
        _take_out(self._queue(waiter), waiter)
        self._replace(waiter, moved)
        self._stand(moved)
        self._age(moved, run)
        if waiter.proposal.id not in self._changes.waiters_added:
            self._changes.waiters_moved[waiter.proposal.id] = tag

    def leave(self, waiter: Waiter, run: TaskRunSpec) -> None:
        """Take a waiter out: it has its answer. What was kept for it is free for others."""
        _take_out(self._queue(waiter), waiter)
        _take_out(self._snapshot.waiting.get(waiter.proposal.run_id, []), waiter)
        self._leave_elders(waiter, run)
        self._known.pop(waiter.proposal.id, None)
        self._stirred.discard(waiter.proposal.id)
        if self._changes.waiters_added.pop(waiter.proposal.id, None) is None:
            self._changes.waiters_removed.append(waiter.proposal.id)
            if waiter.owner != self._owner and waiter.until is None:
                self._changes.deliveries.append((waiter.owner, waiter.proposal.id))

    def pass_over(self, taken: Iterable[str], waiter: Waiter | None) -> None:
        """Count, for the eldest of each tag in ``taken``, that one who came later got a slot."""
        position = _BEHIND_ALL if waiter is None else waiter.position
        elders = {
            limit.elders[0].proposal.id: limit.elders[0]
            for tag in taken
            if (limit := self._snapshot.limits[tag]).limit is not None
            and limit.elders
            and limit.elders[0].position < position
        }
        for elder in elders.values():
            passed = elder._replace(passed=elder.passed + 1)
            self._replace(elder, passed)
            if elder.proposal.id not in self._changes.waiters_added:
                self._changes.waiters_passed[elder.proposal.id] = passed.passed

    def stir(self, run_id: str, state_id: str) -> None:
        """Remember that a run's waiting proposals, but for the one that made the state, are to be decided.

        One that is away is left alone: it is decided about when it comes again.
        """
        for waiter in self._snapshot.waiting.get(run_id, ()):
            if waiter.proposal.id != state_id and waiter.until is None:
                self._stirred.add(waiter.proposal.id)

    def serve(self, cache_key: str) -> None:
        """Remember that who waits with a cache key, in whatever queue, need not run: there is a result."""
        self._served.add(cache_key)
        for id_ in self._with_key.get(cache_key, ()):
            waiter = self._known.get(id_)
            if waiter is not None and waiter.until is None and not waiter.proposal.state.refresh_cache:
                self._stirred.add(id_)

    def free(self, tag: str) -> None:
        """Remember that a slot of ``tag`` came free."""
        self._freed.add(tag)

    def next(self, tags: set[str], seen: set[str]) -> Waiter | None:
        """Return the earliest waiter, of those not ``seen``, about whom something may have changed.

        Args:
            tags: Tags whose limits were changed; those on which slots came free are known.
            seen: Ids of proposals that this batch has decided about again.
        """
        waiters = [self._known[id_] for id_ in self._stirred - seen]
        for tag in self._freed | tags:
            limit = self._snapshot.limits.get(tag)
            if limit is None or limit.exhausted:
                continue
            first = _first_unseen(limit.queue, seen)
            if first is not None and not self._reserved(limit, first.position):
                waiters.append(first)
            if limit.limit == 0 and (closed := _first_unseen(limit.elders, seen)) is not None:
                # It stands in another tag's queue, where it would wait in vain.
                waiters.append(closed)
        return min(waiters, key=_place, default=None)

    def unfinished(self, tags: set[str]) -> set[str]:
        """Return the tags that have waiters beyond those that were loaded who may be answered now."""
        more = {key_tag(key) for key in self._served & self._snapshot.unloaded}
        limits = (self._snapshot.limits.get(tag) for tag in self._freed | tags)
        return more | {
            limit.tag
            for limit in limits
            if limit is not None
            and not limit.exhausted
            and (
                (limit.limit is not None and not limit.elders and not limit.elders_complete)
                or (
                    not limit.complete
                    and not (limit.queue and self._reserved(limit, limit.queue[-1].position))
                )
            )
        }

    def _note_key(self, proposal: Proposal) -> None:
        if proposal.state.cache_key:
            self._with_key.setdefault(proposal.state.cache_key, []).append(proposal.id)

    def _stand(self, waiter: Waiter) -> None:
        limit = self._snapshot.limits.get(waiter.blocking_tag)
        if waiter.until is not None or limit is None:
            return
        _put_in(limit.queue, waiter, complete=limit.complete)

    def _age(self, waiter: Waiter, run: TaskRunSpec) -> None:
        """Count a waiter among the elders of its tags, if it needs slots of several and waits for one."""
        if is_key_tag(waiter.blocking_tag):
            self._leave_elders(waiter, run)
            return
        limits = self._limits(run)
        if len(limits) > 1 and waiter.until is None:
            self._changes.waiters_aging[waiter.proposal.id] = tuple(limit.tag for limit in limits)
            for limit in limits:
                _take_out(limit.elders, waiter)
                _put_in(limit.elders, waiter, complete=limit.elders_complete)

    def _leave_elders(self, waiter: Waiter, run: TaskRunSpec) -> None:
        for limit in self._limits(run):
            if _take_out(limit.elders, waiter):
                self._freed.add(limit.tag)

    def _replace(self, waiter: Waiter, by: Waiter) -> None:
        """Put ``by`` wherever ``waiter`` stands."""
        self._known[waiter.proposal.id] = by
        places = [self._snapshot.waiting.get(waiter.proposal.run_id, []), self._queue(waiter)]
        places += [limit.elders for limit in self._snapshot.limits.values() if limit.elders]
        for place in places:
            for index, other in enumerate(place):
                if other.proposal.id == waiter.proposal.id:
                    place[index] = by
                    break
        if waiter.proposal.id in self._changes.waiters_added:
            self._changes.waiters_added[waiter.proposal.id] = by

    def _queue(self, waiter: Waiter) -> list[Waiter]:
        limit = self._snapshot.limits.get(waiter.blocking_tag)
        return [] if limit is None else limit.queue

    def _limits(self, run: object) -> list[Limit]:
        tags = run.limited_tags if isinstance(run, TaskRunSpec) else ()
        limits = (self._snapshot.limits.get(tag) for tag in tags)
        return [limit for limit in limits if limit is not None and limit.limit is not None]


def _first_unseen(place: list[Waiter], seen: set[str]) -> Waiter | None:
    return next((waiter for waiter in place if waiter.proposal.id not in seen), None)


def _put_in(place: list[Waiter], waiter: Waiter, *, complete: bool) -> None:
    """Put a waiter into the head of a queue, unless it stands behind what is known of it."""
    if complete or (place and waiter.position < place[-1].position):
        insort(place, waiter, key=_place)


def _take_out(place: list[Waiter], waiter: Waiter) -> bool:
    for index, other in enumerate(place):
        if other.proposal.id == waiter.proposal.id:
            del place[index]
            return True
    return False
