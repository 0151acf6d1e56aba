"""Queues: who waits for resources, and who goes first.

A waiter is in the queue of one resource that blocks it. Within a queue it is first come, first served. A run
that needs slots of several tags may be passed over: while one of its tags is full, others take the slots of
the rest. So each time a slot that the eldest such waiter of a tag needs goes to one who came later, it is
counted; when it has been passed over ``MAX_PASSED`` times, nobody who came later gets a slot of any tag of
which it is the eldest such waiter, until it has gone. The eldest of all is the eldest on each of its tags, so
it is passed over at most ``MAX_PASSED`` times, and one with ``n`` such waiters before it at most
``MAX_PASSED * (n + 1)`` times.

A waiter in the queue of a cache key waits for the run that computes it and not for slots, so none are counted
or kept for it: that run may need them itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from clearway_service.core.changes import Changes
from clearway_service.core.proposals import Proposal, Waiter
from clearway_service.core.queue_head import replace, take_out
from clearway_service.core.resources import Resource
from clearway_service.core.runs import TaskRunSpec
from clearway_service.core.snapshot import Limit, Snapshot

MAX_PASSED = 16

# Proposals that join in this batch are behind all that the store has.
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
        # Who may be decided about again: proposals, resources that were released, cache keys with a result.
        self._marked: set[str] = set()
        self._marked_resources: set[Resource] = set()
        self._marked_keys: set[str] = set()

    @property
    def any_marked(self) -> bool:
        """Whether anybody may be decided again."""
        return bool(self._marked or self._marked_resources or self._marked_keys)

    def find(self, proposal_id: str) -> Waiter | None:
        """Return the waiter that a proposal is, if it is in a queue already."""
        return self._known.get(proposal_id)

    def ahead(self, limit: Limit, waiter: Waiter | None) -> int:
        """Return how many have to go before a waiter, or before a new proposal for None, on one resource."""
        position = _BEHIND_ALL if waiter is None else waiter.position
        if waiter is None:
            ahead = len(limit.queue)
        else:
            first = limit.queue.first
            ahead = int(first is not None and first.position < position)
        return ahead + limit.queue.hides_one_before(position) + self._reserved(limit, position)

    def _reserved(self, limit: Limit, position: int) -> bool:
        """Return whether the tag's free slots are kept for an elder, and so not for one at ``position``."""
        if limit.limit is None:
            return False
        eldest = limit.elders.first
        if eldest is None:
            # Those who were loaded have gone, and there are more: they are asked in the next turn.
            return not limit.elders.whole
        return eldest.passed >= MAX_PASSED and eldest.position < position

    def join(self, proposal: Proposal, run: TaskRunSpec, blocker: Resource, until: int | None) -> int:
        """Give a proposal its place in the queue of ``blocker``, and return its number there, from 1."""
        waiter = Waiter(proposal, next(self._places), blocker, self._owner, until=until)
        self._changes.waiters_added[proposal.id] = waiter
        self._known[proposal.id] = waiter
        self._note_key(proposal)
        self._snapshot.waiting.setdefault(proposal.run_id, []).append(waiter)
        self._enqueue(waiter)
        self._track_elder(waiter, run)
        queue = self._snapshot.limits[blocker].queue
        queue.length += 1
        return queue.length

    def reattach(self, waiter: Waiter, run: TaskRunSpec, proposal: Proposal, until: int | None) -> Waiter:
        """Keep the place of a proposal that came again; this engine answers it from now on."""
        kept = waiter.proposal._replace(
            session_id=proposal.session_id, queues=proposal.queues, keeps=proposal.keeps
        )
        here = waiter._replace(proposal=kept, owner=self._owner, until=until)
        self._replace(here)
        if until is not None:
            self._dequeue(here)
            self._leave_elders(here, run)
            self._marked.discard(proposal.id)
        elif waiter.until is not None:
            self._enqueue(here)
            self._track_elder(here, run)
        if proposal.id not in self._changes.waiters_added:
            self._changes.waiters_reattached[proposal.id] = here
        return here

    def move(self, waiter: Waiter, run: TaskRunSpec, blocker: Resource) -> None:
        """Move a waiter, with its place, to the queue of the resource that blocks it now."""
        moved = waiter._replace(blocker=blocker)
        self._dequeue(waiter)
        self._replace(moved)
        self._enqueue(moved)
        self._track_elder(moved, run)
        if waiter.proposal.id not in self._changes.waiters_added:
            self._changes.waiters_moved[waiter.proposal.id] = blocker

    def leave(self, waiter: Waiter, run: TaskRunSpec) -> None:
        """Take a waiter out: it is decided. What was kept for it is free for others."""
        self._dequeue(waiter)
        take_out(self._snapshot.waiting.get(waiter.proposal.run_id, []), waiter)
        self._leave_elders(waiter, run)
        self._known.pop(waiter.proposal.id, None)
        self._marked.discard(waiter.proposal.id)
        if self._changes.waiters_added.pop(waiter.proposal.id, None) is None:
            self._changes.waiters_removed.append(waiter.proposal.id)
            if waiter.owner != self._owner and waiter.until is None:
                self._changes.deliveries.append((waiter.owner, waiter.proposal.id))

    def pass_over(self, taken: Iterable[Resource], waiter: Waiter | None) -> None:
        """Count, for the eldest of each tag in ``taken``, that one who came later got a slot."""
        position = _BEHIND_ALL if waiter is None else waiter.position
        elders = {}
        for resource in taken:
            limit = self._snapshot.limits[resource]
            eldest = limit.elders.first
            if limit.limit is not None and eldest is not None and eldest.position < position:
                elders[eldest.proposal.id] = eldest
        for elder in elders.values():
            passed = elder._replace(passed=elder.passed + 1)
            self._replace(passed)
            if elder.proposal.id not in self._changes.waiters_added:
                self._changes.waiters_passed[elder.proposal.id] = passed.passed

    def mark_run(self, run_id: str, state_id: str) -> None:
        """Mark a run's waiting proposals to be decided again, but for the one that made the state.

        One that is away is left alone: it is decided when it comes again.
        """
        for waiter in self._snapshot.waiting.get(run_id, ()):
            if waiter.proposal.id != state_id and waiter.until is None:
                self._marked.add(waiter.proposal.id)

    def mark_key(self, cache_key: str) -> None:
        """Mark who waits with a cache key, in whatever queue, to be decided again: there is a result."""
        self._marked_keys.add(cache_key)
        for id_ in self._with_key.get(cache_key, ()):
            waiter = self._known.get(id_)
            if waiter is not None and waiter.until is None and not waiter.proposal.state.refresh_cache:
                self._marked.add(id_)

    def mark_resource(self, resource: Resource) -> None:
        """Mark the queue of a resource that a run has released."""
        self._marked_resources.add(resource)

    def next(self, changed: set[Resource], seen: set[str]) -> Waiter | None:
        """Return the earliest waiter, of those not ``seen``, about whom something may have changed.

        Args:
            changed: Resources whose limits were changed; those that were released are known.
            seen: Ids of proposals that this batch has decided again.
        """
        waiters = [self._known[id_] for id_ in self._marked - seen]
        for resource in self._marked_resources | changed:
            limit = self._snapshot.limits.get(resource)
            if limit is None or limit.exhausted:
                continue
            first = limit.queue.first_unseen(seen)
            if first is not None and not self._reserved(limit, first.position):
                waiters.append(first)
            if limit.limit == 0 and (closed := limit.elders.first_unseen(seen)) is not None:
                # It is in another tag's queue, where it would wait in vain.
                waiters.append(closed)
        return min(waiters, key=_place, default=None)

    def unfinished(self, changed: set[Resource]) -> set[Resource]:
        """Return the resources that have waiters beyond those that were loaded who may be decided now."""
        keyed = self._snapshot.keyed
        more = {Resource.of_key(key) for key in self._marked_keys if key in keyed and not keyed[key].whole}
        limits = (self._snapshot.limits.get(resource) for resource in self._marked_resources | changed)
        return more | {limit.resource for limit in limits if limit is not None and self._goes_on(limit)}

    def _goes_on(self, limit: Limit) -> bool:
        """Return whether one who was not loaded may have its turn now."""
        if limit.exhausted:
            return False
        if limit.limit is not None and not limit.elders and not limit.elders.whole:
            return True
        last = limit.queue.last
        return not limit.queue.whole and not (last is not None and self._reserved(limit, last.position))

    def _note_key(self, proposal: Proposal) -> None:
        if proposal.state.cache_key:
            self._with_key.setdefault(proposal.state.cache_key, []).append(proposal.id)

    def _enqueue(self, waiter: Waiter) -> None:
        limit = self._snapshot.limits.get(waiter.blocker)
        if waiter.until is None and limit is not None:
            limit.queue.put_in(waiter)

    def _dequeue(self, waiter: Waiter) -> None:
        limit = self._snapshot.limits.get(waiter.blocker)
        if limit is not None:
            limit.queue.take_out(waiter)

    def _track_elder(self, waiter: Waiter, run: TaskRunSpec) -> None:
        """Count a waiter among the elders of its tags, if it needs slots of several and waits for one."""
        if waiter.blocker.is_key:
            self._leave_elders(waiter, run)
            return
        limits = self._limits(run)
        if len(limits) > 1 and waiter.until is None:
            self._changes.elders_tracked[waiter.proposal.id] = tuple(limit.resource.name for limit in limits)
            for limit in limits:
                before = limit.elders.first
                limit.elders.take_out(waiter)
                limit.elders.put_in(waiter)
                if before is not None and before.position > waiter.position:
                    # What was kept for that one is not kept for this one, and may be free for others.
                    self._marked_resources.add(limit.resource)

    def _leave_elders(self, waiter: Waiter, run: TaskRunSpec) -> None:
        for limit in self._limits(run):
            if limit.elders.take_out(waiter):
                self._marked_resources.add(limit.resource)

    def _replace(self, waiter: Waiter) -> None:
        """Put ``waiter`` wherever its proposal was known to wait."""
        self._known[waiter.proposal.id] = waiter
        replace(self._snapshot.waiting.get(waiter.proposal.run_id, []), waiter)
        limits = self._snapshot.limits
        if (blocking := limits.get(waiter.blocker)) is not None:
            blocking.queue.replace(waiter)
        for limit in limits.values():
            limit.elders.replace(waiter)
        if waiter.proposal.id in self._changes.waiters_added:
            self._changes.waiters_added[waiter.proposal.id] = waiter

    def _limits(self, run: TaskRunSpec) -> list[Limit]:
        limits = (self._snapshot.limits.get(resource) for resource in run.limited)
        return [limit for limit in limits if limit is not None and limit.limit is not None]
