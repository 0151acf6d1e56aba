"""Finding futures and states among the arguments of a call, and replacing them with their results.

The search covers lists, tuples, sets, dictionaries (keys too), dataclasses and pydantic models, at any depth.
Each object is visited once, however often it occurs. An argument without futures and states is passed on
unchanged, as the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeAlias

from clearway._definition.annotations import Annotation, allow_failure, quote, unmapped
from clearway._execution.inputs.held import ATOMS, PLAIN, blank, can_be_filled, fill, held, rebuilt
from clearway._execution.inputs.provenance import NO_PROVENANCE, Provenance
from clearway.futures import Future
from clearway.states import State

Upstream: TypeAlias = Future[Any] | State[Any]


class Found:
    """The futures, states and results of other runs that an argument contains.

    Attributes:
        upstreams: The futures and states, in the order in which they were found.
        may_fail: More futures and states, those wrapped in ``allow_failure``.
        makers: The task runs whose results the argument contains as plain objects.
        annotated: Whether it contains an annotation, such as ``quote``, that has to be removed.
    """

    __slots__ = ("_provenance", "annotated", "makers", "may_fail", "upstreams")

    def __init__(
        self,
        value: object = None,
        provenance: Provenance = NO_PROVENANCE,
        known: Callable[[Any], Found | None] | None = None,
    ) -> None:
        """Search an argument.

        Args:
            value: The argument.
            provenance: Which task run produced which object.
            known: Returns what an object searched before contains; None for other objects.
        """
        self.upstreams: list[Upstream] = []
        self.may_fail: list[Upstream] = []
        self.makers: list[str] = []
        self.annotated = False
        self._provenance = provenance
        if type(value) not in ATOMS:
            self._look(value, known)

    @property
    def to_resolve(self) -> bool:
        """Whether the argument has to be changed before the function is called."""
        return bool(self.upstreams or self.may_fail or self.annotated)

    def __bool__(self) -> bool:
        return self.to_resolve or bool(self.makers)

    def _look(self, root: object, known: Callable[[Any], Found | None] | None) -> None:  # noqa: C901 - the loop that all arguments pass through
        # The objects visited, outside of ``allow_failure`` and within. Holding them also keeps their ids
        # from being reused.
        met: tuple[dict[int, object], dict[int, object]] = ({}, {})
        maker_of = self._provenance.of if self._provenance else None
        todo: list[tuple[bool, Iterator[object]]] = [(False, iter((root,)))]
        while todo:
            may_fail, values = todo[-1]
            here = met[may_fail]
            for value in values:
                kind = type(value)
                if kind in ATOMS:
                    continue
                if kind not in PLAIN and isinstance(value, (Future, State, Annotation)):
                    if known is not None and (before := known(value)) is not None:
                        self._take(before, may_fail)
                        continue
                    inner = self._upstream(value, may_fail)
                    if inner is None:
                        continue
                    todo.append(inner)
                    break
                if id(value) in here:
                    continue
                here[id(value)] = value
                if known is not None and (before := known(value)) is not None:
                    self._take(before, may_fail)
                    continue
                if maker_of is not None and (maker := maker_of(value)):
                    self.makers.append(maker)
                children = held(value)
                if children is not None:
                    todo.append((may_fail, iter(children)))
                    break
            else:
                todo.pop()

    def _take(self, before: Found, may_fail: bool) -> None:
        """Add what was found in an object before."""
        (self.may_fail if may_fail else self.upstreams).extend(before.upstreams)
        self.may_fail.extend(before.may_fail)
        self.makers.extend(before.makers)
        self.annotated |= before.annotated

    def _upstream(
        self, value: Upstream | Annotation[Any], may_fail: bool
    ) -> tuple[bool, Iterator[object]] | None:
        """Add a future, state or annotation; return what to search within it."""
        if not isinstance(value, Annotation):
            (self.may_fail if may_fail else self.upstreams).append(value)
            return None
        self.annotated = True
        if isinstance(value, quote):
            return None
        return may_fail or isinstance(value, allow_failure), iter((value.value,))


def maker_of(value: object, provenance: Provenance) -> str:
    """Return the id of the task run behind a future, state or object; empty if not known."""
    if isinstance(value, Future):
        return value.task_run_id
    if isinstance(value, State):
        return value.details.task_run_id or provenance.of_subflow(value.details.flow_run_id)
    return provenance.of(value)


def replace_upstreams(
    value: Any,
    result_of: Callable[[Upstream], Any],
    *,
    unwrap: bool = True,
    keep_unmapped: bool = False,
    known: Callable[[Any], list[Any]] | None = None,
) -> Any:
    """Return ``value`` with its futures and states replaced; containers that held one are copied.

    A container that occurs several times, or contains itself, is copied once.

    Args:
        value: An argument, or what a function returned.
        result_of: Returns the replacement of a future or state.
        unwrap: Remove annotations; otherwise they, and what they contain, are left alone.
        keep_unmapped: Keep ``unmapped``, since a flow may pass it on to a ``map``.
        known: Returns a list with the replacement of an object shared by several runs; an empty list for
            other objects.
    """
    return _Replacing(result_of, unwrap, keep_unmapped, known).replaced(value)


class _Replacing:
    """Replaces in two passes: one finds the containers with something to replace, the other copies those."""

    __slots__ = ("_copies", "_holders", "_keep_unmapped", "_kept", "_known", "_open", "_result_of", "_unwrap")

    def __init__(
        self,
        result_of: Callable[[Upstream], Any],
        unwrap: bool,
        keep_unmapped: bool,
        known: Callable[[Any], list[Any]] | None,
    ) -> None:
        self._known = known
        self._result_of = result_of
        self._keep_unmapped = keep_unmapped
        self._unwrap = unwrap
        self._kept: dict[int, tuple[Any, Collection[Any]]] = {}  # the containers, each with its children
        self._holders: set[int] = set()  # those with something to replace, at any depth
        self._copies: dict[int, Any] = {}
        self._open: set[int] = set()

    def replaced(self, value: Any) -> Any:
        """Return a value with its futures and states replaced."""
        if not self._unwrap and not Found(value).to_resolve:  # true of most returned values
            return value
        self._find(value)
        return self._copied(value)

    def _find(self, root: Any) -> None:  # noqa: C901 - as above
        within: dict[int, list[int]] = {}
        changed: list[int] = []
        todo = [root]
        while todo:
            value = todo.pop()
            if id(value) in self._kept:
                continue
            if self._known is not None and (instead := self._known(value)):
                self._kept[id(value)] = (value, ())
                self._copies[id(value)] = instead[0]
                changed.append(id(value))
                continue
            children = self._parts(value)
            if children is None:
                continue
            self._kept[id(value)] = (value, children)
            if isinstance(value, Annotation):
                changed.append(id(value))
            for child in children:
                kind = type(child)
                if kind in ATOMS:
                    continue
                if kind not in PLAIN and isinstance(child, (Future, State)):
                    changed.append(id(value))
                else:
                    within.setdefault(id(child), []).append(id(value))
                    todo.append(child)
        while changed:
            number = changed.pop()
            if number not in self._holders:
                self._holders.add(number)
                changed.extend(within.get(number, ()))

    def _parts(self, value: Any) -> Collection[Any] | None:
        """Return the children to search; None for a value that is left alone."""
        if type(value) in PLAIN or not isinstance(value, (Future, State, Annotation)):
            return held(value)
        if not isinstance(value, Annotation):
            return None
        if not self._unwrap:
            return None
        return [] if isinstance(value, quote) else [value.value]

    def _copied(self, root: Any) -> Any:
        results: list[Any] = []
        todo: list[tuple[Any, list[Any] | None]] = [(root, None)]
        while todo:
            value, children = todo.pop()
            if children is None:
                self._begin(value, todo, results)
            else:
                after = results[len(results) - len(children) :]
                del results[len(results) - len(children) :]
                results.append(self._end(value, children, after))
        return results[0]

    def _begin(self, value: Any, todo: list[tuple[Any, list[Any] | None]], results: list[Any]) -> None:
        number = id(value)
        if isinstance(value, (Future, State)) and number not in self._copies:
            results.append(self._result_of(value))
        elif number not in self._holders or type(value) in ATOMS:
            results.append(value)
        elif number in self._copies:
            results.append(self._copies[number])
        elif number in self._open and can_be_filled(value) and not isinstance(value, Annotation):
            # It contains itself.
            self._copies[number] = blank(value)
            results.append(self._copies[number])
        else:
            self._open.add(number)
            children = list(self._kept[number][1])
            todo.append((value, children))
            todo.extend((child, None) for child in reversed(children))

    def _end(self, value: Any, before: list[Any], after: list[Any]) -> Any:
        number = id(value)
        if isinstance(value, Annotation):
            self._copies[number] = self._unwrapped(value, after)
        elif number in self._copies:
            if can_be_filled(value):
                fill(self._copies[number], value, after)
        elif all(old is new for old, new in zip(before, after, strict=True)):
            self._copies[number] = value
        else:
            self._copies[number] = rebuilt(value, after)
        return self._copies[number]

    def _unwrapped(self, annotated: Annotation[Any], after: list[Any]) -> Any:
        inner = after[0] if after else annotated.value
        if self._keep_unmapped and isinstance(annotated, unmapped):
            return annotated if inner is annotated.value else annotated.rewrap(inner)
        return inner
