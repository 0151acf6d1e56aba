"""Splitting the arguments of ``map`` into those of each run."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from clearway._definition.annotations import Annotation, allow_failure, quote, unmapped
from clearway._definition.signature import CallSignature
from clearway._execution.inputs.found import Found, Upstream, maker_of
from clearway._execution.inputs.held import ATOMS
from clearway._execution.inputs.provenance import NO_PROVENANCE, Provenance
from clearway._execution.inputs.shared import SharedArguments
from clearway._waiting.sigint import unshielded
from clearway.exceptions import MappingLengthMismatch, NothingToMap, UpstreamTaskError
from clearway.futures import Future
from clearway.states import State

_UNCHANGING = frozenset({tuple, range})


class Place(NamedTuple):
    """The destination of an argument: a parameter, or an item of a variadic parameter."""

    parameter: str
    position: int | None = None
    keyword: str | None = None

    def __str__(self) -> str:
        return self.keyword or (
            self.parameter if self.position is None else f"{self.parameter}[{self.position}]"
        )


def mapped_upstreams(signature: CallSignature, parameters: dict[str, Any]) -> list[Upstream]:
    """Return the futures and states to be mapped over; their results are needed before the runs are made."""
    given = (value for _, value in _places(signature, parameters))
    inner = (value.value if isinstance(value, allow_failure) else value for value in given)
    return [value for value in inner if isinstance(value, (Future, State))]


class Mapped:
    """The arguments of ``map``; iterating over it yields the parameters of each run.

    Attributes:
        makers: The task runs that produced the mapped iterables, by parameter, as far as known.
    """

    def __init__(
        self, signature: CallSignature, parameters: dict[str, Any], provenance: Provenance = NO_PROVENANCE
    ) -> None:
        """Separate the iterables to map over from the arguments that every run is given whole.

        Args:
            signature: The signature of the mapped function.
            parameters: The arguments of ``map`` by parameter; futures and states in it are done.
            provenance: Which task run produced which object.

        Raises:
            NothingToMap: None of the arguments is an iterable.
            MappingLengthMismatch: The iterables are of different lengths.
            UpstreamTaskError: A future or state to map over belongs to a run that did not complete.
        """
        self.makers: dict[str, Found] = {}
        self._signature = signature
        self._provenance = provenance
        self._whole: dict[Place, Any] = {}
        self._mapped: dict[Place, Sequence[Any] | deque[Any]] = {}
        self._order: list[Place] = []
        for place, given in _places(signature, parameters):
            self._order.append(place)
            self._take(place, given)
        if not self._mapped:
            given = ", ".join(f"{place}={_kind(value)}" for place, value in _places(signature, parameters))
            raise NothingToMap(
                "map() needs at least one iterable to map over, such as a list, "
                f"and was given {given or 'nothing'}"
            )
        self._length = _common_length(self._mapped)

    def shared(self, wait_for: list[Any] | None) -> SharedArguments:
        """Return the arguments that all runs are given whole, or wait for."""
        whole = [value for value in self._whole.values() if type(value) not in ATOMS]
        return SharedArguments(whole if wait_for is None else [*whole, wait_for], self._provenance)

    def _take(self, place: Place, given: Any) -> None:
        if isinstance(given, unmapped):
            self._whole[place] = given.value
            return
        inner = given.value if isinstance(given, Annotation) else given
        if isinstance(inner, unmapped):
            self._whole[place] = given.rewrap(inner.value)
            return
        value = inner if isinstance(given, quote) else _known(place, inner, given)
        if not _is_iterable(value):
            self._whole[place] = given
            return
        with unshielded():
            values = value if type(value) in _UNCHANGING else deque(value)
        if inner is not given and value is inner:
            values = deque(given.rewrap(one) for one in values)
        self._mapped[place] = values
        maker = maker_of(inner, self._provenance)
        if maker:
            self.makers.setdefault(place.parameter, Found()).makers.append(maker)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the parameters of each run, once; releases them as it goes."""
        if any(place.position is not None or place.keyword is not None for place in self._order):
            taken = {place: _taken(values) for place, values in self._mapped.items()}
            for _ in range(self._length):
                yield self._signature.with_defaults(self._collected(taken))
            return
        whole = {place.parameter: value for place, value in self._whole.items()}
        names = [place.parameter for place in self._mapped]
        for values in zip(*map(_taken, self._mapped.values()), strict=True):
            one = dict(zip(names, values, strict=True))
            yield self._signature.with_defaults({**whole, **one} if whole else one)

    def _collected(self, taken: dict[Place, Iterator[Any]]) -> dict[str, Any]:
        one: dict[str, Any] = {}
        for place in self._order:
            value = next(taken[place]) if place in taken else self._whole[place]
            if place.keyword is not None:
                one.setdefault(place.parameter, {})[place.keyword] = value
            elif place.position is not None:
                one[place.parameter] = (*one.get(place.parameter, ()), value)
            else:
                one[place.parameter] = value
        return one


def _places(signature: CallSignature, parameters: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    for name, value in parameters.items():
        if name == signature.variadic_keyword:
            yield from ((Place(name, keyword=key), one) for key, one in value.items())
        elif name == signature.variadic_positional:
            yield from ((Place(name, index), one) for index, one in enumerate(value))
        else:
            yield Place(name), value


def _known(place: Place, inner: Any, given: Any) -> Any:
    """Return the result of a future or state to map over; None if it failed under ``allow_failure``."""
    if not isinstance(inner, (Future, State)):
        return inner
    state = inner.current_state() if isinstance(inner, Future) else inner
    if state.is_completed():
        return state.result()
    if state.is_failed() and isinstance(given, allow_failure):
        return None
    raise UpstreamTaskError(
        f"there is nothing to map {str(place)!r} over: the run that it is the result of is {state}"
    )


def _is_iterable(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, io.IOBase))


def _taken(values: Sequence[Any] | deque[Any]) -> Iterator[Any]:
    """Yield the values one by one; removes them from a copy of ours, so that they can be freed."""
    if not isinstance(values, deque):
        yield from values
        return
    while values:
        yield values.popleft()


def _kind(given: Any) -> str:
    """Describe an argument for messages: ``unmapped(list)``, ``TaskFuture of int``."""
    if isinstance(given, Annotation):
        return f"{type(given).__name__}({_kind(given.value)})"
    if isinstance(given, Future):
        return (
            f"{type(given).__name__} of {type(given.current_state().result(raise_on_failure=False)).__name__}"
        )
    if isinstance(given, State):
        return f"State of {type(given.result(raise_on_failure=False)).__name__}"
    return type(given).__name__


def _common_length(mapped: dict[Place, Sequence[Any] | deque[Any]]) -> int:
    lengths = {place: len(values) for place, values in mapped.items()}
    if len(set(lengths.values())) > 1:
        raise MappingLengthMismatch(
            "map() goes over all its iterables at once, so they must have one length, and these have "
            f"{', '.join(f'{place}: {length}' for place, length in lengths.items())}; "
            "wrap what every run is to be given whole in unmapped()"
        )
    return next(iter(lengths.values()))
