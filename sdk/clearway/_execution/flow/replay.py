"""What the attempts of one flow run share, so that a retry runs again only what did not complete."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any, NamedTuple

from clearway._execution.flow.variants import Variants
from clearway._execution.run_key import RunKey
from clearway._results.stored_result import MEMORY
from clearway.results import StoredResult
from clearway.states import State


class Call(NamedTuple):
    """What must be equal for a call to be given the result of an earlier one.

    Attributes:
        task_key: The task's or subflow's key.
        variant: Its function; see ``Variants``.
        digest: The digest of the arguments; empty if they cannot be compared, and so equal none.
    """

    task_key: str
    variant: Hashable
    digest: str


class Earlier(NamedTuple):
    """A run of an earlier attempt.

    Attributes:
        key: Its key.
        run_id: Its UUID.
    """

    key: RunKey
    run_id: str


class _Equal:
    """The runs of equal calls in earlier attempts, by the number of the latest call that had them."""

    __slots__ = ("completed", "failed")

    def __init__(self) -> None:
        self.completed: OrderedDict[int, Earlier] = OrderedDict()
        self.failed: set[int] = set()

    def add(self, number: int, run: Earlier | None) -> None:
        """Note the completed run of a call, or that it did not complete."""
        if run is None:
            self.failed.add(number)
        else:
            self.failed.discard(number)
            self.completed[number] = run

    def sort(self) -> None:
        """Put the runs in the order of their calls, in which those that are left over are taken."""
        self.completed = OrderedDict(sorted(self.completed.items()))

    def take(self, number: int) -> Earlier | None:
        """Take the run of the call with a number, or one that is left over if the order has changed."""
        if number in self.completed:
            return self.completed.pop(number)
        if number in self.failed or not self.completed:
            return None
        return self.completed.popitem(last=False)[1]


class _Ended(NamedTuple):
    """A call of the present attempt whose run has ended, with the run if that completed."""

    call: Call
    number: int
    run: Earlier | None


class Replay:
    """The runs that the attempts of a flow run had, and their results where the service has none.

    A run is reused for an equal call: one of the same task with arguments of the same digest. Of several
    equal calls each finds its own by its number, as long as their order is the same. Any thread may use it.

    Attributes:
        variants: Tells apart the functions of tasks with one key.
    """

    __slots__ = (
        "_attempt",
        "_calls",
        "_claimed",
        "_ended",
        "_guard",
        "_incomparable",
        "_results",
        "_unstarted",
        "_unstarted_next",
        "_uses",
        "variants",
    )

    def __init__(self) -> None:
        self.variants = Variants()
        self._guard = Lock()
        self._attempt = 0
        self._calls: dict[Call, _Equal] = {}
        self._claimed: dict[str, _Ended] = {}
        self._ended: list[_Ended] = []
        self._incomparable: set[str] = set()  # the keys of tasks
        self._uses: dict[tuple[str, int], int] = {}  # how many runs were made for a call, by key and number
        self._unstarted: dict[tuple[str, int], Earlier] = {}
        self._unstarted_next: dict[tuple[str, int], Earlier] = {}
        self._results: dict[str, Any] = {}

    def begin(self, attempt: int) -> None:
        """Begin an attempt, from 1: what ended until now is that of earlier attempts."""
        with self._guard:
            self._attempt = attempt
            changed = set()
            for call, number, run in (*self._claimed.values(), *self._ended):
                if call.digest:
                    self._calls.setdefault(call, _Equal()).add(number, run)
                    changed.add(call)
                elif run is not None:
                    self._incomparable.add(call.task_key)
            for call in changed:
                self._calls[call].sort()
            self._unstarted |= self._unstarted_next
            self._claimed, self._ended, self._unstarted_next = {}, [], {}

    def new_key(self, task_key: str, number: int) -> RunKey:
        """Return a key, for the call with a number, that no run of an earlier attempt has."""
        return RunKey(task_key, number, self._uses.get((task_key, number), 0) + 1)

    def use(self, key: RunKey) -> None:
        """Note that the service is asked to create the run with a key."""
        with self._guard:
            self._uses[key.task_key, key.number] = key.attempt

    def claim(self, attempt: int, number: int, call: Call) -> Earlier | None:
        """Return the run of an earlier attempt that a call takes over; None if it makes a run of its own.

        Args:
            attempt: The attempt of the flow run that the call belongs to.
            number: Which call of the task in that attempt it is.
            call: What it calls.

        Returns:
            A completed run of an equal call, each once in an attempt; or else the run that was made for the
            call with this number, if it never started.
        """
        with self._guard:
            if attempt != self._attempt:  # one that timed out, and still has threads
                return None
            equal = self._calls.get(call)
            earlier = None if equal is None else equal.take(number)
            if earlier is not None:
                self._claimed[earlier.run_id] = _Ended(call, number, earlier)
                return earlier
            return self._unstarted.pop((call.task_key, number), None)

    def drop(self, run_id: str) -> None:
        """Forget a run that was claimed and turned out not to have completed, or to have lost its result."""
        with self._guard:
            self._claimed.pop(run_id, None)

    def repeats(self, task_key: str) -> bool:
        """Return whether earlier runs of a task completed whose arguments could not be compared."""
        return task_key in self._incomparable

    def ended(self, attempt: int, number: int, call: Call, run: Earlier, state: State[Any]) -> None:
        """Note how a run that the service knows ended, or that it never started.

        Args:
            attempt: The attempt of the flow run that the call belongs to.
            number: Which call of the task in that attempt it was made for.
            call: What was called.
            run: The run.
            state: Its last state.
        """
        with self._guard:
            if attempt != self._attempt or run.run_id in self._claimed:
                return
            if not state.is_final():
                self._unstarted_next[call.task_key, number] = run
            elif state.is_completed() or call.digest:
                self._ended.append(_Ended(call, number, run if state.is_completed() else None))

    def keep(self, task_run_id: str, result: Any) -> None:
        """Keep a result that is in memory only."""
        self._results[task_run_id] = result

    def with_result(self, state: State[Any]) -> State[Any]:
        """Return the state of a run that an earlier attempt completed, with its result if it was kept."""
        data, run_id = state.data, state.details.task_run_id
        if isinstance(data, StoredResult) and data.encoding == MEMORY and run_id in self._results:
            return state.with_data(self._results[run_id])
        return state
