"""From the arguments of ``map`` to those of each of its runs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from clearway._engine.inputs import Upstream
from clearway._interrupts import unshielded
from clearway._signature import CallSignature
from clearway._unmapped import unmapped
from clearway.exceptions import MappingLengthMismatch, NothingToMap, UpstreamTaskError
from clearway.futures import Future
from clearway.states import State


def mapped_upstreams(parameters: dict[str, Any]) -> list[Upstream]:
    """Return the futures and states whose results are mapped over, and so have to be known first."""
    return [value for value in parameters.values() if isinstance(value, (Future, State))]


def mapped_parameters(signature: CallSignature, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the parameters of each run, one after the other.

    Args:
        signature: The signature of the mapped function.
        parameters: What ``map`` was given, by parameter; futures and states in it are done.

    Raises:
        NothingToMap: There is no iterable among them.
        MappingLengthMismatch: The iterables are of different lengths.
        UpstreamTaskError: What is to be mapped over is of a run that did not complete.
    """
    whole: dict[str, Any] = {}
    mapped: dict[str, list[Any]] = {}
    keywords = parameters.get(signature.variadic_keyword or "", {})
    for name, given in [*parameters.items(), *keywords.items()]:
        if name == signature.variadic_keyword:
            continue
        value = _known(name, given)
        if isinstance(value, unmapped):
            whole[name] = value.value
        elif _is_iterable(value):
            with unshielded():
                mapped[name] = list(value)
        else:
            whole[name] = value
    length = _common_length(mapped, whole)
    return _each(signature, mapped, whole, length, keywords)


def _known(name: str, value: Any) -> Any:
    """Return the result of a future or state that is mapped over."""
    if not isinstance(value, (Future, State)):
        return value
    state = value.current_state() if isinstance(value, Future) else value
    if not state.is_completed():
        raise UpstreamTaskError(
            f"there is nothing to map {name!r} over: the run that it is the result of is {state}"
        )
    return state.result()


def _is_iterable(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, io.IOBase))


def _common_length(mapped: dict[str, list[Any]], whole: dict[str, Any]) -> int:
    if not mapped:
        given = ", ".join(f"{name}={type(value).__name__}" for name, value in whole.items()) or "nothing"
        raise NothingToMap(
            f"map() needs at least one iterable to map over, such as a list, and was given {given}"
        )
    lengths = {name: len(values) for name, values in mapped.items()}
    if len(set(lengths.values())) > 1:
        raise MappingLengthMismatch(
            "map() goes over all its iterables at once, so they must have one length, and these have "
            f"{', '.join(f'{name}: {length}' for name, length in lengths.items())}; "
            "wrap what every run is to be given whole in unmapped()"
        )
    return next(iter(lengths.values()))


def _each(
    signature: CallSignature,
    mapped: dict[str, list[Any]],
    whole: dict[str, Any],
    length: int,
    keywords: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    for index in range(length):
        one = {**whole, **{name: values[index] for name, values in mapped.items()}}
        if keywords and signature.variadic_keyword:
            one[signature.variadic_keyword] = {name: one.pop(name) for name in keywords}
        yield signature.with_defaults(one)
