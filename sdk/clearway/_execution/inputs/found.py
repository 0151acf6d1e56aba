"""Futures and states among the arguments of a call: finding them, and putting their results in their place.

They are looked for in lists, tuples, sets, dictionaries (the keys too), dataclasses and pydantic models,
however deep. What holds none is passed on as it is, the same object.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any, TypeAlias

from clearway._definition.annotations import Annotation, allow_failure, quote, unmapped
from clearway._execution.inputs.provenance import NO_PROVENANCE, Provenance
from clearway.futures import Future
from clearway.states import State

Upstream: TypeAlias = Future[Any] | State[Any]

ATOMS: frozenset[type] = frozenset(
    {int, float, str, bool, bytes, bytearray, complex, type(None), range, type, type(...)}
)


class Found:
    """What an argument holds from upstream.

    Attributes:
        upstreams: The futures and states, in the order in which they were found.
        may_fail: Those of them, beside ``upstreams``, whose runs may have failed.
        makers: The task runs whose results are there themselves.
        annotated: Whether there is an annotation, such as ``quote``, that has to be taken off.
    """

    __slots__ = ("_provenance", "annotated", "makers", "may_fail", "upstreams")

    def __init__(self, value: object = None, provenance: Provenance = NO_PROVENANCE) -> None:
        """Look through ``value``, an argument; ``provenance`` has which task runs made which objects."""
        self.upstreams: list[Upstream] = []
        self.may_fail: list[Upstream] = []
        self.makers: list[str] = []
        self.annotated = False
        self._provenance = provenance
        if type(value) not in ATOMS:
            self._look(value, self.upstreams, set())

    @property
    def to_resolve(self) -> bool:
        """Whether the argument is not what the function is to be given."""
        return bool(self.upstreams or self.may_fail or self.annotated)

    def __bool__(self) -> bool:
        return self.to_resolve or bool(self.makers)

    def _look(self, value: object, into: list[Upstream], path: set[int]) -> None:
        if isinstance(value, (Future, State)):
            into.append(value)
            return
        if isinstance(value, Annotation):
            self.annotated = True
            if not isinstance(value, quote):
                self._look(value.value, self.may_fail if isinstance(value, allow_failure) else into, path)
            return
        if self._provenance:
            maker = self._provenance.of(value)
            if maker:
                self.makers.append(maker)
        children = _children(value)
        if children is None or ATOMS.issuperset(map(type, children)) or id(value) in path:
            return
        path.add(id(value))
        for child in children:
            if type(child) not in ATOMS:
                self._look(child, into, path)
        path.discard(id(value))


def maker_of(value: object, provenance: Provenance) -> str:
    """Return the task run that a future or state is of, or that made an object; empty where not known."""
    if isinstance(value, Future):
        return value.task_run_id
    if isinstance(value, State):
        return value.details.task_run_id or provenance.of_subflow(value.details.flow_run_id)
    return provenance.of(value)


def _children(value: object) -> Collection[object] | None:
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, dict):
        return (*value, *value.values())
    kind = type(value)
    if hasattr(kind, "__dataclass_fields__") or _is_model(kind):
        return _fields(value).values()
    return None


def _is_model(kind: type) -> bool:
    return hasattr(kind, "model_fields") and hasattr(kind, "__pydantic_validator__")


def _fields(value: object) -> dict[str, object]:
    kind: Any = type(value)
    if _is_model(kind):
        return {**value.__dict__, **(getattr(value, "__pydantic_extra__", None) or {})}
    return {name: getattr(value, name) for name in kind.__dataclass_fields__ if hasattr(value, name)}


def replace_upstreams(
    value: Any, result_of: Callable[[Upstream], Any], *, unwrap: bool = True, keep_unmapped: bool = False
) -> Any:
    """Return ``value`` with its futures and states replaced; containers that held one are copied.

    Args:
        value: An argument, or what a function returned.
        result_of: Gives what takes the place of a future or state.
        unwrap: Take annotations off; otherwise they, and what is in them, are left alone.
        keep_unmapped: Leave ``unmapped`` on: a flow may hand it on to a ``map``.
    """
    return _Replacing(result_of, unwrap, keep_unmapped).replaced(value)


class _Replacing:
    __slots__ = ("_keep_unmapped", "_path", "_result_of", "_unwrap")

    def __init__(self, result_of: Callable[[Upstream], Any], unwrap: bool, keep_unmapped: bool) -> None:
        self._result_of = result_of
        self._keep_unmapped = keep_unmapped
        self._unwrap = unwrap
        self._path: set[int] = set()

    def replaced(self, value: Any) -> Any:
        if type(value) in ATOMS:
            return value
        if isinstance(value, (Future, State)):
            return self._result_of(value)
        if isinstance(value, Annotation):
            return self._unwrapped(value) if self._unwrap else value
        children = _children(value)
        if children is None or ATOMS.issuperset(map(type, children)) or id(value) in self._path:
            return value
        self._path.add(id(value))
        before = list(children)
        after = [self.replaced(child) for child in before]
        self._path.discard(id(value))
        if all(old is new for old, new in zip(before, after, strict=True)):
            return value
        return _rebuild(value, after)

    def _unwrapped(self, annotated: Annotation[Any]) -> Any:
        value = annotated.value
        if self._keep_unmapped and isinstance(annotated, unmapped):
            inner = self.replaced(value)
            return annotated if inner is value else annotated.rewrap(inner)
        return value if isinstance(annotated, quote) else self.replaced(value)


def _rebuild(value: Any, children: list[Any]) -> Any:
    if isinstance(value, tuple):
        if hasattr(value, "_make"):  # a named tuple
            return value._make(children)
        return type(value)(children)
    if isinstance(value, (set, frozenset)):
        return type(value)(children)
    if _is_model(type(value)):
        return value.model_copy(update=dict(zip(_fields(value), children, strict=True)))
    copied = copy.copy(value)
    if isinstance(value, list):
        copied[:] = children
    elif isinstance(value, dict):
        copied.clear()
        copied.update(zip(children[: len(value)], children[len(value) :], strict=True))
    else:
        for name, child in zip(_fields(value), children, strict=True):
            object.__setattr__(copied, name, child)  # frozen ones too: the copy is ours
    return copied
