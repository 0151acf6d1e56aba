"""Queues: which proposals wait for resources, and in which order they are decided.

A waiter is in the queue of one resource that blocks it, and each queue is FIFO. A run that needs slots of
several tags could starve: while one of its tags is full, later runs take the slots of the others. Such a
waiter is an *elder* of each of its tags. It is *passed over* whenever a later run takes a slot of a tag of
which it is the first elder. After ``MAX_PASSED`` times, the free slots of these tags are reserved for it
until it leaves. The first elder of all is the first on each of its tags, so it is passed over at most
``MAX_PASSED`` times, and one with ``n`` elders before it at most ``MAX_PASSED * (n + 1)`` times.

A waiter in the queue of a cache key waits for the run that computes it, not for slots, so it is not counted
as passed over and no slots are reserved for it: the computing run may need them itself.
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

# Proposals that join in this batch come after all stored waiters.
_BEHIND_ALL = 2**62


def _place(waiter: Waiter) -> int:
    return waiter.position


class Queues:
    """The queues of one batch.

    Args:
        snapshot: The stored runs, limits and queues that the batch needs.
        changes: Collects the changes to waiters.
        owner: The engine that replies to the batch's proposals.
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
        # What to decide again: proposals, the queues of released resources, the waiters of finished keys.
        self._marked: set[str] = set()
        self._marked_resources: set[Resource] = set()
        self._marked_keys: set[str] = set()

    @property
    def any_marked(self) -> bool:
        """Whether any waiter may have to be decided again."""
        return bool(self._marked or self._marked_resources or self._marked_keys)

    def find(self, proposal_id: str) -> Waiter | None:
        """Return the waiter of a proposal that is already queued, or None."""
        return self._known.get(proposal_id)

    def ahead(self, limit: Limit, waiter: Waiter | None) -> int:
        """Return how many waiters of a resource go before this one; for None, before a new proposal."""
        position = _BEHIND_ALL if waiter is None else waiter.position
        if waiter is None:
            ahead = len(limit.queue)
        else:
            first = limit.queue.first
            ahead = int(first is not None and first.position < position)
        return ahead + limit.queue.hides_one_before(position) + self._reserved(limit, position)

    def _reserved(self, limit: Limit, position: int) -> bool:
        """Return True if the tag's free slots are reserved for an elder that came before ``position``."""
        if limit.limit is None:
            return False
        eldest = limit.elders.first
        if eldest is None:
            # All loaded elders have left, but there are more: the next turn loads them.
            return not limit.elders.whole
        return eldest.passed >= MAX_PASSED and eldest.position < position

    def join(self, proposal: Proposal, run: TaskRunSpec, blocker: Resource, until: int | None) -> int:
        """Append a proposal to the queue of ``blocker``, and return its position there, from 1."""
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
        """Keep the place of a proposal that was sent again; this engine now owns it."""
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
        """Move a waiter, keeping its position, to the queue of the resource that now blocks it."""
        moved = waiter._replace(blocker=blocker)
        self._dequeue(waiter)
        self._replace(moved)
        self._enqueue(moved)
        self._track_elder(moved, run)
        if waiter.proposal.id not in self._changes.waiters_added:
            self._changes.waiters_moved[waiter.proposal.id] = blocker

    def leave(self, waiter: Waiter, run: TaskRunSpec) -> None:
        """Remove a decided waiter, and release the slots reserved for it."""
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
        """Record, for the first elder of each tag in ``taken``, that a later proposal got a slot."""
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
        """Mark a run's waiting proposals to be decided again, except the one that produced the state.

        One whose client is away is skipped: it is decided when it is proposed again.
        """
        for waiter in self._snapshot.waiting.get(run_id, ()):
            if waiter.proposal.id != state_id and waiter.until is None:
                self._marked.add(waiter.proposal.id)

    def mark_key(self, cache_key: str) -> None:
        """Mark all waiters with a cache key, in any queue, to be decided again: its result exists."""
        self._marked_keys.add(cache_key)
        for id_ in self._with_key.get(cache_key, ()):
            waiter = self._known.get(id_)
            if waiter is not None and waiter.until is None and not waiter.proposal.state.refresh_cache:
                self._marked.add(id_)

    def mark_resource(self, resource: Resource) -> None:
        """Mark the queue of a resource that a run has released."""
        self._marked_resources.add(resource)

    def next(self, changed: set[Resource], seen: set[str]) -> Waiter | None:
        """Return the earliest waiter not in ``seen`` whose decision may have changed, or None.

        Args:
            changed: Resources whose limits changed. Released ones are included without being named.
            seen: Ids of proposals that this batch has already decided again.
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
                # It is in the queue of another tag, where nothing would wake it.
                waiters.append(closed)
        return min(waiters, key=_place, default=None)

    def unfinished(self, changed: set[Resource]) -> set[Resource]:
        """Return the resources with waiters that were not loaded and may be decided now."""
        keyed = self._snapshot.keyed
        more = {Resource.of_key(key) for key in self._marked_keys if key in keyed and not keyed[key].whole}
        limits = (self._snapshot.limits.get(resource) for resource in self._marked_resources | changed)
        return more | {limit.resource for limit in limits if limit is not None and self._goes_on(limit)}

    def _goes_on(self, limit: Limit) -> bool:
        """Return True if a waiter that was not loaded may be decided now."""
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
        """Add a waiter to the elders of its tags, if it needs slots of several and waits for one."""
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
                    # The old first elder's reservation ends here, so its slots may go to others.
                    self._marked_resources.add(limit.resource)

    def _leave_elders(self, waiter: Waiter, run: TaskRunSpec) -> None:
        for limit in self._limits(run):
            if limit.elders.take_out(waiter):
                self._marked_resources.add(limit.resource)

    def _replace(self, waiter: Waiter) -> None:
        """Replace the waiter that has the same proposal in all queues and lists."""
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
